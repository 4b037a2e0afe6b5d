//! Interoperability tests: third-party clients and tools against whole meshes.
#![cfg(test)]
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test whose client does not get through has failed")]

mod browser;
mod generated;
mod grpc;
mod schemathesis;
mod tools;
