//! The therapists service: holds the profiles of therapists and their directory.

mod error;
#[cfg(test)]
mod fuzz;
mod migrate;
mod model;
mod ops;
mod policy;
mod service;
mod store;
mod text;
mod wire;

use std::sync::Arc;

use account_deletion::AccountDeletions;
use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::{BoxError, Role};
use outbox::Subscriber;
use peers::{Accounts, Logins};
use proto::therapists::v1::therapist_name_service_server::{SERVICE_NAME as NAMES, TherapistNameServiceServer};
use proto::therapists::v1::therapist_service_server::{SERVICE_NAME as PROFILES, TherapistServiceServer};
use tonic::service::Routes;

pub use migrate::{Progress, migrate};
pub use store::THERAPISTS;

use crate::ops::Ops;
use crate::service::{Names, Therapists};
use crate::store::{Store, profile_key};

/// The name of the service.
pub const NAME: &str = proto::registry::THERAPISTS.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`THERAPISTS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and idempotency records are made with.
    pub secrets: Secrets,
    /// The service that holds the accounts and the logins.
    pub auth: Upstream,
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
    let Deps { dynamodb, secrets, auth, subscribers, account_deletion: recovery, platform } = deps;
    let table = dynamodb.table(&THERAPISTS);
    let store = Store::new(table.clone());
    let account_deletions =
        AccountDeletions::new(table.clone(), subscribers, Role::Therapist, platform.clone(), profile_key);
    platform.tasks.spawn(account_deletions.clone().recover(recovery.recovery_interval));
    let probe = bootstrap::probe(&table);
    let tokens = PageTokens::new(&secrets, "therapists/page-tokens", Arc::clone(&platform.entropy))?;
    let idempotency = Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?;
    let ops = Arc::new(Ops {
        store,
        accounts: Accounts::new(auth.clone()),
        tokens,
        idempotency,
        logins: Logins::new(auth),
        platform,
        account_deletions,
    });
    let profiles = TherapistServiceServer::new(Therapists(Arc::clone(&ops)));
    let names = TherapistNameServiceServer::new(Names(ops));
    let routes = Routes::new(profiles.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(names.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[PROFILES, NAMES], routes, probe })
}
