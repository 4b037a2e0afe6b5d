//! The embedded REST front: turns REST into gRPC by the descriptors, and lets gRPC through.
//!
//! A request runs through the modules in this order: [`front`] (which part answers), `route` (which RPC), `metadata`
//! (which headers pass), `bind` (path, query and body into the RPC's message), `upstream` (the call), `frames` (the
//! messages of the answer), `transcode` (the answer as JSON), or `refusal` (the error as JSON).
//!
//! The front holds no rule of the product: whoever calls the services directly gets the same answers.

mod admission;
mod bind;
mod config;
mod cors;
mod docs;
mod end;
mod form;
mod frames;
mod front;
#[cfg(test)]
mod fuzz;
mod health;
mod json;
mod metadata;
mod native;
mod percent;
mod reflection;
mod refusal;
mod rest;
mod route;
mod schema;
mod stream;
mod time_text;
mod transcode;
mod upstream;
mod web;
mod wire;

pub use admission::Admission;
pub use config::{Config, UpstreamAddress};
pub use front::{Front, Setup};
pub use route::UnusableDescriptors;
pub use upstream::Upstream;

/// Whether people may call an RPC of the mesh: what a front in production routes to.
#[must_use]
pub fn is_public(path: &str) -> bool {
    proto::Rpc::find(path).is_some_and(|rpc| !rpc.is_internal())
}
