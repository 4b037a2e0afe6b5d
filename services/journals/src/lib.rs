//! journals: the clients' entries of emotions, with time and intensity.

mod consent;
mod content;
mod entry_query;
mod error;
mod events;
mod insights;
mod model;
mod ops;
mod pages;
mod policy;
mod reads;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod vocabulary;
mod wire;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use keyring::Keyring;
use proto::journals::v1::journal_service_server::{JournalServiceServer, SERVICE_NAME as JOURNAL};
use tonic::service::Routes;

pub use store::JOURNALS;

use crate::consent::Consent;
use crate::ops::Ops;
use crate::pages::Pages;
use crate::service::Journals;
use crate::store::Store;

/// The name of the service.
pub const NAME: &str = proto::registry::JOURNALS.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`JOURNALS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and idempotency records are made with.
    pub secrets: Secrets,
    /// The service that holds the keys of entries.
    pub vault: Upstream,
    /// Configuration of the cache of keys.
    pub keyring: keyring::Config,
    /// The service that holds the clients' consent.
    pub mapping: Upstream,
    /// The service that keeps the access log.
    pub audit: Upstream,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, secrets, vault, keyring, mapping, audit, platform } = deps;
    let table = dynamodb.table(&JOURNALS);
    let probe = bootstrap::probe(&table);
    let ops = Ops {
        pages: Pages {
            store: Store::new(table.clone(), Arc::clone(&platform.entropy)),
            tokens: PageTokens::new(&secrets, "journals/page-tokens", Arc::clone(&platform.entropy))?,
        },
        idempotency: Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?,
        keyring: Keyring::new(vault, &keyring, &platform),
        consent: Consent { mapping, audit },
        platform,
    };
    let services = Journals(Arc::new(ops));
    let journal = JournalServiceServer::new(services.clone());
    let routes = Routes::new(journal.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[JOURNAL, subscriber::SERVICE_NAME], routes, probe })
}
