//! What the code relies on, on each engine: the embedded one is a suspect, not an oracle.

mod faults;
mod idempotency;
mod pages;
mod provision;
mod query;
mod support;
mod transact;
mod write;
