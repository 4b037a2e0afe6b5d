//! messages: the conversations between clients and therapists, live.

mod config;
mod content;
mod error;
mod events;
mod hub;
mod lists;
mod model;
mod ops;
mod policy;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod watch;
mod wire;
mod writers;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use keyring::Keyring;
use peers::{ClientNames, Contacts, Logins, TherapistNames};
use proto::messages::v1::message_service_server::{MessageServiceServer, SERVICE_NAME as MESSAGE};
use tonic::service::Routes;

pub use config::Config;
pub use store::MESSAGES;

use crate::hub::Hub;
use crate::ops::Ops;
use crate::service::Messages;
use crate::store::Store;
use crate::writers::Writers;

/// The name of the service.
pub const NAME: &str = proto::registry::MESSAGES.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`MESSAGES`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and idempotency records are made with.
    pub secrets: Secrets,
    /// The service that holds the keys of messages.
    pub vault: Upstream,
    /// Configuration of the cache of keys.
    pub keyring: keyring::Config,
    /// The service that decides who may write to whom.
    pub mapping: Upstream,
    /// The service that knows which logins have ended.
    pub auth: Upstream,
    /// The service that knows the names of clients.
    pub clients: Upstream,
    /// The service that knows the names of therapists.
    pub therapists: Upstream,
    /// Configuration of watching.
    pub config: Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service, and starts the background tasks of watching.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let probe = bootstrap::probe(&deps.dynamodb.table(&MESSAGES));
    let services = Messages(Arc::new(ops(deps)?));
    let messages = MessageServiceServer::new(services.clone());
    let routes = Routes::new(messages.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[MESSAGE, subscriber::SERVICE_NAME], routes, probe })
}

fn ops(deps: Deps) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, vault, keyring, mapping, auth, clients, therapists, config, platform } = deps;
    let table = dynamodb.table(&MESSAGES);
    let store = Arc::new(Store::new(table.clone(), Arc::clone(&platform.entropy)));
    let hub = Hub::new(config.max_watchers);
    let poll = watch::poll(hub.clone(), Arc::clone(&store), Arc::clone(&platform.clock), config.clone());
    platform.tasks.spawn(poll);
    let logins = Logins::new(auth);
    platform.tasks.spawn(watch::check_logins(hub.clone(), logins.clone(), config));
    Ok(Ops {
        writers: Writers::new(Arc::clone(&store), hub.clone(), platform.clone()),
        store,
        hub,
        tokens: PageTokens::new(&secrets, "messages/page-tokens", Arc::clone(&platform.entropy))?,
        idempotency: Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?,
        keyring: Keyring::new(vault, &keyring, &platform),
        contacts: Contacts::new(mapping),
        clients: ClientNames::new(clients),
        therapists: TherapistNames::new(therapists),
        logins,
        platform,
    })
}
