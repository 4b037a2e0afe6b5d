//! journals: the clients' entries of emotions, with time and intensity.

mod changes;
mod consent;
mod content;
mod entry_query;
mod error;
mod events;
mod import;
mod insights;
mod journal_texts;
mod model;
mod ops;
mod pages;
mod policy;
mod reads;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod texts;
mod vocabulary;
mod wire;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::secret::Secrets;
use dynamo::{Idempotency, PageTokens};
use kernel::BoxError;
use keyring::Keyring;
use outbox::{Courier, Outbox, Subscriber};
use proto::journals::v1::entry_text_service_server::{EntryTextServiceServer, SERVICE_NAME as TEXTS};
use proto::journals::v1::journal_service_server::{JournalServiceServer, SERVICE_NAME as JOURNAL};
use tonic::service::Routes;

pub use import::JournalImport;
pub use journal_texts::{JournalTexts, TextPage};
pub use store::JOURNALS;

use crate::changes::{Changes, EntryEvents};
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
    /// The service that is told of changed entries.
    pub search: Upstream,
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
    let probe = bootstrap::probe(&deps.dynamodb.table(&JOURNALS));
    let (tasks, interval) = (deps.platform.tasks.clone(), deps.events.recovery_interval);
    let outbox = outbox(&deps);
    tasks.spawn(outbox.clone().recover(interval));
    let services = Journals(Arc::new(ops(deps, outbox)?));
    let journal = JournalServiceServer::new(services.clone());
    let texts = EntryTextServiceServer::new(services.clone());
    let routes = Routes::new(journal.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(texts.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(services));
    Ok(Service { name: NAME, grpc_services: &[JOURNAL, TEXTS, subscriber::SERVICE_NAME], routes, probe })
}

/// Creates the outbox of changed entries.
fn outbox(deps: &Deps) -> Outbox {
    let search = Subscriber { name: proto::registry::SEARCH.name, upstream: deps.search.clone() };
    Outbox::new(deps.dynamodb.table(&JOURNALS), vec![search], EntryEvents)
}

fn ops(deps: Deps, outbox: Outbox) -> Result<Ops, BoxError> {
    let Deps { dynamodb, secrets, vault, keyring, mapping, audit, search: _, events: _, platform } = deps;
    let table = dynamodb.table(&JOURNALS);
    Ok(Ops {
        pages: Pages {
            store: Store::new(table.clone(), Arc::clone(&platform.entropy)),
            tokens: PageTokens::new(&secrets, "journals/page-tokens", Arc::clone(&platform.entropy))?,
        },
        idempotency: Idempotency::new(table, &secrets, Arc::clone(&platform.clock))?,
        keyring: Keyring::new(vault, &keyring, &platform),
        consent: Consent { mapping, audit },
        changes: Changes { courier: Courier::start(outbox, &platform.tasks), platform: platform.clone() },
        platform,
    })
}
