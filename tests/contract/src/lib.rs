//! Checks of the API contract: functions over a descriptor set and the tables that have to follow it, which return
//! complaints. The tests call them with the set of the mesh, and `tests/added_rpc.rs` with one that has an RPC more.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::wildcard_enum_match_arm,
    reason = "a check that finds nothing, or what it doesn't know, has failed"
)]

pub mod descriptors;
pub mod document;
pub mod practice;
pub mod rest;
pub mod tables;

use prost_reflect::{DescriptorPool, MethodDescriptor};
use proto::options::{AccessRule, RpcOptions};

/// Root of the repository.
pub const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

/// Returns the descriptors of the mesh.
#[must_use]
pub fn pool() -> DescriptorPool {
    DescriptorPool::decode(proto::DESCRIPTOR_SET).unwrap()
}

/// An RPC and its access rule.
#[derive(Debug)]
pub struct Rpc {
    /// Descriptor.
    pub method: MethodDescriptor,
    /// Access rule.
    pub access: AccessRule,
}

impl Rpc {
    /// Returns the RPC of a method, whose options must be usable.
    #[must_use]
    pub fn of(method: MethodDescriptor) -> Self {
        let access = RpcOptions::of(&method).unwrap().access;
        Self { method, access }
    }

    /// Returns the path on the wire: `/<package>.<Service>/<Method>`.
    #[must_use]
    pub fn path(&self) -> String {
        format!("/{}/{}", self.method.parent_service().full_name(), self.method.name())
    }
}

/// Returns all RPCs.
#[must_use]
pub fn rpcs(pool: &DescriptorPool) -> Vec<Rpc> {
    methods(pool).map(Rpc::of).collect()
}

/// Returns the methods of all services.
pub fn methods(pool: &DescriptorPool) -> impl Iterator<Item = MethodDescriptor> {
    pool.services().flat_map(|service| service.methods().collect::<Vec<_>>())
}
