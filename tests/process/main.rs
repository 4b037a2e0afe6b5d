//! Tests of the binary `mesh`: settings, start, shutdown and durability.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod addresses;
mod demo;
mod erasure;
mod full;
mod journal;
mod lifecycle;
mod messages;
mod origins;
mod process;
mod readme;
mod request_ids;
mod search;
mod settings;
mod workloads;
