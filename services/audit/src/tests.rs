//! The access log on both engines: linking, and what a verification finds.
#![allow(clippy::disallowed_methods, reason = "a test waits for what it starts")]

mod groups;
mod linking;
pub(crate) mod support;
mod tampering;
