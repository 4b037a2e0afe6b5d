//! Tests of the mesh under faults: of DynamoDB, callers and connections, and under overload.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(clippy::print_stdout, reason = "a test that fails says at which step")]

mod account_deletion;
mod bookings;
mod deadlines;
mod disconnects;
mod drain;
mod listener;
mod logins;
mod lost_answers;
mod overload;
mod search;
mod store_down;
mod world;
