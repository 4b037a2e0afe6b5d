//! What the process of a service does: read its configuration, start, and stop when told.
//!
//! A binary of a service is [`run`] of its [`Domain`]. The all-in-one uses the parts.

mod cli;
mod keys;
mod probe;
mod secrets;
mod signal;
mod standalone;

pub use cli::Cli;
pub use keys::auth_keys;
pub use probe::probe;
pub use secrets::{SecretsConfig, make_secrets, read_secrets};
pub use signal::told_to_stop;
pub use standalone::{Domain, END, Given, check, complain, run};
