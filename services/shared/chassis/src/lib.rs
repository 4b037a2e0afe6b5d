//! Common base of every service: one listener, layers in one declared order, identity, errors, health, configuration,
//! and clients for calling other services.
//!
//! A domain crate builds a [`Service`]; [`server::start`] serves it. A request passes, from the wire inwards: the
//! listener, telemetry, and then [`server::LAYERS`].

mod access;
mod answer;
mod budget;
pub mod client;
pub mod config;
mod context;
mod deadline;
mod drain;
#[cfg(test)]
mod fuzz;
pub mod health;
pub mod identity;
mod keyed_mutex;
mod limit;
pub mod listener;
mod message;
mod paged;
mod platform;
mod proxies;
pub mod server;
mod slots;
mod stage;
mod status;
mod tasks;

pub use answer::{HTTP_BODY_FIELD, HTTP_CODE};
pub use budget::{Budget, Held, Holder, Holders};
pub use context::{AUTHORIZATION, Context, IDEMPOTENCY_KEY, WORKLOAD_TOKEN};
pub use health::Probe;
pub use keyed_mutex::KeyedMutex;
pub use message::{Reader, Unread, too_many};
pub use paged::{NEXT_PAGE_TOKEN, paged};
pub use platform::{Platform, SystemEntropy};
pub use proxies::{FORWARDED_FOR, TrustedProxies};
pub use server::{Running, Service};
pub use status::to_status;
pub use tasks::Tasks;
