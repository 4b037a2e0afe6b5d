//! Test environment: a front and the service behind it.

use std::collections::HashMap;
use std::net::SocketAddr;

use clap::Parser;
use gateway::{Admission, Front, Setup, Upstream};
use kit::front_service::{DESCRIPTOR_SET, SERVICE};
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::TrustedProxies;
use transport::listener::{self, Protocols, Worker};

/// A front with a test service behind it; both end with this value.
pub(crate) struct TestEnv {
    pub(crate) address: SocketAddr,
    client: reqwest::Client,
    _service: Option<kit::front_service::Front>,
    _stop: DropGuard,
}

#[derive(Debug, Parser)]
struct Settings {
    #[command(flatten)]
    front: gateway::Config,
    #[command(flatten)]
    connections: listener::Config,
}

pub(crate) fn is_routable(path: &str) -> bool {
    path.split('/').nth(1) == Some(SERVICE)
}

impl TestEnv {
    pub(crate) async fn start(flags: &[&str]) -> Self {
        let service = kit::front_service::Front::start().await;
        let upstream = Upstream::remote(&format!("http://{}", service.address()), None).unwrap();
        Self::with_upstream(upstream, Some(service), flags, &[]).await
    }

    /// Starts a front that trusts `x-forwarded-for` from the loopback.
    pub(crate) async fn behind_proxy() -> Self {
        let service = kit::front_service::Front::start().await;
        let upstream = Upstream::remote(&format!("http://{}", service.address()), None).unwrap();
        Self::with_upstream(upstream, Some(service), &[], &["127.0.0.0/8"]).await
    }

    /// Starts a front that is configured to listen beyond loopback, and answers to these hosts.
    pub(crate) async fn beyond_loopback(hosts: &str) -> Self {
        let service = kit::front_service::Front::start().await;
        let upstream = Upstream::remote(&format!("http://{}", service.address()), None).unwrap();
        let flags = [format!("--hosts={hosts}")];
        Self::build(Some(([192, 0, 2, 1], 80).into()), upstream, Some(service), &[&flags[0]], &[]).await
    }

    pub(crate) async fn with_upstream(
        upstream: Upstream,
        service: Option<kit::front_service::Front>,
        flags: &[&str],
        trusted: &[&str],
    ) -> Self {
        Self::build(None, upstream, service, flags, trusted).await
    }

    async fn build(
        listens: Option<SocketAddr>,
        upstream: Upstream,
        service: Option<kit::front_service::Front>,
        flags: &[&str],
        trusted: &[&str],
    ) -> Self {
        // Requests that are written byte by byte are for the host `a`.
        let settings = Settings::parse_from([&["front", "--hosts=a"], flags].concat());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let stop = CancellationToken::new();
        let trusted: Vec<_> = trusted.iter().map(|network| network.parse().unwrap()).collect();
        let proxies = TrustedProxies::new(&trusted);
        let front = Front::new(Setup {
            descriptors: DESCRIPTOR_SET,
            is_routable,
            upstreams: HashMap::from([("testing".to_owned(), upstream)]),
            trusted_proxies: trusted,
            hosts: settings.front.hosts_at(listens.unwrap_or(address)).unwrap(),
            admission: Admission::new(&settings.front),
            config: settings.front,
            stop: stop.clone(),
        })
        .unwrap();
        let guard = stop.clone().drop_guard();
        #[allow(clippy::disallowed_methods, reason = "the task ends with the guard")]
        tokio::spawn(async move {
            let (workers, protocols) = (vec![Worker::here(front)], Protocols::Http1And2);
            listener::serve(listener, workers, protocols, &proxies, &settings.connections, stop).await
        });
        let client = reqwest::Client::builder().read_timeout(kit::wait::TIMEOUT).build().unwrap();
        Self { address, client, _service: service, _stop: guard }
    }

    pub(crate) fn request(&self, method: &str, target: &str) -> reqwest::RequestBuilder {
        let method = method.parse().unwrap();
        self.client.request(method, format!("http://{}{target}", self.address))
    }

    pub(crate) fn get(&self, target: &str) -> reqwest::RequestBuilder {
        self.request("GET", target)
    }
}

/// Returns the JSON of an answer, and asserts its status.
pub(crate) async fn json(request: reqwest::RequestBuilder, status: u16) -> Value {
    let response = request.send().await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    let (got, text) = (response.status(), response.text().await.unwrap());
    assert_eq!(got, status, "{text}");
    serde_json::from_str(&text).unwrap()
}

/// Returns the reason of an error, from its ErrorInfo.
pub(crate) fn reason(status: &Value) -> &str {
    let details = status["details"].as_array().unwrap();
    let info = details.iter().find(|detail| detail["@type"] == "type.googleapis.com/google.rpc.ErrorInfo").unwrap();
    assert_eq!(info["domain"], "therapy");
    info["reason"].as_str().unwrap()
}
