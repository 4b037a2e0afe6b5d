//! Tests of the index, on both engines.

mod calls;
mod find;
mod maintenance;
mod model;
mod races;
mod support;
mod writes;
