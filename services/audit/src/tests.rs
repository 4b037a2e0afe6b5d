//! The access log on both engines: batches, linking, grouping and verification.
#![allow(clippy::disallowed_methods, reason = "a test waits for what it starts")]

mod batches;
mod groups;
mod linking;
pub(crate) mod support;
mod tampering;
