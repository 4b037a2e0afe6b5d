//! A mesh whose DynamoDB can be made to fail.

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

/// How long a call of DynamoDB may take in these tests, with all its attempts.
const OPERATION: Duration = Duration::from_millis(1500);
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

pub(crate) struct World {
    pub(crate) mesh: TestMesh,
    pub(crate) proxy: Proxy,
    /// The store itself, past the proxy.
    pub(crate) store: dynamo::Client,
    prefix: String,
}

#[derive(Parser)]
struct Serving {
    #[command(flatten)]
    config: server::Config,
}

/// How services serve by these flags.
pub(crate) fn serving(flags: &[&str]) -> server::Config {
    Serving::parse_from([&["test"], flags].concat()).config
}

impl World {
    pub(crate) async fn start(engine: Engine) -> Self {
        Self::start_with(engine, |_| ()).await
    }

    /// A mesh that gives up on DynamoDB soon, and that does nothing by itself unless `change` says so: it looks for
    /// unfinished endings, and at its health, once an hour.
    pub(crate) async fn start_with(engine: Engine, change: impl FnOnce(&mut Config)) -> Self {
        let proxy = Proxy::start(&engine.endpoint().await);
        let mut direct = dynamo::Config::default();
        let mesh = TestMesh::start_with(engine, |config| {
            direct = config.dynamodb.clone();
            config.dynamodb.endpoint = Some(proxy.endpoint());
            config.dynamodb.attempt_timeout = Duration::from_millis(500);
            config.dynamodb.operation_timeout = OPERATION;
            config.server.health_interval = NEVER;
            config.endings.recovery_interval = NEVER;
            change(config);
        });
        let mesh = mesh.await;
        Self { mesh, proxy, store: direct.connect(kit::entropy::seeded()).await, prefix: direct.table_prefix }
    }

    /// Limits what the proxy does to calls of this operation, or of all, on this table.
    pub(crate) fn only(&self, operation: Option<&'static str>, table: &str) {
        let table = format!("{}{table}", self.prefix);
        self.proxy.only(move |call| operation.is_none_or(|wanted| wanted == call.operation) && call.names(&table));
    }
}

/// What carries gRPC without a clock of its own: tonic's channel would give up by itself when the time of a call is over,
/// and nobody would see what the server says.
pub(crate) fn patient() -> Client<HttpConnector, Body> {
    Client::builder(TokioExecutor::new()).http2_only(true).build_http()
}
