//! Common base of every service: layers in one declared order, identity, errors, health, configuration, and calls of
//! other services.
//!
//! A domain crate builds a [`Service`]; [`server::start`] serves it. A request passes, from the wire inwards: the
//! [listener](transport::listener), [telemetry], and then [`server::LAYERS`].

mod access;
mod answer;
mod caller;
pub mod client;
pub mod config;
mod context;
mod deadline;
mod drain;
mod event_stream;
#[cfg(test)]
mod fuzz;
pub mod health;
pub mod identity;
mod keyed_mutex;
mod limit;
mod paged;
mod platform;
mod request_id;
pub mod server;
mod stage;
mod status;
mod tasks;

pub use answer::{HTTP_BODY_FIELD, HTTP_CODE};
pub use caller::Caller;
pub use context::{AUTHORIZATION, Context, IDEMPOTENCY_KEY, WORKLOAD_TOKEN};
pub use event_stream::{Event, EventStream, LAST_EVENT_ID, event_stream, last_event_id};
pub use health::Probe;
pub use keyed_mutex::{KeyedMutex, KeyedMutexGuard};
pub use limit::{MAX_RECEIVE, MAX_SEND};
pub use paged::{NEXT_PAGE_TOKEN, paged};
pub use platform::{Platform, SystemEntropy};
pub use server::{Running, Service};
pub use status::to_status;
pub use tasks::Tasks;
