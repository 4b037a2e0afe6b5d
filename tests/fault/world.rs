//! A mesh behind a fault-injecting DynamoDB proxy.

use std::time::Duration;

use chassis::server;
use clap::Parser;
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use kit::engine::Engine;
use kit::fault::Proxy;
use kit::mesh::TestMesh;
use mesh::Config;
use tonic::body::Body;

/// Operation timeout of DynamoDB in these tests, with all attempts.
const OPERATION: Duration = Duration::from_millis(1500);
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

pub(crate) struct World {
    pub(crate) mesh: TestMesh,
    pub(crate) proxy: Proxy,
    /// Client of the store, without the proxy.
    pub(crate) store: dynamo::Client,
    prefix: String,
}

#[derive(Parser)]
struct Serving {
    #[command(flatten)]
    config: server::Config,
}

/// Parses the server configuration from these flags.
pub(crate) fn serving(flags: &[&str]) -> server::Config {
    Serving::parse_from([&["test"], flags].concat()).config
}

impl World {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| ()).await
    }

    /// Starts a mesh with short DynamoDB timeouts. Recovery of account deletions and health checks run once an hour,
    /// unless `change` sets their intervals.
    pub(crate) async fn start_with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let proxy = Proxy::start(&engine.endpoint().await);
        let mut direct = dynamo::Config::default();
        let mesh = TestMesh::start_with(engine, |config| {
            direct = config.dynamodb.clone();
            config.dynamodb.endpoint = Some(proxy.endpoint());
            config.dynamodb.attempt_timeout = Duration::from_millis(500);
            config.dynamodb.operation_timeout = OPERATION;
            config.server.health_interval = NEVER;
            config.account_deletion.recovery_interval = NEVER;
            change(config);
        });
        let mesh = mesh.await;
        Self { mesh, proxy, store: direct.connect(kit::entropy::seeded()).await, prefix: direct.table_prefix }
    }

    /// Limits faults to calls of this operation, or of any, on this table.
    pub(crate) fn only(&self, operation: Option<&'static str>, table: &str) {
        let table = format!("{}{table}", self.prefix);
        self.proxy.only(move |call| operation.is_none_or(|wanted| wanted == call.operation) && call.names(&table));
    }
}

/// Returns a gRPC transport without a timeout. tonic's channel ends a call at its deadline, which would hide the
/// server's answer.
pub(crate) fn untimed_transport() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}
