//! Settings of an Envoy configuration, with the defaults of each target.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use front_settings::{HostPattern, Hosts, Origin};
use proto::registry::{self, ServiceEntry};

use crate::Error;

/// Deployment that a configuration is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub enum Target {
    /// Services on this machine, on their default ports (`cargo run`).
    Local,
    /// Docker Compose: a service's host is its name.
    Compose,
    /// Kubernetes: a service's host is its name too, which is best headless: Envoy balances over the replicas itself.
    Kubernetes,
}

/// Everything that can be set. [`Settings::of`] has the defaults of each target.
#[derive(Debug, Clone)]
pub struct Settings {
    /// An encoded `FileDescriptorSet` that Envoy can load, such as `proto::ENVOY_DESCRIPTOR_SET`. RPCs that are not
    /// routable have no route.
    pub descriptor_set: Cow<'static, [u8]>,
    /// Addresses of the services, by domain: the second component of their packages. A domain that is missing has no route.
    pub upstreams: BTreeMap<String, Upstream>,
    /// Address that Envoy listens on.
    pub listen: SocketAddr,
    /// Hosts that the front answers to, besides the names of loopback where it listens there.
    pub hosts: Vec<HostPattern>,
    /// The port of Envoy's own administration, on 127.0.0.1.
    pub admin_port: u16,
    /// Directory where Envoy finds the other files of the configuration, without a trailing slash.
    pub directory: String,
    /// Certificate and key; without them the front speaks plain HTTP/1.1 and HTTP/2.
    pub tls: Option<Tls>,
    /// Number of our own proxies before the front: so many addresses at the end of `x-forwarded-for` are trusted.
    pub trusted_hops: u32,
    /// Origins whose pages may call, such as `https://app.example.org`; `*` for any.
    pub cors_origins: Vec<Origin>,
    /// The largest body of a request, in bytes.
    pub max_body: u32,
    /// Maximum concurrent connections of all sources together.
    pub max_connections: u32,
    /// Rate limit of one source. A network of many sources has a multiple of it.
    pub rate: Rate,
    /// Additional rate limit of one source for auth; a network again has a multiple.
    pub auth_rate: Rate,
    /// Verification of access tokens; none leaves it to the services, as does a configuration without auth as an upstream.
    pub tokens: Option<TokenRules>,
    /// The file with Envoy's own workload token, with which the services trust its `x-forwarded-for`.
    pub workload_token: Option<String>,
    /// A collector of traces (OTLP by gRPC).
    pub otlp: Option<Upstream>,
    /// File of the access log; standard output by default.
    pub access_log_file: Option<String>,
    /// Interval of the health checks of each replica.
    pub health_interval: Duration,
}

/// A host by name or address, and a port.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Upstream {
    /// The name or the address.
    pub host: String,
    /// The port.
    pub port: u16,
}

/// A certificate with its key, as files in PEM in one directory. When they are replaced there, Envoy reads them again.
#[derive(Debug, Clone)]
pub struct Tls {
    /// The certificate, followed by those that vouch for it.
    pub certificate: String,
    /// The key.
    pub key: String,
}

/// A bucket of requests for each source (an IPv4 address, or 64 bits of IPv6), and larger ones for the networks of IPv6 that a
/// customer or a site is given.
#[derive(Debug, Clone, Copy)]
pub struct Rate {
    /// Requests refilled each second.
    pub per_second: u32,
    /// Maximum requests in the bucket.
    pub burst: u32,
}

/// The networks that have a bucket each, as bits of IPv6, and how many times that of one source it is.
const NETWORKS: [(u8, u32); 3] = [(64, 1), (56, 4), (48, 16)];

impl Rate {
    /// Returns the bucket of each network.
    pub(crate) fn of_networks(self) -> [(u8, Self); NETWORKS.len()] {
        NETWORKS.map(|(bits, times)| {
            let times = |count: u32| count.saturating_mul(times);
            (bits, Self { per_second: times(self.per_second), burst: times(self.burst) })
        })
    }
}

impl std::str::FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as requests a second and requests at once, both 1 or more, such as 200:2000";
        let (per_second, burst) = text.split_once(':').ok_or(FORM)?;
        let count = |text: &str| text.parse().ok().filter(|count: &u32| *count > 0).ok_or(FORM);
        Ok(Self { per_second: count(per_second)?, burst: count(burst)? })
    }
}

