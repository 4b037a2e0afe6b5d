//! Sends the same recorded requests through real Envoy and through the embedded gateway, both in front of the same
//! service. `differences.txt` must list every difference with its reason, and nothing else.
#![cfg(test)]

mod compare;
mod hostile;
mod hosts;
mod mesh;
mod production;
mod request_ids;
mod wire;

use std::net::SocketAddr;

use clap::Parser;
use gateway::{Admission, Setup, Upstream};
use kit::envoy::{Envoy, EnvoySetup};
use kit::front_service::{DESCRIPTOR_SET, ENVOY_DESCRIPTOR_SET, Front, SERVICE};
use parity::corpus;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};
use tokio::net::TcpListener;
use tokio_util::sync::{CancellationToken, DropGuard};
use transport::TrustedProxies;
use transport::listener::{self, Protocols, Worker};

use crate::corpus::Request;
use crate::wire::Answer;

const REQUESTS: &str = include_str!("../requests.txt");
const DIFFERENCES: &str = include_str!("../differences.txt");

/// Hosts that both fronts accept besides the names of loopback.
const HOSTS: &str = "a,b,api.example.org:8443,*.clinic.example";

/// Maximum requests with different answers. It may only get smaller.
const MOST_DIFFERENCES: usize = 76;

#[tokio::test(flavor = "multi_thread")]
async fn fronts_answer_alike_except_listed_differences() {
    let service = Front::start().await;
    let envoy = envoy(&service).await;
    let (embedded, _stop) = embedded(&service).await;
    let pool = DescriptorPool::decode(DESCRIPTOR_SET).unwrap();

    let mut meant = corpus::differences(DIFFERENCES);
    assert!(meant.len() <= MOST_DIFFERENCES, "{} differences are listed, {MOST_DIFFERENCES} are allowed", meant.len());
    let mut wrong = Vec::new();
    for recorded in corpus::requests(REQUESTS) {
        let name = &recorded.name;
        let (by_envoy, by_us) = tokio::join!(
            answer(envoy.address(), &recorded.request, &pool),
            answer(embedded, &recorded.request, &pool),
        );
        if by_envoy.status != recorded.status {
            wrong.push(format!("{name}: Envoy answers {} instead of {}", by_envoy.status, recorded.status));
        }
        let differ = compare::aspects(&by_envoy, &by_us);
        let meant = meant.remove(name).unwrap_or_default();
        if differ != meant {
            wrong.push(format!(
                "{name}: {differ:?} differ, listed are {meant:?}\n  Envoy: {by_envoy}\n  ours:  {by_us}"
            ));
        }
    }
    wrong.extend(meant.keys().map(|name| format!("{name}: is listed as a difference, but there is no such request")));
    assert!(wrong.is_empty(), "{} answers are not as they should be:\n{}", wrong.len(), wrong.join("\n"));
}

#[tokio::test(flavor = "multi_thread")]
async fn stream_headers_precede_first_event() {
    let service = Front::start().await;
    let envoy = envoy(&service).await;
    let (embedded, _stop) = embedded(&service).await;
    for front in [envoy.address(), embedded] {
        let head = wire::head(front, "/front/watch?count=-1").await.to_lowercase();
        assert!(head.starts_with("http/1.1 200 "), "{head}");
        assert!(head.contains("content-type: text/event-stream\r\n"), "{head}");
        assert!(head.contains("cache-control: no-store\r\n"), "{head}");
        assert!(!head.contains("content-length"), "{head}");
    }
}

/// Starts Envoy on its own port.
async fn envoy(service: &Front) -> Envoy {
    let upstreams = [(SERVICE.to_owned(), service.address())].into();
    let setup = EnvoySetup { descriptor_set: ENVOY_DESCRIPTOR_SET.to_vec(), upstreams };
    let hosts = HOSTS.split(',').map(|host| host.parse().unwrap()).collect();
    Envoy::start_with(setup, |settings| settings.hosts = hosts).await
}

/// Starts the embedded gateway as the binary does, on its own port, until the guard is dropped.
async fn embedded(service: &Front) -> (SocketAddr, DropGuard) {
    #[derive(Parser)]
    struct Defaults {
        #[command(flatten)]
        front: gateway::Config,
        #[command(flatten)]
        connections: listener::Config,
    }
    let Defaults { front: config, connections } = Defaults::parse_from(["parity", &format!("--hosts={HOSTS}")]);
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let upstream = Upstream::remote(&format!("http://{}", service.address()), None).unwrap();
    let stop = CancellationToken::new();
    let front = gateway::Front::new(Setup {
        descriptors: DESCRIPTOR_SET,
        is_routable: |path| path.trim_start_matches('/').split('/').next() == Some(SERVICE),
        upstreams: [("testing".to_owned(), upstream)].into(),
        trusted_proxies: Vec::new(),
        admission: Admission::new(&config),
        hosts: config.hosts_at(address).unwrap(),
        config,
        stop: stop.clone(),
    })
    .unwrap();
    let guard = stop.clone().drop_guard();
    let serving = async move {
        let (workers, proxies) = (vec![Worker::here(front)], TrustedProxies::default());
        listener::serve(listener, workers, Protocols::Http1And2, &proxies, &connections, stop).await
    };
    #[allow(clippy::disallowed_methods, reason = "the task ends with the guard")]
    tokio::spawn(serving);
    (address, guard)
}

/// Sends a request with an id and a trace, unless it has its own: errors and services show them, and are alike then. An id that
/// the front has made is masked.
async fn answer(front: SocketAddr, request: &Request, pool: &DescriptorPool) -> Answer {
    let mut request = request.clone();
    for (name, value) in [
        ("x-request-id", "recorded.1_request-2"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
    ] {
        if !request.has_header(name) {
            request.headers.push((name.to_owned(), value.into()));
        }
    }
    let mut answer = if request.method == "GRPC" {
        wire::call(front, &request, &message(&request, pool)).await
    } else {
        wire::send(front, &request).await
    };
    if let Some(id) = answer.headers.get("x-request-id").map(|values| values.concat())
        && !request.headers.iter().any(|(name, sent)| name == "x-request-id" && *sent == id.as_bytes())
    {
        answer.body = String::from_utf8_lossy(&answer.body).replace(&id, "{made}").into_bytes();
        answer.headers.insert("x-request-id".to_owned(), vec!["{made}".to_owned()]);
    }
    answer
}

/// Returns the message of a native call: encoded from its JSON, or the bytes as they are.
fn message(request: &Request, pool: &DescriptorPool) -> Vec<u8> {
    let path = std::str::from_utf8(&request.target).unwrap().trim_start_matches('/');
    let (service, method) = path.split_once('/').unwrap();
    let method = pool.get_service_by_name(service).and_then(|s| s.methods().find(|m| m.name() == method));
    match method {
        Some(method) if request.body.starts_with(b"{") => {
            let mut json = serde_json::Deserializer::from_slice(&request.body);
            DynamicMessage::deserialize(method.input(), &mut json).unwrap().encode_to_vec()
        }
        _ => request.body.clone(),
    }
}
