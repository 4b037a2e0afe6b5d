//! What the code relies on, on each engine: the embedded one is a suspect, not an oracle.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod faults;
mod idempotency;
mod pages;
mod provision;
mod query;
mod seal;
mod support;
mod transact;
mod write;
