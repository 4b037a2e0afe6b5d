//! The front as one tower service: dispatches each request to the part that answers it.

use std::collections::HashMap;
use std::convert::Infallible;
use std::fmt;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::header::{CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderMap};
use http::request::Parts;
use http::{Extensions, HeaderValue, Method, Request, Response, Version};
use ipnet::IpNet;
use kernel::{BoxError, Hosts};
use opentelemetry::trace::FutureExt as _;
use telemetry::http::{HttpBody, HttpCall};
use tokio_util::sync::CancellationToken;
use tonic::body::Body;
use tonic::service::Routes;
use tonic_health::pb::health_server::HealthServer;
use tower::Service;
use transport::{Holders, TrustedProxies};

use crate::admission::Admission;
use crate::config::Config;
use crate::cors::Cors;
use crate::health::Readiness;
use crate::rest_error::RestError;
use crate::route::{Segments, Table, UnusableDescriptors};
use crate::upstream::Upstream;
use crate::{docs, native, reflection, request_validation, rest, web};

/// Parts of a front.
pub struct Setup {
    /// An encoded `google.protobuf.FileDescriptorSet`, with options and with the details of google.rpc.
    pub descriptors: &'static [u8],
    /// Predicate on an RPC's path (`/package.Service/Method`): only RPCs that it accepts are routed.
    pub is_routable: fn(&str) -> bool,
    /// The services, by domain: the second component of their packages.
    pub upstreams: HashMap<String, Upstream>,
    /// Networks whose `x-forwarded-for` is trusted.
    pub trusted_proxies: Vec<IpNet>,
    /// The hosts that the front answers to.
    pub hosts: Hosts,
    /// Limits and CORS origins.
    pub config: Config,
    /// Admission limits of each source, shared by all threads of the front.
    pub admission: Admission,
    /// Cancelled at shutdown: the front's streams end then, so that the drain does not wait for them.
    pub stop: CancellationToken,
}

impl fmt::Debug for Setup {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Setup").field("upstreams", &self.upstreams.keys()).finish_non_exhaustive()
    }
}

/// The REST front, with gRPC, health and reflection on the same port.
#[derive(Debug, Clone)]
pub struct Front(Arc<Shared>);

/// State that all requests share.
#[derive(Debug)]
pub(crate) struct Shared {
    pub(crate) table: Arc<Table>,
    pub(crate) limits: Config,
    pub(crate) admission: Admission,
    pub(crate) stop: CancellationToken,
    pub(crate) proxies: TrustedProxies,
    pub(crate) cors: Cors,
    hosts: Hosts,
    upstreams: HashMap<Arc<str>, Upstream>,
    readiness: Readiness,
    /// The front's own gRPC services.
    pub(crate) own: Routes,
}

impl Shared {
    /// Returns the error for a request whose host is not the front's.
    fn foreign_host(&self, parts: &Parts) -> Option<RestError> {
        (!self.hosts.cover(request_validation::host(parts))).then(RestError::foreign_host)
    }

    pub(crate) fn upstream(&self, service: &str) -> Option<&Upstream> {
        self.upstreams.get(service)
    }

    /// Returns the networks that a request counts against.
    pub(crate) fn source(&self, parts: &Parts) -> Holders {
        let origin = peer(&parts.extensions).map(|peer| self.proxies.origin(peer.ip(), &parts.headers));
        origin.map_or(Holders::NOBODY, Holders::of_source)
    }
}

impl Front {
    /// Creates a front.
    ///
    /// # Errors
    /// If the descriptors can't be served, or a service in them has no upstream.
    pub fn new(setup: Setup) -> Result<Self, UnusableDescriptors> {
        let Setup { descriptors, is_routable, upstreams: domains, trusted_proxies, hosts, config, admission, stop } =
            setup;
        let table = Table::new(descriptors, is_routable)?;
        let mut upstreams = HashMap::new();
        for service in table.services() {
            let domain = service.split('.').nth(1).unwrap_or_default();
            let upstream = domains
                .get(domain)
                .ok_or_else(|| UnusableDescriptors::because(format!("{service} has no upstream named {domain}")))?;
            upstreams.insert(Arc::clone(service), upstream.clone());
        }
        let readiness = Readiness::new(domains);
        let own = Routes::new(HealthServer::new(readiness.clone()));
        Ok(Self(Arc::new(Shared {
            table: Arc::new(table),
            proxies: TrustedProxies::new(&trusted_proxies),
            hosts,
            upstreams,
            cors: Cors::new(config.cors_origins.clone()),
            limits: config,
            admission,
            stop,
            readiness,
            own: reflection::add(own, descriptors, is_routable)?,
        })))
    }
}

