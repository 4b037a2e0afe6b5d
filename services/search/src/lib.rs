//! search: finds words again in what a person may read.
//!
//! Texts stay where they are: this service holds an index of their words that nobody can read ([`index`]). Journals and
//! sessions tell it of changes, and it asks them for the text.

mod error;
pub mod index;
mod indexer;
mod maintenance;
mod model;
mod ops;
mod owners;
mod policy;
mod service;
mod text;
mod wire;
mod writers;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::PageTokens;
use dynamo::secret::Secrets;
use kernel::BoxError;
use keyring::Keyring;
use peers::ClientNames;
use proto::search::v1::search_service_server::{SERVICE_NAME as SEARCH, SearchServiceServer};
use tokio::sync::Semaphore;
use tonic::service::Routes;

pub use index::SEARCH_INDEX;
pub use maintenance::{Difference, Maintenance, OwnedText, Survey};
pub use text::{Matches, Query, Snippet, Term, terms};

use crate::index::Index;
use crate::indexer::{Feed, Indexer};
use crate::ops::{MAX_READS, Ops};
use crate::owners::Owners;
use crate::service::Searches;
use crate::writers::Writers;

/// The name of the service.
pub const NAME: &str = proto::registry::SEARCH.name;

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`SEARCH_INDEX`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and the pseudonyms of people are made with.
    pub secrets: Secrets,
    /// The service that holds the keys that the index is made with.
    pub vault: Upstream,
    /// Configuration of the cache of keys.
    pub keyring: keyring::Config,
    /// The service that holds the entries.
    pub journals: Upstream,
    /// The service that holds the notes.
    pub sessions: Upstream,
    /// The service that holds the relations and the clients' consent.
    pub mapping: Upstream,
    /// The service that holds the names of clients.
    pub clients: Upstream,
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
    let Deps { dynamodb, secrets, vault, keyring, journals, sessions, mapping, clients, audit, platform } = deps;
    let table = dynamodb.table(&SEARCH_INDEX);
    let probe = bootstrap::probe(&table);
    let index = Index::new(table, &secrets, Arc::clone(&platform.clock), Arc::clone(&platform.entropy))?;
    let keyring = Keyring::new(vault, &keyring, &platform);
    let owners = Owners { journals, sessions, mapping, audit };
    let feed = Feed {
        indexer: Indexer { index: index.clone() },
        owners: owners.clone(),
        keyring: keyring.clone(),
        clock: Arc::clone(&platform.clock),
    };
    let tokens = PageTokens::new(&secrets, "search/page-tokens", Arc::clone(&platform.entropy))?;
    let ops =
        Ops { index, keyring, owners, names: ClientNames::new(clients), tokens, reads: Semaphore::new(MAX_READS) };
    let searches = Searches { ops: Arc::new(ops), feed, writers: Writers::new(&platform.tasks) };
    let search = SearchServiceServer::new(searches.clone());
    let routes = Routes::new(search.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND))
        .add_service(subscriber::server(searches));
    Ok(Service { name: NAME, grpc_services: &[SEARCH, subscriber::SERVICE_NAME], routes, probe })
}
