//! A running service: its RPCs within the one declared stack of layers, behind the one listener.

use std::net::SocketAddr;
use std::time::Duration;

use http::Request;
use kernel::{BoxError, setting};
use telemetry::layer::RpcTelemetry;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::{Layer as _, ServiceBuilder, ServiceExt as _};
use transport::TrustedProxies;
use transport::listener::{self, Protocols, RequestBody, Worker};

use crate::access::AccessStage;
use crate::answer::AnswerStage;
use crate::deadline::DeadlineStage;
use crate::drain::DrainStage;
use crate::health::{Probe, Reporter};
use crate::identity::{self, AccessTokens, IdentityStage, WorkloadVerifier};
use crate::limit::{self, LimitStage};
use crate::request_id::RequestIdStage;
use crate::stage::{Inner, Order, StageLayer};

/// The order of the layers within [`RpcTelemetry`], from the outermost inwards.
///
/// The limit is the innermost: it reads the request to its end, and counts by who calls.
pub const LAYERS: [&str; 7] = ["request_id", "drain", "deadline", "answer", "identity", "access", "limit"];

/// Settings of serving, the same for every service.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Serving")]
pub struct Config {
    #[command(flatten)]
    pub(crate) limits: limit::Config,

    /// The deadline of a call that brings none.
    #[arg(long, env = "MESH_DEFAULT_DEADLINE", default_value = "10s", value_parser = setting::duration)]
    pub default_deadline: Duration,

    /// The longest deadline that a call gets.
    #[arg(long, env = "MESH_MAX_DEADLINE", default_value = "30s", value_parser = setting::duration)]
    pub max_deadline: Duration,

    /// Interval at which a service checks whether it can serve.
    #[arg(long, env = "MESH_HEALTH_INTERVAL", default_value = "5s", value_parser = setting::duration)]
    pub health_interval: Duration,

    #[command(flatten)]
    pub(crate) connections: listener::Config,

    #[command(flatten)]
    pub(crate) identity: identity::Config,
}

impl Config {
    /// Returns the settings of token verification.
    #[must_use]
    pub const fn identity(&self) -> &identity::Config {
        &self.identity
    }

    /// Returns the limits of the listener.
    #[must_use]
    pub const fn connections(&self) -> &listener::Config {
        &self.connections
    }
}

/// Service that a domain crate builds: its RPCs and the probe of its health.
#[derive(Debug)]
pub struct Service {
    /// The domain's name: that of its crate, its workload and its upstreams.
    pub name: &'static str,
    /// The full names of its gRPC services.
    pub grpc_services: &'static [&'static str],
    /// Its RPCs.
    pub routes: Routes,
    /// Probe of its health.
    pub probe: Probe,
}

/// A service that listens.
#[derive(Debug)]
pub struct Running {
    name: &'static str,
    address: SocketAddr,
    draining: CancellationToken,
    stop: CancellationToken,
    served: JoinHandle<bool>,
}

impl Running {
    /// Returns the address that it listens on.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its name.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.name
    }

    /// Reports NOT_SERVING to health checks from now on, and serves as before.
    pub fn begin_drain(&self) {
        self.draining.cancel();
    }

    /// Closes the listener, and waits for the requests under way. Returns whether all of them ended in time.
    pub async fn drain(self) -> bool {
        self.begin_drain();
        self.stop.cancel();
        self.served.await.unwrap_or(false)
    }
}

