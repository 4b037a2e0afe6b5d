//! The whole mesh in one process: every service on its own port with the same listener, layers and clients as in
//! production, the embedded REST front, and an embedded DynamoDB.

mod config;
pub mod demo;
pub mod files;
mod front;
pub mod invocation;
mod mesh;
pub mod search_index;
mod services;
pub mod workloads;

pub use config::{Config, Storage};
pub use mesh::{Mesh, take_access_key, workload_issuer};
pub use services::TABLES;
