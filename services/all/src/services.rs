//! Starts the services as their own processes would.

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use chassis::client::Upstream;
use chassis::identity::{AccessTokens, Issuer, Keys};
use chassis::{Platform, Probe, Running, Service, server};
use dynamo::TableDef;
use dynamo::secret::Secrets;
use embedded_dynamodb::Space;
use kernel::{BoxError, Error};
use outbox::Subscriber;
use proto::registry;
use tokio::net::TcpListener;

use crate::Config;

/// Every table of the mesh.
pub const TABLES: &[&TableDef] = &[
    &auth::USERS,
    &clients::CLIENTS,
    &therapists::THERAPISTS,
    &vault::DATA_KEYS,
    &mapping::MAPPINGS,
    &journals::JOURNALS,
    &audit::AUDIT,
    &sessions::SESSIONS,
    &appointments::APPOINTMENTS,
    &messages::MESSAGES,
    &search::SEARCH_INDEX,
];

/// Maximum wait for verifiers to fetch the first keys.
const FIRST_KEYS_TIMEOUT: Duration = Duration::from_secs(10);

/// Starts the services.
pub(crate) struct Starter<'a> {
    pub(crate) config: &'a Config,
    pub(crate) dynamodb: dynamo::Client,
    pub(crate) secrets: Secrets,
    pub(crate) key_encryption_keys: Secrets,
    pub(crate) issuer: Arc<Issuer>,
    pub(crate) platform: Platform,
    /// Space of the embedded DynamoDB.
    pub(crate) space: Option<Space>,
}

