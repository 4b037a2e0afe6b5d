//! What the tests share: engines, fronts, meshes, callers.

pub mod engine;
pub mod envoy;
pub mod front_service;
pub mod fault;
pub mod otlp;
