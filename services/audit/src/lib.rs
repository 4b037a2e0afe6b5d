//! The audit service: records accesses of therapists to clients' journals, chains, signs and verifies the records.
//!
//! An access is durable when it is acknowledged: one write, or one transaction for a batch. Within seconds it is linked
//! into the chain of its client, whose end is signed. From then on, anyone who can write the table but lacks the secrets
//! can't alter, drop, reorder or cut off a record without [`verify`] naming it.
//!
//! Limits of the chain:
//! - An unlinked record can be removed or changed unseen. It stays unlinked for `--audit-link-interval` and the time of
//!   a round; [`Report::unlinked`] counts these records.
//! - A forged record, added as unlinked, is linked like the others.
//! - An unauthorized erasure looks like an authorized one: removing all personal data of a record is no flaw.
//!   [`Report::erased`] counts the erased records.
//! - A chain that was rolled back to an earlier state as a whole verifies, and so does a chain whose items were all
//!   deleted. [`Heads`] kept elsewhere reveal both.
//! - Chains are listed by an index that holds the head and the first record of each. A chain that has lost both index
//!   entries is missing from a verification of all chains; a verification of its client finds the flaw.

mod chain;
mod error;
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
use peers::TherapistNames;
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
pub const NAME: &str = proto::registry::AUDIT.name;

/// Settings of the linker.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
pub struct Config {
    /// Interval at which accesses are linked into the chains of their clients. Unlinked accesses can be removed unseen.
    #[arg(long, env = "MESH_AUDIT_LINK_INTERVAL", default_value = "2s", value_parser = setting::duration, help_heading = "Access log")]
    pub audit_link_interval: Duration,
}

/// Dependencies of the service.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`AUDIT`].
    pub dynamodb: dynamo::Client,
    /// The secrets that page tokens and the signatures of heads are made with.
    pub secrets: Secrets,
    /// The service that knows the names of therapists.
    pub therapists: Upstream,
    /// Settings of the linker.
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
    let audit = Audit(Arc::new(Ops {
        recorder: Recorder { store: store.clone(), clock, entropy },
        store,
        tokens,
        therapists: TherapistNames::new(therapists),
    }));
    let log = AccessLogServiceServer::new(audit.clone());
    let record = AuditServiceServer::new(audit);
    let routes = Routes::new(log.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    let routes = routes.add_service(record.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[ACCESS_LOG, RECORD], routes, probe })
}
