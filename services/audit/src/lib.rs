//! audit: who read what of a client's journal.
//!
//! An access is durable when it is acknowledged: one write. Within seconds it is linked into the chain of its client,
//! whose end is signed; from then on nobody who can write the table, but has not the secrets, can alter, drop, reorder or
//! cut off a record without [`verify`] naming it.
//!
//! What the chain can't tell:
//! - A record that waits to be linked can be removed or changed unseen. It waits for `--audit-link-interval` and the time
//!   of a round; [`Report::unlinked`] says how many wait.
//! - A record that was never an access, put there to wait, is linked like the others.
//! - An erasure is an erasure, whoever did it: what a record says of people is taken out without a flaw, as a whole.
//!   [`Report::erased`] says how many times.
//! - The whole of a client's items put back to what they were at an earlier moment is a chain that holds, and so is no
//!   chain at all where all of a client's items are gone. [`Heads`] kept elsewhere show both.
//! - All chains are found by an index, which shows a chain by its head and by its first record. One whose head and first
//!   record have both lost their place in it is missing among all; it is found wanting when its client is asked for.

mod chain;
mod groups;
mod link;
mod model;
mod ops;
mod policy;
mod service;
mod store;
#[cfg(test)]
mod tests;
mod verify;
mod wire;

use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::{MAX_RECEIVE, MAX_SEND, Platform, Service};
use dynamo::PageTokens;
use dynamo::secret::Secrets;
use kernel::{BoxError, setting};
use proto::audit::v1::access_log_service_server::{AccessLogServiceServer, SERVICE_NAME as ACCESS_LOG};
use proto::audit::v1::audit_service_server::{AuditServiceServer, SERVICE_NAME as RECORD};
use tonic::service::Routes;

pub use model::AccessId;
pub use store::AUDIT;
pub use verify::{Chain, Finding, Flaw, Heads, Report, verify};

use crate::chain::Signers;
use crate::link::Linker;
use crate::ops::{Ops, Recorder};
use crate::service::Audit;
use crate::store::Store;

/// The name of the service.
pub const NAME: &str = "audit";

/// How accesses are linked.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// How often accesses are linked into the chains of their clients. What is not linked can be removed unseen.
    #[arg(long, env = "MESH_AUDIT_LINK_INTERVAL", default_value = "2s", value_parser = setting::duration, help_heading = "Access log")]
    pub audit_link_interval: Duration,
}

/// What the service is given.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`AUDIT`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and the signatures of heads are made with.
    pub secrets: Secrets,
    /// The service that knows the names of therapists.
    pub therapists: Upstream,
    /// How accesses are linked.
    pub config: Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, secrets, therapists, config, platform } = deps;
    let Platform { clock, entropy, tasks } = platform;
    let table = dynamodb.table(&AUDIT);
    let store = Store::new(table.clone());
    let signers = Arc::new(Signers::new(&secrets)?);
    tasks.spawn(Linker::new(store.clone(), signers, Arc::clone(&clock)).run(config.audit_link_interval));
    let probe = bootstrap::probe(&table);
    let tokens = PageTokens::new(&secrets, "audit/page-tokens", Arc::clone(&entropy))?;
    let audit =
        Audit(Arc::new(Ops { recorder: Recorder { store: store.clone(), clock, entropy }, store, tokens, therapists }));
    let log = AccessLogServiceServer::new(audit.clone());
    let record = AuditServiceServer::new(audit);
    let routes = Routes::new(log.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    let routes = routes.add_service(record.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[ACCESS_LOG, RECORD], routes, probe })
}
