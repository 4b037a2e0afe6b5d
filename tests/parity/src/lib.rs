//! Recorded requests, and their coverage of the routes of the mesh.
#![allow(clippy::expect_used, clippy::panic, reason = "a recording that can't be read has failed")]

pub mod corpus;
pub mod script;