impl<B> Service<Request<B>> for Front
where
    B: http_body::Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type Response = Response<HttpBody<Body>>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let shared = Arc::clone(&self.0);
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = Body::new(body);
            let mut call = HttpCall::start(&parts.method, &parts.headers);
            // Calls and logs on the way belong to the request's trace.
            let context = call.context().clone();
            let answer = async {
                if !request_validation::is_unambiguous(&parts) {
                    malformed(&shared, &parts)
                } else if is_grpc(&parts.headers) {
                    name_rpc(&shared, &mut call, &parts);
                    grpc(&shared, parts, body).await
                } else if web::is_call(&parts) {
                    name_rpc(&shared, &mut call, &parts);
                    web::answer(&shared, parts, body).await
                } else {
                    http(&shared, &mut call, &parts, body).await
                }
            };
            let response = answer.with_context(context).await;
            Ok(call.wrap(response))
        })
    }
}

async fn http(shared: &Arc<Shared>, call: &mut HttpCall, parts: &Parts, body: Body) -> Response<Body> {
    // Probes call by the address of a pod.
    if let Some(error) = shared.foreign_host(parts).filter(|_| parts.uri.path() != "/healthz") {
        return with_no_store(error.into_response(&shared.table.schema));
    }
    if let Some(answer) = shared.cors.preflight(&parts.method, &parts.headers) {
        return answer;
    }
    let segments = Segments::of(parts.uri.path());
    let route = segments.as_ref().and_then(|segments| Some((shared.table.find(&parts.method, segments)?, segments)));
    let response = match route {
        Some((route, segments)) => {
            call.route(Arc::clone(&route.template));
            rest::answer(shared, route, segments, parts, body).await
        }
        None if parts.method == Method::GET && parts.uri.path() == "/healthz" => {
            call.route("/healthz");
            shared.readiness.answer().await
        }
        None => match docs::answer(parts) {
            Some((route, page)) => {
                call.route(route);
                page
            }
            None => RestError::no_route().into_response(&shared.table.schema),
        },
    };
    let mut response = with_no_store(response);
    if let Some(origin) = shared.cors.allowed(&parts.headers) {
        Cors::show(origin, response.headers_mut());
    }
    response
}

fn malformed(shared: &Shared, parts: &Parts) -> Response<Body> {
    if is_grpc(&parts.headers) {
        return RestError::malformed().into_status().into_http();
    }
    let mut response = RestError::malformed().into_response(&shared.table.schema);
    if parts.version <= Version::HTTP_11 {
        // The beginning of the next request is unknown.
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    with_no_store(response)
}

/// Forbids caches to store a response, which may hold personal data or tokens (RFC 6749, section 5.1), unless the service
/// set `cache-control`.
fn with_no_store(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().entry(CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
    response
}

fn name_rpc(shared: &Shared, call: &mut HttpCall, parts: &Parts) {
    if let Some(rpc) = shared.table.rpc(parts.uri.path()) {
        call.route(Arc::clone(&rpc.path));
    }
}

pub(crate) async fn grpc(shared: &Arc<Shared>, parts: Parts, body: Body) -> Response<Body> {
    let path = parts.uri.path();
    if let Some(error) = shared.foreign_host(&parts).filter(|_| !path.starts_with(native::HEALTH)) {
        return error.into_status().into_http();
    }
    if let Some(rpc) = shared.table.rpc(path) {
        return native::answer(shared, rpc, &parts, body).await;
    }
    if path.starts_with(native::HEALTH) || path.starts_with(native::REFLECTION) {
        return native::answer_own(shared, parts, body).await;
    }
    native::unknown()
}

/// Returns whether a request is a native gRPC call. gRPC-Web is another protocol.
fn is_grpc(headers: &HeaderMap) -> bool {
    let Some(value) = headers.get(CONTENT_TYPE) else { return false };
    let rest = value.as_bytes().strip_prefix(b"application/grpc");
    matches!(rest, Some([] | [b'+' | b';', ..]))
}

/// Returns the peer address of the request's connection, which the listener sets.
pub(crate) fn peer(extensions: &Extensions) -> Option<SocketAddr> {
    extensions.get::<SocketAddr>().copied()
}
