//! Routes requests to RPCs, and their parts to fields, by `google.api.http`.

#[cfg(test)]
mod fuzz;
mod table;
mod tree;

pub use table::UnusableDescriptors;
pub(crate) use table::{BodyRule, Route, Rpc, Success, Table, resolve};
pub(crate) use tree::Segments;
