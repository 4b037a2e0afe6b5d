//! The embedded REST front: transcodes REST to gRPC by the descriptors, and proxies gRPC.
//!
//! A request runs through the modules in this order: [`front`] (dispatch), `route` (lookup of the RPC), `metadata` (filter of
//! the headers), `bind` (path, query and body into the RPC's message), `upstream` (the call), `frames` (the messages of the
//! answer), `transcode` (the answer as JSON), or `rest_error` (the error as JSON).
//!
//! The front decides by no rule of the product: direct calls to the services get the same answers. It knows the `rules` of
//! fields that the OpenAPI document has, to name all bad fields of a request that has no form of its message.

mod admission;
mod bind;
mod config;
mod cors;
mod deadline;
mod docs;
mod frames;
mod front;
#[cfg(test)]
mod fuzz;
mod health;
mod json;
mod metadata;
mod native;
mod percent;
mod proto_time;
mod reflection;
mod request_validation;
mod rest;
mod rest_error;
mod route;
mod rules;
mod schema;
mod server;
mod shared;
mod stream;
mod transcode;
mod upstream;
mod web;
mod wire;

pub use admission::Admission;
pub use config::{Config, UpstreamAddress};
pub use front::Front;
pub use route::UnusableDescriptors;
pub use server::{FrontServer, ServerSetup};
pub use shared::Setup;
pub use upstream::Upstream;

/// Returns whether a front routes calls to the RPC at this path: every RPC that is not internal.
#[must_use]
pub fn is_routable(path: &str) -> bool {
    proto::Rpc::find(path).is_some_and(|rpc| !rpc.is_internal())
}
