//! Routes: which request is which RPC, and what of it goes into which field.

#[cfg(test)]
mod fuzz;
mod rule;
mod table;
mod template;
mod tree;

pub use table::UnusableDescriptors;
pub(crate) use table::{BodyRule, Route, Rpc, Success, Table, resolve};
pub(crate) use tree::Segments;
