//! auth: accounts, passwords, logins, access and refresh tokens, and the keys that sign them.

mod accounts;
mod budget;
mod config;
mod error;
mod guard;
mod login;
mod model;
mod ops;
mod password;
mod rekey;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod throttle;
mod token;
mod wire;

use std::sync::Arc;

use chassis::identity::{self, Keys};
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use kernel::BoxError;
use proto::auth::v1::account_service_server::{AccountServiceServer, SERVICE_NAME as ACCOUNTS};
use proto::auth::v1::auth_service_server::{AuthServiceServer, SERVICE_NAME as AUTH};
use proto::auth::v1::login_service_server::{LoginServiceServer, SERVICE_NAME as LOGINS};
use tonic::service::Routes;

pub use accounts::Addresses;
pub use config::Config;
pub use rekey::{Collision, Progress, rekey_addresses};
pub use store::USERS;

use crate::accounts::Accounts;
use crate::budget::Budgets;
use crate::guard::Guard;
use crate::login::Replica;
use crate::ops::Ops;
use crate::password::Hasher;
use crate::service::{Events, Logins, People};
use crate::store::{Store, Subjects};
use crate::token::{AccessSigner, RefreshTokens, SigningKeys};

/// The name of the service.
pub const NAME: &str = proto::registry::AUTH.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`USERS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that seal signing keys and sign refresh tokens.
    pub secrets: Secrets,
    /// Settings by which tokens are verified, and so must be issued.
    pub identity: identity::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service, and the keys that its own layers verify access tokens with.
///
/// # Errors
/// If the table can't be read, the hashing threads can't be started, or the stored signing keys can't be opened.
pub async fn build(config: Config, deps: Deps) -> Result<(Service, Keys), BoxError> {
    let probe = bootstrap::probe(&deps.dynamodb.table(&USERS));
    let ops = Arc::new(ops(config, deps).await?);
    let verifiers = Keys::of_owner(ops.signer.keys.verifiers());
    let people = AuthServiceServer::new(People(Arc::clone(&ops)));
    let logins = LoginServiceServer::new(Logins(Arc::clone(&ops)));
    let accounts = AccountServiceServer::new(Accounts(Arc::clone(&ops)));
    let routes = Routes::new(people.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(logins.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(accounts.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(Events(ops)));
    Ok((
        Service { name: NAME, grpc_services: &[AUTH, LOGINS, ACCOUNTS, subscriber::SERVICE_NAME], routes, probe },
        verifiers,
    ))
}

/// Returns the use cases, after the signing keys are read and their refresh is started.
async fn ops(config: Config, deps: Deps) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, identity, platform } = deps;
    let (clock, entropy, tasks) = (platform.clock, platform.entropy, platform.tasks);
    let store = Store::new(dynamodb.table(&USERS));
    let keys = SigningKeys::new(store.clone(), &secrets, &config, Arc::clone(&clock), Arc::clone(&entropy))?;
    keys.published().await?;
    tasks.spawn(keys.clone().watch());
    let life = config.access_token_life;
    let hasher = Hasher::start(&config, Arc::clone(&entropy))?;
    let subjects = Subjects::new(&secrets)?;
    let budgets = Budgets::new(store.clone(), subjects.clone(), &config, Arc::clone(&clock));
    let guard = Guard::new(store.clone(), hasher.clone(), subjects, &config, Arc::clone(&clock), tasks);
    Ok(Ops {
        store,
        hasher,
        guard,
        budgets,
        signer: AccessSigner { keys, identity, life, clock: Arc::clone(&clock), entropy: Arc::clone(&entropy) },
        refresh_tokens: RefreshTokens::new(&secrets)?,
        replica: Replica(u64::from_be_bytes(entropy.array())),
        config,
        clock,
        entropy,
    })
}
