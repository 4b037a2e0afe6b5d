//! Tests of the contract against whole meshes on each engine and behind each front, over REST and gRPC.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test whose mesh does not answer has failed"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]

mod access_log;
mod account_deletion;
mod accounts;
mod addresses;
mod appointments;
mod directory;
mod embedded_only;
mod floods;
mod head;
mod hostile;
mod ids;
mod internal;
mod invitations;
mod journals;
mod mapping;
mod messages;
mod migration;
mod profiles;
mod related;
mod repeats;
mod search;
mod sessions;
mod shared_mesh;
mod story;
mod texts;
mod times;
mod tokens;