/// Rules for valid access tokens, as in `chassis::identity::Config`.
#[derive(Debug, Clone)]
pub struct TokenRules {
    /// The issuer (`iss`).
    pub issuer: String,
    /// The audience (`aud`).
    pub audience: String,
    /// Lifetime of fetched keys. A key must be published longer than that before it signs.
    pub keys_cache: Duration,
}

impl Default for TokenRules {
    fn default() -> Self {
        Self {
            issuer: "therapy-mesh".to_owned(),
            audience: "therapy-mesh-api".to_owned(),
            keys_cache: Duration::from_secs(300),
        }
    }
}

impl From<SocketAddr> for Upstream {
    fn from(address: SocketAddr) -> Self {
        Self { host: address.ip().to_string(), port: address.port() }
    }
}

impl std::str::FromStr for Upstream {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        const FORM: &str = "write it as host:port, such as collector:4317";
        let (host, port) = text.rsplit_once(':').ok_or(FORM)?;
        let port = port.parse().map_err(|_| FORM)?;
        if host.is_empty() { Err(FORM) } else { Ok(Self { host: host.to_owned(), port }) }
    }
}

/// The largest message that services take, in bytes.
pub const MAX_BODY: u32 = 1024 * 1024;

/// Default hosts of the front in a container: those of a port of this machine that leads there, and its names within the
/// cluster.
const CONTAINER_HOSTS: [&str; 7] = [
    "localhost",
    "127.0.0.1",
    "[::1]",
    "gateway",
    "gateway.therapy",
    "gateway.therapy.svc",
    "gateway.therapy.svc.cluster.local",
];

/// Path of the token in a container.
const WORKLOAD_TOKEN: &str = "/var/run/secrets/workload/token";

impl Settings {
    /// Returns the defaults of a target.
    #[must_use]
    pub fn of(target: Target) -> Self {
        let is_local = target == Target::Local;
        let upstream = |service: ServiceEntry| {
            let host = if is_local { Ipv4Addr::LOCALHOST.to_string() } else { service.name.to_owned() };
            // In containers every service has a network of its own, and all the same port.
            let port = if is_local { service.port } else { registry::AUTH.port };
            (service.name.to_owned(), Upstream { host, port })
        };
        // vault has no RPC that a front routes.
        let routed = registry::SERVICES.into_iter().filter(|service| *service != registry::VAULT);
        // Beside the embedded front, which has 8080 on a laptop.
        let listen = if is_local { (Ipv4Addr::LOCALHOST, 8081) } else { (Ipv4Addr::UNSPECIFIED, 8080) };
        Self {
            descriptor_set: Cow::Borrowed(proto::ENVOY_DESCRIPTOR_SET),
            upstreams: routed.map(upstream).collect(),
            listen: listen.into(),
            admin_port: 9901,
            directory: if is_local { "." } else { "/etc/envoy" }.to_owned(),
            tls: None,
            trusted_hops: 0,
            hosts: if is_local {
                Vec::new()
            } else {
                CONTAINER_HOSTS.iter().filter_map(|host| host.parse().ok()).collect()
            },
            cors_origins: Vec::new(),
            max_body: MAX_BODY,
            max_connections: 10_000,
            rate: Rate { per_second: 200, burst: 2000 },
            auth_rate: Rate { per_second: 5, burst: 100 },
            tokens: Some(TokenRules::default()),
            workload_token: (!is_local).then(|| WORKLOAD_TOKEN.to_owned()),
            otlp: None,
            access_log_file: None,
            health_interval: Duration::from_secs(2),
        }
    }

    /// Returns the hosts that the front answers to.
    pub(crate) fn own_hosts(&self) -> Result<Hosts, Error> {
        Ok(Hosts::of(self.listen.ip(), self.hosts.clone())?)
    }

    /// Rejects settings whose characters would end the string that they are written into.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let tls = self.tls.iter().flat_map(|tls| [&tls.certificate, &tls.key]);
        let tokens = self.tokens.iter().flat_map(|tokens| [&tokens.issuer, &tokens.audience]);
        let hosts = self.upstreams.values().chain(&self.otlp).map(|upstream| &upstream.host);
        let files = [&self.workload_token, &self.access_log_file].into_iter().flatten();
        let all = tls.chain(tokens).chain(hosts).chain(files).chain(self.upstreams.keys());
        let mut all = all.chain([&self.directory]);
        let breaks = |text: &&String| text.contains(|c: char| c.is_control() || c == '"' || c == '\\');
        all.find(breaks).map_or(Ok(()), |bad| Err(Error::Setting(bad.clone())))
    }
}
