//! Settings that both fronts share: the hosts that a front answers to, and the origins whose pages may call.

#[cfg(test)]
mod fuzz;
mod hosts;
mod origin;

pub use hosts::{HostPattern, Hosts, NoHosts};
pub use origin::Origin;
