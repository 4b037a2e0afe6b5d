//! Channels to services of the mesh: connected lazily, with keepalive, and to every replica of a service that is named.

mod balancer;

use std::net::IpAddr;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use futures_util::TryFutureExt as _;
use futures_util::future::{BoxFuture, Either, MapErr};
use kernel::BoxError;
use tonic::TimeoutExpired;
use tonic::body::Body;
use tonic::transport::{self, Endpoint};
use tower::{Service, ServiceExt as _};

use self::balancer::{BalancedChannel, ResolveIntervals};

/// Timeout for connecting.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(1);
/// Intervals at which names are resolved: Envoy's (its `dns_refresh_rate`), shorter where something is wrong.
const RESOLVE_INTERVALS: ResolveIntervals =
    ResolveIntervals { settled: Duration::from_secs(5), unsettled: Duration::from_secs(1), timeout: CONNECT_TIMEOUT };

/// Connection to a service at an address, or one to each replica of a service that is named.
#[derive(Debug, Clone)]
pub struct Channel(Way);

#[derive(Debug, Clone)]
enum Way {
    Single(transport::Channel),
    Balanced(Arc<BalancedChannel>),
}

/// Returns a channel to a service of the mesh. Where its host is a name, calls are balanced over all addresses of that
/// name.
///
/// # Errors
/// If the address is not `http://host:port`.
pub fn channel(address: &str) -> Result<Channel, BoxError> {
    Channel::over(endpoint(address)?)
}

/// Returns a channel for `most` concurrent streams whose readers may be slow, or stop reading: each delays its own
/// stream alone, because the connection has room for what all of them leave unread.
///
/// # Errors
/// As [`channel`].
pub fn channel_of_streams(address: &str, most: u32) -> Result<Channel, BoxError> {
    const UNREAD: u32 = 64 * 1024;
    let endpoint = endpoint(address)?.initial_stream_window_size(UNREAD);
    Channel::over(endpoint.initial_connection_window_size(UNREAD.saturating_mul(most.saturating_add(1))))
}

fn endpoint(address: &str) -> Result<Endpoint, BoxError> {
    let endpoint = Endpoint::from_shared(address.to_owned())
        .map_err(|error| format!("{address}: is not an address like http://host:port: {error}"))?;
    Ok(endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .http2_keep_alive_interval(Duration::from_secs(20))
        .keep_alive_timeout(Duration::from_secs(10))
        .keep_alive_while_idle(true))
}

impl Channel {
    fn over(endpoint: Endpoint) -> Result<Self, BoxError> {
        let uri = endpoint.uri();
        let host = uri.host().ok_or_else(|| format!("{uri}: is not an address like http://host:port"))?;
        if host.trim_matches(['[', ']']).parse::<IpAddr>().is_ok() {
            return Ok(Self(Way::Single(endpoint.connect_lazy())));
        }
        let (host, port) = (Arc::<str>::from(host), uri.port_u16().unwrap_or(80));
        let lookup = move || {
            let host = Arc::clone(&host);
            let found = async move { Ok(tokio::net::lookup_host((&*host, port)).await?.collect()) };
            Box::pin(found) as BoxFuture<'static, _>
        };
        Ok(Self(Way::Balanced(BalancedChannel::new(endpoint, Box::new(lookup), RESOLVE_INTERVALS))))
    }
}

type Answer = Result<http::Response<Body>, BoxError>;
type SingleFuture = MapErr<transport::channel::ResponseFuture, fn(transport::Error) -> BoxError>;

impl Service<http::Request<Body>> for Channel {
    type Response = http::Response<Body>;
    type Error = BoxError;
    type Future = Either<SingleFuture, BoxFuture<'static, Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match &mut self.0 {
            Way::Single(channel) => channel.poll_ready(cx).map_err(Into::into),
            Way::Balanced(_) => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, request: http::Request<Body>) -> Self::Future {
        match &mut self.0 {
            Way::Single(channel) => Either::Left(channel.call(request).map_err(Into::into)),
            Way::Balanced(replicas) => {
                let replicas = Arc::clone(replicas);
                Either::Right(Box::pin(async move {
                    let (address, channel) = replicas.next().await?;
                    let answer = channel.oneshot(request).await;
                    if answer.as_ref().is_err_and(|error| !is_out_of_time(error)) {
                        replicas.remove(address);
                    }
                    Ok(answer?)
                }))
            }
        }
    }
}

/// Returns whether a channel gave up on a call because the time in its `grpc-timeout` was over.
#[must_use]
pub fn is_out_of_time(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<TimeoutExpired>() {
            return true;
        }
        next = error.source();
    }
    false
}
