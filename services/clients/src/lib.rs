//! clients: the profiles of people in therapy.

mod model;
mod ops;
mod policy;
mod service;
mod store;
mod wire;

use std::sync::Arc;

use chassis::client::Upstream;
use chassis::server::{MAX_RECEIVE, MAX_SEND};
use chassis::{Platform, Probe, Service};
use dynamo::Idempotency;
use dynamo::secret::Secrets;
use endings::Endings;
use kernel::BoxError;
use proto::clients::v1::client_service_server::{ClientServiceServer, SERVICE_NAME};
use tonic::service::Routes;

pub use store::CLIENTS;

use crate::ops::Ops;
use crate::service::Clients;
use crate::store::{Store, profile_key};

/// The name of the service.
pub const NAME: &str = "clients";

/// What the service is given.
#[derive(Debug)]
pub struct Deps {
    /// The DynamoDB that holds the table [`CLIENTS`].
    pub dynamodb: dynamo::Client,
    /// The secrets that idempotency records are made with.
    pub secrets: Secrets,
    /// The service that ends accounts.
    pub auth: Upstream,
    /// How endings are recovered.
    pub endings: endings::Config,
    /// Time, randomness and tasks.
    pub platform: Platform,
}

/// Builds the service.
///
/// # Errors
/// If a key can't be derived from the secrets.
pub fn build(deps: Deps) -> Result<Service, BoxError> {
    let Deps { dynamodb, secrets, auth, endings: recovery, platform } = deps;
    let table = dynamodb.table(&CLIENTS);
    let store = Store::new(table.clone());
    let endings = Endings::new(table.clone(), auth, Arc::clone(&platform.clock), profile_key);
    platform.tasks.spawn(endings.clone().recover(recovery.recovery_interval));
    let probe = Probe::new({
        let table = table.clone();
        move || {
            let table = table.clone();
            async move { table.ping().await }
        }
    });
    let idempotency = Idempotency::new(table, &secrets, platform.clock)?;
    let service = ClientServiceServer::new(Clients(Arc::new(Ops { store, idempotency, endings })));
    let routes = Routes::new(service.max_decoding_message_size(MAX_RECEIVE).max_encoding_message_size(MAX_SEND));
    Ok(Service { name: NAME, grpc_services: &[SERVICE_NAME], routes, probe })
}
