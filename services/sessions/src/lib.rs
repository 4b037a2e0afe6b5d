//! sessions: what therapists offer, when, and what they note of it.
//!
//! Who has a slot is decided here; the appointments that ask for slots are another service's. Each side's truth is one item,
//! and each side's event rides in the item until the other has heard of it.

mod calendar;
mod change;
mod contact;
mod ended;
mod internal;
mod list;
mod model;
mod ops;
mod policy;
mod row;
mod service;
mod slot;
mod slots;
mod store;
mod stored;
#[cfg(test)]
mod tests;
mod transition;
mod wire;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use keyring::Keyring;
use outbox::{Outbox, Subscriber};
use proto::events::v1::subscriber_service_server::{SERVICE_NAME as EVENTS, SubscriberServiceServer};
use proto::sessions::v1::session_service_server::{SERVICE_NAME as SESSION, SessionServiceServer};
use proto::sessions::v1::slot_service_server::{SERVICE_NAME as SLOT, SlotServiceServer};
use tonic::service::Routes;

pub use store::SESSIONS;

use crate::contact::Contact;
use crate::ops::Ops;
use crate::service::Sessions;
use crate::store::{Bookings, Store};

/// The name of the service.
pub const NAME: &str = "sessions";

/// What the service is given.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`SESSIONS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and idempotency records are made with.
    pub secrets: Secrets,
    /// The service that has the keys which notes are sealed with.
    pub vault: Upstream,
    /// How long a key is kept.
    pub keyring: keyring::Config,
    /// The service that knows who is related.
    pub mapping: Upstream,
    /// The service that is told what becomes of slots.
    pub appointments: Upstream,
    /// How events are recovered.
    pub events: outbox::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let probe = bootstrap::probe(&deps.dynamodb.table(&SESSIONS));
    let (interval, tasks) = (deps.events.recovery_interval, deps.platform.tasks.clone());
    let ops = ops(deps)?;
    tasks.spawn(ops.outbox.clone().recover(interval));
    let services = Sessions(Arc::new(ops));
    let sessions = SessionServiceServer::new(services.clone());
    let slots = SlotServiceServer::new(services.clone());
    let events = SubscriberServiceServer::new(services);
    let routes = Routes::new(sessions.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(slots.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(events.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[SESSION, SLOT, EVENTS], routes, probe })
}

fn ops(deps: Deps) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, vault, keyring, mapping, appointments, events: _, platform } = deps;
    let table = dynamodb.table(&SESSIONS);
    let subscribers = vec![Subscriber { name: "appointments", upstream: appointments }];
    Ok(Ops {
        store: Store::new(table.clone()),
        tokens: PageTokens::new(&secrets, "sessions/page-tokens", Arc::clone(&platform.entropy))?,
        outbox: Outbox::new(table.clone(), subscribers, Bookings),
        idempotency: Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?,
        keyring: Keyring::new(vault, &keyring, &platform),
        contact: Contact(mapping),
        platform,
    })
}
