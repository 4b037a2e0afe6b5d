//! The binary `mesh` as an operator meets it: its settings, its start, its end, and what it keeps.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]

mod access;
mod erasure;
mod journal;
mod life;
mod messages;
mod process;
mod readme;
mod settings;
