//! appointments: requests of clients for sessions, from the request to its end.

mod account_deletion;
mod error;
mod facts;
mod list;
mod model;
mod ops;
mod policy;
mod saga;
mod service;
mod slots;
mod store;
#[cfg(test)]
mod tests;
mod transition;
mod wire;
mod withdrawn;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{KeyedMutex, MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use outbox::{Outbox, Subscriber};
use peers::Contacts;
use proto::appointments::v1::appointment_facts_service_server::{AppointmentFactsServiceServer, SERVICE_NAME as FACTS};
use proto::appointments::v1::appointment_service_server::{AppointmentServiceServer, SERVICE_NAME as APPOINTMENT};
use tonic::service::Routes;

pub use store::APPOINTMENTS;

use crate::ops::Ops;
use crate::saga::Revocations;
use crate::service::Services;
use crate::slots::Sessions;
use crate::store::Store;

/// The name of the service.
pub const NAME: &str = proto::registry::APPOINTMENTS.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`APPOINTMENTS`].
    pub dynamodb: dynamo::Client,
    /// Secrets of page tokens and idempotency records.
    pub secrets: Secrets,
    /// The service that records the relations of clients and therapists.
    pub mapping: Upstream,
    /// The service that owns the slots, and receives the events of revocations.
    pub sessions: Upstream,
    /// Configuration of the outbox recovery.
    pub events: outbox::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let probe = bootstrap::probe(&deps.dynamodb.table(&APPOINTMENTS));
    let (tasks, interval) = (deps.platform.tasks.clone(), deps.events.recovery_interval);
    let ops = ops(deps)?;
    tasks.spawn(ops.outbox.clone().recover(interval));
    let services = Services(Arc::new(ops));
    let appointments = AppointmentServiceServer::new(services.clone());
    let facts = AppointmentFactsServiceServer::new(services.clone());
    let routes = Routes::new(appointments.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(facts.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[APPOINTMENT, FACTS, subscriber::SERVICE_NAME], routes, probe })
}

fn ops(deps: Deps) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, mapping, sessions, events: _, platform } = deps;
    let table = dynamodb.table(&APPOINTMENTS);
    let subscribers = vec![Subscriber { name: "sessions", upstream: sessions.clone() }];
    Ok(Ops {
        store: Store::new(table.clone()),
        tokens: PageTokens::new(&secrets, "appointments/page-tokens", Arc::clone(&platform.entropy))?,
        idempotency: Idempotency::new(table.clone(), &secrets, Arc::clone(&platform.clock))?,
        sessions: Sessions(sessions),
        contacts: Contacts::new(mapping),
        outbox: Outbox::new(table, subscribers, Revocations),
        request_locks: KeyedMutex::default(),
        platform,
    })
}
