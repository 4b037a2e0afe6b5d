//! sessions: the slots that therapists offer, and their notes.
//!
//! This service decides which client has a slot; requests for slots belong to the appointments service. Each side's
//! state is one item, which also holds a pending event until the other side has received it.

mod account_deletion;
mod calendar;
mod change;
mod error;
mod internal;
mod key;
mod list;
mod model;
mod notes;
mod operators;
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
mod text_marks;
mod texts;
mod transition;
mod wire;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use keyring::Keyring;
use outbox::{Courier, Outbox, Subscriber};
use peers::Contacts;
use proto::sessions::v1::notes_text_service_server::{NotesTextServiceServer, SERVICE_NAME as NOTES_TEXT};
use proto::sessions::v1::session_service_server::{SERVICE_NAME as SESSION, SessionServiceServer};
use proto::sessions::v1::slot_service_server::{SERVICE_NAME as SLOT, SlotServiceServer};
use tonic::service::Routes;

pub use model::NotesText;
pub use operators::{NotesPage, NotesReader};
pub use store::SESSIONS;

use crate::ops::Ops;
use crate::service::Sessions;
use crate::store::{Bookings, Store};
use crate::text_marks::{TextMarks, Texts};

/// Name of the service.
pub const NAME: &str = proto::registry::SESSIONS.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// DynamoDB that holds the table [`SESSIONS`].
    pub dynamodb: dynamo::Client,
    /// Secrets for page tokens and idempotency records.
    pub secrets: Secrets,
    /// The service that holds the keys of notes.
    pub vault: Upstream,
    /// Configuration of the cache of keys.
    pub keyring: keyring::Config,
    /// The service that holds the relations of clients and therapists.
    pub mapping: Upstream,
    /// The service that receives the events of slots.
    pub appointments: Upstream,
    /// The service that receives the events of notes.
    pub search: Upstream,
    /// Configuration of the recovery of pending events.
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
    let text_outbox = text_outbox(&deps);
    tasks.spawn(text_outbox.clone().recover(interval));
    let ops = ops(deps, text_outbox)?;
    tasks.spawn(ops.outbox.clone().recover(interval));
    let services = Sessions(Arc::new(ops));
    let sessions = SessionServiceServer::new(services.clone());
    let slots = SlotServiceServer::new(services.clone());
    let texts = NotesTextServiceServer::new(services.clone());
    let routes = Routes::new(sessions.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(slots.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(texts.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[SESSION, SLOT, NOTES_TEXT, subscriber::SERVICE_NAME], routes, probe })
}

/// Creates the outbox of changed notes.
fn text_outbox(deps: &Deps) -> Outbox {
    let search = Subscriber { name: proto::registry::SEARCH.name, upstream: deps.search.clone() };
    Outbox::new(deps.dynamodb.table(&SESSIONS), vec![search], Texts)
}

fn ops(deps: Deps, text_outbox: Outbox) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, vault, keyring, mapping, appointments, search: _, events: _, platform } = deps;
    let table = dynamodb.table(&SESSIONS);
    let appointments = vec![Subscriber { name: proto::registry::APPOINTMENTS.name, upstream: appointments }];
    let courier = Courier::start(text_outbox, &platform.tasks);
    Ok(Ops {
        store: Store::new(table.clone(), TextMarks::new(courier, &platform)),
        tokens: PageTokens::new(&secrets, "sessions/page-tokens", Arc::clone(&platform.entropy))?,
        outbox: Outbox::new(table.clone(), appointments, Bookings),
        idempotency: Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?,
        keyring: Keyring::new(vault, &keyring, &platform),
        contacts: Contacts::new(mapping),
        platform,
    })
}
