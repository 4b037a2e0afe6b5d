//! vault: the data keys of people. A person's content is sealed under a key of their own, which is kept here, wrapped
//! by a key-encryption key, and destroyed with their account: from then on the content is unreadable.
//!
//! Key-encryption keys rotate without touching the content that data keys sealed:
//!
//! 1. Append the new key to the file, as its last line, for every replica: it unwraps.
//! 2. Move it to the first line, for every replica: it wraps.
//! 3. [`rewrap`] the data keys that older ones wrap, until it finds none.
//! 4. Remove the lines of the older ones.
//!
//! A copy of the table from before a key was destroyed, such as a backup, still holds it: it lasts until the
//! key-encryption key that wraps it there is gone too.

mod config;
mod kek;
mod model;
mod ops;
mod people;
mod rewrap;
mod service;
mod store;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use kernel::BoxError;
use proto::vault::v1::vault_service_server::{SERVICE_NAME as KEYS, VaultServiceServer};
use tonic::service::Routes;

pub use config::Config;
pub use people::People;
pub use rewrap::{Progress, rewrap};
pub use store::DATA_KEYS;

use crate::kek::LocalKeys;
use crate::ops::Vault;
use crate::service::Services;
use crate::store::Store;

/// Name of the service.
pub const NAME: &str = proto::registry::VAULT.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// DynamoDB that holds the table [`DATA_KEYS`].
    pub dynamodb: dynamo::Client,
    /// Key-encryption keys: the current one wraps, the others still unwrap.
    pub key_encryption_keys: Secrets,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If the table can't be read, or data keys in it are wrapped by a key-encryption key that is not given.
pub async fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, key_encryption_keys, platform } = deps;
    let vault = open(&dynamodb, &key_encryption_keys, &platform).await?;
    let probe = bootstrap::probe(&dynamodb.table(&DATA_KEYS));
    let services = Services(Arc::new(vault));
    let keys = VaultServiceServer::new(services.clone());
    let routes = Routes::new(keys.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[KEYS, subscriber::SERVICE_NAME], routes, probe })
}

/// Opens the vault over its table, and checks that it has every key-encryption key that it needs.
async fn open(dynamodb: &dynamo::Client, keys: &Secrets, platform: &Platform) -> Result<Vault, BoxError> {
    let table = dynamodb.table(&DATA_KEYS);
    let keys = LocalKeys::new(keys, table.clone(), Arc::clone(&platform.entropy))?;
    let vault = Vault {
        store: Store::new(table),
        keys: Arc::new(keys),
        clock: Arc::clone(&platform.clock),
        entropy: Arc::clone(&platform.entropy),
    };
    vault.prepare().await?;
    Ok(vault)
}
