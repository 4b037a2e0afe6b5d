//! Tests of the index, on both engines.

mod calls;
mod find;
mod model;
mod races;
mod support;
mod writes;
