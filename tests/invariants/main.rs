//! Tests of the invariants (consent, revocation, authorisation, encryption at rest) against whole meshes on each
//! engine.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    reason = "a test whose mesh does not answer has failed"
)]
#![allow(clippy::disallowed_methods, reason = "a test waits for what it spawns, and takes its seed from a variable")]

mod bookings;
mod canaries;
mod matrix;
mod model;
mod notes;
mod practice;
mod races;
mod raw;
mod records;
mod register;
mod seals;
mod search;
mod steps;
