//! Runs the process of a service: reads its configuration, starts, and shuts down on a signal.
//!
//! A service's binary is [`run`] of its [`Domain`]. The all-in-one uses the parts.

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
pub use signal::shutdown_signal;
pub use standalone::{Domain, END, ServiceContext, check, report_error, run};
