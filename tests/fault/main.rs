//! The mesh while something fails: DynamoDB, a caller, the network, or everything at once by too much of it.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod bookings;
mod deadlines;
mod drain;
mod endings;
mod hang_up;
mod late_writes;
mod listener;
mod logins;
mod overload;
mod store_down;
mod world;
