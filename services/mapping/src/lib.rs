//! mapping: the relation of each client and therapist, on which all of a therapist's permissions depend.
//!
//! A relation consists of the mapping, access to the journal, requests, contact, and the history of the client's
//! consent.

mod error;
mod internal;
mod invitation_service;
mod invitations;
mod item;
mod list;
mod model;
mod ops;
mod policy;
mod rejections;
mod searchable;
mod service;
mod store;
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
use outbox::{Outbox, Subscriber};
use peers::{Accounts, ClientNames, Logins, TherapistNames};
use proto::mapping::v1::consent_service_server::{ConsentServiceServer, SERVICE_NAME as CONSENT};
use proto::mapping::v1::invitation_service_server::{InvitationServiceServer, SERVICE_NAME as INVITATIONS};
use proto::mapping::v1::mapping_service_server::{MappingServiceServer, SERVICE_NAME as MAPPING};
use tonic::service::Routes;

pub use store::MAPPINGS;

use crate::invitations::{Addresses, Invitations};
use crate::ops::Ops;
use crate::service::Services;
use crate::store::{RelationEvents, Store};

/// The name of the service.
pub const NAME: &str = proto::registry::MAPPING.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`MAPPINGS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens, idempotency records and digests of addresses are made with.
    pub secrets: Secrets,
    /// The service that holds the accounts and the logins.
    pub auth: Upstream,
    /// The service that knows the names of clients.
    pub clients: Upstream,
    /// The service that knows the names of therapists.
    pub therapists: Upstream,
    /// The service that withdraws what a client has asked for.
    pub appointments: Upstream,
    /// Recovery of events that a crash left undelivered.
    pub events: outbox::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let probe = bootstrap::probe(&deps.dynamodb.table(&MAPPINGS));
    let (tasks, interval) = (deps.platform.tasks.clone(), deps.events.recovery_interval);
    let ops = ops(deps)?;
    tasks.spawn(ops.outbox.clone().recover(interval));
    let services = Services(Arc::new(ops));
    let mapping = MappingServiceServer::new(services.clone());
    let consent = ConsentServiceServer::new(services.clone());
    let invitations = InvitationServiceServer::new(services.clone());
    let routes = Routes::new(mapping.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(consent.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(invitations.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[MAPPING, CONSENT, INVITATIONS, subscriber::SERVICE_NAME], routes, probe })
}

fn ops(deps: Deps) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, auth, clients, therapists, appointments, events: _, platform } = deps;
    let table = dynamodb.table(&MAPPINGS);
    let subscribers = vec![Subscriber { name: proto::registry::APPOINTMENTS.name, upstream: appointments }];
    let invitations = Invitations {
        store: invitations::Store::new(table.clone(), Arc::clone(&platform.entropy)),
        accounts: Accounts::new(auth.clone()),
        addresses: Addresses::new(&secrets)?,
    };
    Ok(Ops {
        store: Store::new(table.clone()),
        tokens: PageTokens::new(&secrets, "mapping/page-tokens", Arc::clone(&platform.entropy))?,
        idempotency: Idempotency::new(table.clone(), &secrets, Arc::clone(&platform.clock))?,
        logins: Logins::new(auth),
        clients: ClientNames::new(clients),
        therapists: TherapistNames::new(therapists),
        invitations,
        outbox: Outbox::new(table, subscribers, RelationEvents),
        platform,
    })
}
