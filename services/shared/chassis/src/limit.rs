//! Limits the requests that a service answers at once. Nothing is held for a request before it has come to its end.
//!
//! Most permits are for everybody, with a limit for each caller. Some more are for other services alone, so that a
//! crowd of people doesn't starve the calls by which others are answered; and some for requests that end things, which
//! are answered when everything else is full. Refusals are RESOURCE_EXHAUSTED: of UNAVAILABLE a proxy would conclude
//! that the service is sick.

use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};
use kernel::{Error, Kind, setting};
use proto::Rpc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;
use transport::{Budget, Held, Holders, RETRY_DELAY, Reader, Unread, too_many};

use crate::access::is_infrastructure;
use crate::caller::Caller;
use crate::context::ClientAddress;
use crate::identity::FRONT;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status::to_status;

/// The largest message that a service takes (1 MiB).
pub const MAX_RECEIVE: usize = 1024 * 1024;
/// The largest message that a service sends (4 MiB: what a gRPC client takes by default).
pub const MAX_SEND: usize = 4 * 1024 * 1024;

/// Bytes before a message: compression and length.
const PREFIX: usize = 5;
/// Divisor of the permits: one part is added for services, and one for requests that end things.
const SHARE: usize = 8;
/// Maximum concurrent requests of one caller that end things, besides the caller's others.
const ENDINGS_OF_CALLER: usize = 4;

/// Limits on what a service answers at once.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Config {
    /// Maximum concurrent requests; what comes on top is refused with RESOURCE_EXHAUSTED. An eighth as many more are
    /// answered for other services, and again for what ends things: revocations, rejections, logouts.
    #[arg(long, env = "MESH_MAX_CONCURRENT_REQUESTS", default_value_t = 512, value_parser = setting::count)]
    pub(crate) max_concurrent_requests: usize,

    /// Maximum concurrent requests of one person, or of one source where nobody is logged in.
    #[arg(long, env = "MESH_MAX_REQUESTS_PER_CALLER", default_value_t = 128, value_parser = setting::count)]
    pub(crate) max_requests_per_caller: usize,

    /// Maximum concurrent answers that are streams. They don't count as requests.
    #[arg(long, env = "MESH_MAX_CONCURRENT_STREAMS", default_value_t = 4096, value_parser = setting::count)]
    pub(crate) max_concurrent_streams: usize,
}

/// Reads each request, and answers it if there is a permit for it.
#[derive(Debug, Clone)]
pub(crate) struct LimitStage(Arc<Permits>);

#[derive(Debug)]
struct Permits {
    reader: Reader,
    /// For everybody.
    general: Arc<Semaphore>,
    /// For other services.
    services: Arc<Semaphore>,
    /// For requests that end things.
    endings: Arc<Semaphore>,
    /// For answers that are streams.
    streams: Arc<Semaphore>,
    by_caller: Budget,
    endings_by_caller: Budget,
    streams_by_caller: Budget,
}

/// Permit of one request.
#[derive(Debug)]
struct Permit {
    _permit: OwnedSemaphorePermit,
    _held: Option<Held>,
}

/// Caller that a request takes a permit for.
#[derive(Debug, Clone, Copy)]
enum Claim {
    /// Another service of the mesh.
    Service,
    /// A person, or a source. What the front calls for people is theirs.
    Caller(Holders),
}

impl LimitStage {
    /// Creates the stage with these limits.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        let permits = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        let share = (config.max_concurrent_requests / SHARE).max(1);
        Self(Arc::new(Permits {
            reader: Reader::default(),
            general: permits(config.max_concurrent_requests),
            services: permits(share),
            endings: permits(share),
            streams: permits(config.max_concurrent_streams),
            by_caller: Budget::new(config.max_requests_per_caller),
            endings_by_caller: Budget::new(ENDINGS_OF_CALLER),
            streams_by_caller: Budget::new(config.max_requests_per_caller),
        }))
    }
}

impl Stage for LimitStage {
    const NAME: &'static str = "limit";