/// Starts a service on a listener.
///
/// # Errors
/// If the listener's address can't be read or the reflection service can't be made.
pub async fn start(
    service: Service,
    listener: TcpListener,
    config: &Config,
    people: AccessTokens,
    workloads: WorkloadVerifier,
) -> Result<Running, BoxError> {
    let Service { name, grpc_services, routes, probe } = service;
    let (reporter, health) = tonic_health::server::health_reporter();
    let names = std::iter::once(String::new()).chain(grpc_services.iter().map(|&name| name.to_owned())).collect();
    let reporter = Reporter { reporter, services: names };
    reporter.alive().await;
    let fault = reporter.update(&probe, None).await;

    let routes = reflection(routes.add_service(health), grpc_services)?;
    let trusted_proxies = TrustedProxies::new(&config.identity.trusted_proxies);
    let identity = IdentityStage { people, workloads, trusted_proxies: trusted_proxies.clone() };
    let streams = CancellationToken::new();
    let stack = stack(config, DrainStage { stop: streams.clone() }, identity, routes);
    let mut layers = Vec::new();
    stack.names(&mut layers);
    tracing::debug!(name, ?layers, "the layers, from the outermost inwards");
    let stack = RpcTelemetry.layer(stack);
    let stack = stack.map_request(|request: Request<RequestBody>| request.map(tonic::body::Body::new));

    let (address, stop, connections) = (listener.local_addr()?, CancellationToken::new(), config.connections.clone());
    let (stopped, draining, interval) = (stop.clone(), CancellationToken::new(), config.health_interval);
    let (drain_begun, workers) = (draining.clone(), vec![Worker::here(stack)]);
    #[allow(clippy::disallowed_methods, reason = "its owner is the Running that is returned, which waits for it")]
    let served = tokio::spawn(async move {
        let watch = async {
            drain_begun.run_until_cancelled(reporter.watch(probe, interval, fault)).await;
            // Watchers of health get NOT_SERVING before their streams end.
            reporter.set(false).await;
            stopped.cancelled().await;
            streams.cancel();
        };
        let serve =
            listener::serve(listener, workers, Protocols::Http2, &trusted_proxies, &connections, stopped.clone());
        tokio::join!(serve, watch).0
    });
    tracing::debug!(name, %address, "listening");
    Ok(Running { name, address, draining, stop, served })
}

/// The one declared stack: [`LAYERS`], and then the RPCs.
fn stack(config: &Config, drain: DrainStage, identity: IdentityStage, routes: Routes) -> impl Inner + Order {
    ServiceBuilder::new()
        .layer(StageLayer(RequestIdStage))
        .layer(StageLayer(drain))
        .layer(StageLayer(DeadlineStage { default: config.default_deadline, most: config.max_deadline }))
        .layer(StageLayer(AnswerStage))
        .layer(StageLayer(identity))
        .layer(StageLayer(AccessStage))
        .layer(StageLayer(LimitStage::new(&config.limits)))
        .service(routes)
}

fn reflection(routes: Routes, grpc_services: &[&str]) -> Result<Routes, BoxError> {
    let builder = || {
        let own = grpc_services.iter().copied().chain(["grpc.health.v1.Health"]);
        own.fold(
            tonic_reflection::server::Builder::configure()
                .register_encoded_file_descriptor_set(proto::DESCRIPTOR_SET)
                .register_encoded_file_descriptor_set(tonic_health::pb::FILE_DESCRIPTOR_SET),
            tonic_reflection::server::Builder::with_service_name,
        )
    };
    Ok(routes.add_service(builder().build_v1()?).add_service(builder().build_v1alpha()?))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use clap::Parser;
    use kernel::SystemClock;

    use super::*;
    use crate::identity::{Issuer, KeySet, Keys};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        config: Config,
    }

    /// The service config tells callers of it.
    #[test]
    fn default_deadline_is_timeout_of_service_config() {
        assert_eq!(Cli::parse_from(["test"]).config.default_deadline, proto::calls::TIMEOUT);
    }

    #[test]
    fn stack_has_declared_order() {
        let config = Cli::parse_from(["test"]).config;
        let clock = Arc::new(SystemClock);
        let identity = IdentityStage {
            people: AccessTokens::new(config.identity(), Keys::fixed(KeySet::default()), clock.clone()),
            workloads: Arc::new(Issuer::generate(clock).unwrap()).workload("test").verifier,
            trusted_proxies: TrustedProxies::default(),
        };
        let mut order = Vec::new();
        stack(&config, DrainStage { stop: CancellationToken::new() }, identity, Routes::default()).names(&mut order);
        assert_eq!(order, LAYERS);
    }
}
