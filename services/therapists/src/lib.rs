//! therapists: the profiles of therapists and the directory of them.

mod migrate;
mod model;
mod ops;
mod policy;
mod service;
mod store;
mod wire;

use std::sync::Arc;

use account_deletion::AccountDeletions;
use accounts::Accounts;
use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::{BoxError, Role};
use logins::Logins;
use outbox::Subscriber;
use proto::therapists::v1::therapist_name_service_server::{SERVICE_NAME as NAMES, TherapistNameServiceServer};
use proto::therapists::v1::therapist_service_server::{SERVICE_NAME as PROFILES, TherapistServiceServer};
use tonic::service::Routes;

pub use migrate::{Progress, migrate};
pub use store::THERAPISTS;

use crate::ops::Ops;
use crate::service::{Names, Therapists};
use crate::store::{Store, profile_key};

/// The name of the service.
pub const NAME: &str = "therapists";

/// What the service is given.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`THERAPISTS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and idempotency records are made with.
    pub secrets: Secrets,
    /// The service that holds the accounts and the logins.
    pub auth: Upstream,
    /// Those who are told that an account is ended, in this order: auth first, so that its logins end first.
    pub subscribers: Vec<Subscriber>,
    /// How endings are recovered.
    pub endings: account_deletion::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, secrets, auth, subscribers, endings: recovery, platform } = deps;
    let table = dynamodb.table(&THERAPISTS);
    let store = Store::new(table.clone());
    let endings = AccountDeletions::new(table.clone(), subscribers, Role::Therapist, platform.clone(), profile_key);
    platform.tasks.spawn(endings.clone().recover(recovery.recovery_interval));
    let probe = bootstrap::probe(&table);
    let tokens = PageTokens::new(&secrets, "therapists/page-tokens", platform.entropy)?;
    let idempotency = Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?;
    let ops = Arc::new(Ops {
        store,
        accounts: Accounts::new(auth.clone()),
        tokens,
        idempotency,
        logins: Logins::new(auth),
        clock: platform.clock,
        endings,
    });
    let profiles = TherapistServiceServer::new(Therapists(Arc::clone(&ops)));
    let names = TherapistNameServiceServer::new(Names(ops));
    let routes = Routes::new(profiles.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(names.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[PROFILES, NAMES], routes, probe })
}
