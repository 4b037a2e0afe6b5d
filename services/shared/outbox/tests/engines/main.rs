//! Delivery on each engine to subscribers that fail, hang and recover.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that can't go on has failed")]
#![allow(clippy::disallowed_methods, reason = "a test waits for what it spawns")]

mod courier;
mod crashes;
mod delivery;
mod topics;
mod world;
