//! Settings that both fronts share: the hosts that a front answers to, the origins whose pages may call, and the headers that
//! pass.

#[cfg(test)]
mod fuzz;
pub mod headers;
mod hosts;
mod origin;

pub use hosts::{HostPattern, Hosts, NoHosts};
pub use origin::Origin;
