//! The behaviour that the code relies on, checked on each engine: the embedded one is under test too.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod batch;
mod faults;
mod idempotency;
mod pages;
mod provision;
mod query;
mod seal;
mod support;
mod transact;
mod write;