    async fn handle<S: Inner>(self, request: Request, inner: S) -> Response {
        let path = request.uri().path();
        // A busy service is not a sick one: its health is answered also under load.
        let Some(rpc) = Rpc::find(path).filter(|_| !is_infrastructure(path)) else {
            return forward(inner, request).await;
        };
        let (holders, claim) = callers(&request);
        let (parts, body) = request.into_parts();
        let bytes = match self.0.reader.read(body, holders, PREFIX + MAX_RECEIVE).await {
            Ok(bytes) => bytes,
            Err(unread) => return refused(&unread),
        };
        let permit = match self.0.acquire(rpc, claim, bytes.get(PREFIX..).unwrap_or_default()) {
            Ok(permit) => permit,
            Err(error) => return to_status(error).into_http(),
        };
        let stream_permit = match self.0.acquire_stream(rpc, claim) {
            Ok(permit) => permit,
            Err(error) => return to_status(error).into_http(),
        };
        let response = forward(inner, Request::from_parts(parts, whole(bytes))).await;
        drop(permit);
        match stream_permit {
            Some(permit) => response.map(|body| hold_until_end(body, permit)),
            None => response,
        }
    }
}

impl Permits {
    fn acquire(&self, rpc: &Rpc, claim: Claim, message: &[u8]) -> Result<Permit, Error> {
        let holders = match claim {
            Claim::Service => {
                let permit = try_acquire(&self.general, None).or_else(|| try_acquire(&self.services, None));
                return permit.ok_or_else(overloaded);
            }
            Claim::Caller(holders) => holders,
        };
        let held = self.by_caller.take(holders);
        let is_over = held.is_none();
        if let Some(permit) = held.and_then(|held| try_acquire(&self.general, Some(held))) {
            return Ok(permit);
        }
        if rpc.ends_something(message)
            && let Some(held) = self.endings_by_caller.take(holders)
            && let Some(permit) = try_acquire(&self.endings, Some(held))
        {
            return Ok(permit);
        }
        Err(if is_over { too_many() } else { overloaded() })
    }

    /// Returns the permit of an answer that is a stream; none for any other answer.
    fn acquire_stream(&self, rpc: &Rpc, claim: Claim) -> Result<Option<Permit>, Error> {
        if !rpc.streams {
            return Ok(None);
        }
        let held = match claim {
            Claim::Service => None,
            Claim::Caller(holders) => Some(self.streams_by_caller.take(holders).ok_or_else(too_many)?),
        };
        try_acquire(&self.streams, held).map(Some).ok_or_else(overloaded)
    }
}

fn try_acquire(permits: &Arc<Semaphore>, held: Option<Held>) -> Option<Permit> {
    let permit = Arc::clone(permits).try_acquire_owned().ok()?;
    Some(Permit { _permit: permit, _held: held })
}

/// Returns the holders that count while the request is read, and the claim while it is answered.
fn callers(request: &Request) -> (Holders, Claim) {
    let extensions = request.extensions();
    let caller = extensions.get::<Caller>();
    let person = caller.and_then(|caller| caller.person).map(|person| person.user_id);
    let source = extensions.get::<ClientAddress>().map(|address| address.0);
    let holders = source.map_or(Holders::NOBODY, |source| Holders::of(person, source));
    match caller.and_then(|caller| caller.workload.as_deref()) {
        Some(workload) if workload != FRONT => (Holders::NOBODY, Claim::Service),
        _ => (holders, Claim::Caller(holders)),
    }
}

fn refused(unread: &Unread) -> Response {
    // Nobody reads the answer to a request that broke off.
    to_status(unread.error().unwrap_or_else(crate::deadline::exceeded)).into_http()
}

fn whole(bytes: Bytes) -> Body {
    Body::new(Full::new(bytes))
}

/// Returns the body with a permit that is released when it has ended.
fn hold_until_end(body: Body, permit: Permit) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(body.map_frame(move |frame: Frame<Bytes>| {
        let _held = &permit;
        frame
    }))
}

/// Returns the error of a service that is overloaded.
pub(crate) fn overloaded() -> Error {
    Error::new(Kind::ResourceExhausted, "OVERLOADED", "too many requests at once; try again").retry_after(RETRY_DELAY)
}

#[cfg(test)]
mod tests;
