//! Shared test support: engines, fronts, meshes, callers.

pub mod engine;
pub mod entropy;
pub mod envoy;
pub mod fault;
pub mod front_service;
#[cfg(feature = "mesh")]
pub mod mesh;
pub mod otlp;
pub mod peers;
pub mod subscriber;
pub mod test_env;
pub mod wait;