/// The listeners of all services, bound before any of them starts: services call each other both ways.
struct Listeners(Vec<(&'static str, SocketAddr, TcpListener)>);

impl Listeners {
    async fn bind(config: &Config) -> Result<Self, BoxError> {
        let mut bound = Vec::new();
        for (number, name) in (0_u16..).zip(registry::NAMES) {
            let port = match config.services_port {
                0 => 0,
                first => first.saturating_add(number),
            };
            let listener = bind((Ipv4Addr::LOCALHOST, port).into(), "MESH_SERVICES_PORT").await?;
            bound.push((name, listener.local_addr()?, listener));
        }
        Ok(Self(bound))
    }

    fn addresses(&self) -> Addresses {
        Addresses(self.0.iter().map(|(name, address, _)| (*name, *address)).collect())
    }

    fn take(&mut self, name: &str) -> Result<TcpListener, BoxError> {
        let at = self.0.iter().position(|(bound, _, _)| *bound == name);
        let at = at.ok_or_else(|| format!("no port was bound for {name}"))?;
        Ok(self.0.swap_remove(at).2)
    }
}

/// Address of each service.
struct Addresses(Vec<(&'static str, SocketAddr)>);

impl Addresses {
    fn of(&self, name: &str) -> Result<SocketAddr, BoxError> {
        let found = self.0.iter().find(|(known, _)| *known == name);
        found.map(|(_, address)| *address).ok_or_else(|| format!("there is no service {name}").into())
    }
}

impl Starter<'_> {
    /// Starts every service.
    pub(crate) async fn start_all(&self) -> Result<Vec<Running>, BoxError> {
        let mut listeners = Listeners::bind(self.config).await?;
        let addresses = listeners.addresses();

        let (service, keys) = self.auth().await?;
        let mut running = vec![self.start(listeners.take(auth::NAME)?, service, keys).await?];
        let services = [
            self.clients(&addresses)?,
            self.therapists(&addresses)?,
            self.vault().await?,
            self.mapping(&addresses)?,
            self.journals(&addresses)?,
            self.audit(&addresses)?,
            self.sessions(&addresses)?,
            self.appointments(&addresses)?,
            self.messages(&addresses)?,
            self.search(&addresses)?,
        ];
        for service in services {
            let auth = self.upstream(service.name, auth::NAME, &addresses)?;
            let keys = bootstrap::auth_keys(&auth, &self.platform);
            running.push(self.start(listeners.take(service.name)?, service, keys).await?);
        }
        Ok(running)
    }

    async fn auth(&self) -> Result<(Service, Keys), BoxError> {
        let deps = auth::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            identity: self.config.server.identity().clone(),
            platform: self.platform.clone(),
        };
        auth::build(self.config.auth.clone(), deps).await
    }

    fn clients(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        clients::build(clients::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            auth: self.upstream(clients::NAME, auth::NAME, addresses)?,
            mapping: self.upstream(clients::NAME, mapping::NAME, addresses)?,
            appointments: self.upstream(clients::NAME, appointments::NAME, addresses)?,
            subscribers: self.account_deletion_subscribers(clients::NAME, addresses)?,
            account_deletion: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    fn therapists(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        therapists::build(therapists::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            auth: self.upstream(therapists::NAME, auth::NAME, addresses)?,
            subscribers: self.account_deletion_subscribers(therapists::NAME, addresses)?,
            account_deletion: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    async fn vault(&self) -> Result<Service, BoxError> {
        let deps = vault::Deps {
            dynamodb: self.dynamodb.clone(),
            key_encryption_keys: self.key_encryption_keys.clone(),
            platform: self.platform.clone(),
        };
        vault::build(deps).await
    }

    fn mapping(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        mapping::build(mapping::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            auth: self.upstream(mapping::NAME, auth::NAME, addresses)?,
            clients: self.upstream(mapping::NAME, clients::NAME, addresses)?,
            therapists: self.upstream(mapping::NAME, therapists::NAME, addresses)?,
            appointments: self.upstream(mapping::NAME, appointments::NAME, addresses)?,
            events: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    fn journals(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        journals::build(journals::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            vault: self.upstream(journals::NAME, vault::NAME, addresses)?,
            keyring: self.config.keyring.clone(),
            mapping: self.upstream(journals::NAME, mapping::NAME, addresses)?,
            audit: self.upstream(journals::NAME, audit::NAME, addresses)?,
            search: self.upstream(journals::NAME, registry::SEARCH.name, addresses)?,
            events: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    fn audit(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        audit::build(audit::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            therapists: self.upstream(audit::NAME, therapists::NAME, addresses)?,
            config: self.config.audit.clone(),
            platform: self.platform.clone(),
        })
    }

    fn sessions(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        sessions::build(sessions::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            vault: self.upstream(sessions::NAME, vault::NAME, addresses)?,
            keyring: self.config.keyring.clone(),
            mapping: self.upstream(sessions::NAME, mapping::NAME, addresses)?,
            appointments: self.upstream(sessions::NAME, appointments::NAME, addresses)?,
            search: self.upstream(sessions::NAME, registry::SEARCH.name, addresses)?,
            events: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    fn appointments(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        appointments::build(appointments::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            mapping: self.upstream(appointments::NAME, mapping::NAME, addresses)?,
            sessions: self.upstream(appointments::NAME, sessions::NAME, addresses)?,
            events: self.config.account_deletion.clone(),
            platform: self.platform.clone(),
        })
    }

    fn messages(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        messages::build(messages::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            vault: self.upstream(messages::NAME, vault::NAME, addresses)?,
            keyring: self.config.keyring.clone(),
            mapping: self.upstream(messages::NAME, mapping::NAME, addresses)?,
            auth: self.upstream(messages::NAME, auth::NAME, addresses)?,
            clients: self.upstream(messages::NAME, clients::NAME, addresses)?,
            therapists: self.upstream(messages::NAME, therapists::NAME, addresses)?,
            config: self.config.messages.clone(),
            platform: self.platform.clone(),
        })
    }

    fn search(&self, addresses: &Addresses) -> Result<Service, BoxError> {
        search::build(search::Deps {
            dynamodb: self.dynamodb.clone(),
            secrets: self.secrets.clone(),
            vault: self.upstream(search::NAME, vault::NAME, addresses)?,
            keyring: self.config.keyring.clone(),
            journals: self.upstream(search::NAME, journals::NAME, addresses)?,
            sessions: self.upstream(search::NAME, sessions::NAME, addresses)?,
            mapping: self.upstream(search::NAME, mapping::NAME, addresses)?,
            clients: self.upstream(search::NAME, clients::NAME, addresses)?,
            audit: self.upstream(search::NAME, audit::NAME, addresses)?,
            platform: self.platform.clone(),
        })
    }

    /// Returns the upstream of one service for calls of another.
    fn upstream(&self, caller: &str, callee: &str, addresses: &Addresses) -> Result<Upstream, BoxError> {
        let tokens = self.issuer.workload(caller).tokens;
        Upstream::new(&format!("http://{}", addresses.of(callee)?), tokens, Arc::clone(&self.platform.entropy))
    }

    fn account_deletion_subscribers(&self, caller: &str, addresses: &Addresses) -> Result<Vec<Subscriber>, BoxError> {
        let subscriber = |name| Ok(Subscriber { name, upstream: self.upstream(caller, name, addresses)? });
        account_deletion::SUBSCRIBERS.into_iter().map(subscriber).collect()
    }

    async fn start(&self, listener: TcpListener, mut service: Service, keys: Keys) -> Result<Running, BoxError> {
        if let Some(space) = self.space.clone() {
            service.probe = service.probe.and(space_probe(space));
        }
        keys.wait(FIRST_KEYS_TIMEOUT).await;
        let people = AccessTokens::new(self.config.server.identity(), keys, Arc::clone(&self.platform.clock));
        let workloads = self.issuer.workload(service.name).verifier;
        server::start(service, listener, &self.config.server, people, workloads).await
    }
}

/// Returns a probe that succeeds while something can be stored.
fn space_probe(space: Space) -> Probe {
    Probe::new(move || {
        let space = space.clone();
        async move { if space.is_left().await { Ok(()) } else { Err(Error::storage_full("no write succeeds")) } }
    })
}

/// Binds a listener. The error names the setting of its address.
pub(crate) async fn bind(address: SocketAddr, setting: &str) -> Result<TcpListener, BoxError> {
    let listener = TcpListener::bind(address).await;
    Ok(listener.map_err(|error| format!("can't listen on {address}: {error}; set {setting} to another port"))?)
}
