//! The clients service: holds the profiles of people in therapy.

mod error;
mod migrate;
mod model;
mod ops;
mod policy;
mod relations;
mod service;
mod store;
mod wire;

use std::sync::Arc;

use account_deletion::AccountDeletions;
use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::Idempotency;
use dynamo::secret::Secrets;
use kernel::{BoxError, Role};
use outbox::Subscriber;
use peers::{Accounts, Logins};
use proto::clients::v1::client_name_service_server::{ClientNameServiceServer, SERVICE_NAME as NAMES};
use proto::clients::v1::client_service_server::{ClientServiceServer, SERVICE_NAME as PROFILES};
use tonic::service::Routes;

pub use migrate::{Progress, migrate};
pub use store::CLIENTS;

use crate::ops::Ops;
use crate::relations::Relations;
use crate::service::{Clients, Names};
use crate::store::{Store, profile_key};

/// The name of the service.
pub const NAME: &str = proto::registry::CLIENTS.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`CLIENTS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that idempotency records are made with.
    pub secrets: Secrets,
    /// The service that holds the accounts and the logins.
    pub auth: Upstream,
    /// The service that holds relations.
    pub mapping: Upstream,
    /// The service that holds appointments.
    pub appointments: Upstream,
    /// Subscribers of account deletions, in order of delivery: auth first, so that the logins end first.
    pub subscribers: Vec<Subscriber>,
    /// Settings of the recovery of account deletions.
    pub account_deletion: account_deletion::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, secrets, auth, mapping, appointments, subscribers, account_deletion: recovery, platform } =
        deps;
    let table = dynamodb.table(&CLIENTS);
    let store = Store::new(table.clone());
    let account_deletions =
        AccountDeletions::new(table.clone(), subscribers, Role::Client, platform.clone(), profile_key);
    platform.tasks.spawn(account_deletions.clone().recover(recovery.recovery_interval));
    let probe = bootstrap::probe(&table);
    let idempotency = Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?;
    let ops = Arc::new(Ops {
        store,
        accounts: Accounts::new(auth.clone()),
        relations: Relations::new(mapping, appointments),
        idempotency,
        logins: Logins::new(auth),
        platform,
        account_deletions,
    });
    let profiles = ClientServiceServer::new(Clients(Arc::clone(&ops)));
    let names = ClientNameServiceServer::new(Names(ops));
    let routes = Routes::new(profiles.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(names.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[PROFILES, NAMES], routes, probe })
}
