//! The services, started as their own processes would start them.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{AccessTokens, Issuer, Keys};
use chassis::{Platform, Running, Service, server};
use dynamo::TableDef;
use dynamo::secret::Secrets;
use kernel::BoxError;
use tokio::net::TcpListener;

use crate::Config;

/// Every table of the mesh.
pub(crate) const TABLES: &[&TableDef] = &[&auth::USERS, &clients::CLIENTS, &therapists::THERAPISTS];

/// How long verifiers may take to fetch the first keys.
const FIRST_KEYS: Duration = Duration::from_secs(10);

/// What starts services.
pub(crate) struct Starter<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dynamodb: dynamo::Client,
    pub(crate) secrets: Secrets,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) platform: Platform,
}

impl Starter<'_> {
    /// Starts all of them, auth first: the others ask it for keys.
    pub(crate) async fn start_all(&self) -> Result<Vec<Running>, BoxError> {
        let deps = auth::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            identity: self.config.server.identity().clone(),
            platform: self.platform.clone(),
        };
        let (service, keys) = auth::build(self.config.auth.clone(), deps).await?;
        let auth = self.start(0, service, keys).await?;

        let (upstream, keys) = self.auth_for(clients::NAME, auth.address())?;
        let deps = clients::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            auth: upstream,
            endings: self.config.endings.clone(),
            platform: self.platform.clone(),
        };
        let clients = self.start(1, clients::build(deps)?, keys).await?;

        let (upstream, keys) = self.auth_for(therapists::NAME, auth.address())?;
        let deps = therapists::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            auth: upstream,
            endings: self.config.endings.clone(),
            platform: self.platform.clone(),
        };
        let therapists = self.start(2, therapists::build(deps)?, keys).await?;
        Ok(vec![auth, clients, therapists])
    }

    /// auth as the service of that name calls it, and the keys that the service fetches from it.
    fn auth_for(&self, name: &str, address: SocketAddr) -> Result<(Upstream, Keys), BoxError> {
        let auth = Upstream::new(&format!("http://{address}"), self.issuer.workload(name).tokens)?;
        let keys = launch::auth_keys(&auth, &self.platform);
        Ok((auth, keys))
    }

    async fn start(&self, number: u16, service: Service, keys: Keys) -> Result<Running, BoxError> {
        let port = match self.config.services_port {
            0 => 0,
            first => first.saturating_add(number),
        };
        let listener = bind((Ipv4Addr::LOCALHOST, port).into(), "MESH_SERVICES_PORT").await?;
        keys.wait(FIRST_KEYS).await;
        let people = AccessTokens::new(self.config.server.identity(), keys, Arc::clone(&self.platform.clock));
        let workloads = self.issuer.workload(service.name).verifier;
        server::start(service, listener, &self.config.server, people, workloads).await
    }
}

/// A listener, or a sentence that says which setting moves it.
pub(crate) async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, BoxError> {
    let listener = TcpListener::bind(address).await;
    Ok(listener.map_err(|error| format!("can't listen on {address}: {error}; set {setting} to another port"))?)
}
