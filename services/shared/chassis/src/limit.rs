//! Shares of what a service answers at once. Nothing is held for a request before it has come to its end.
//!
//! Most places are for everybody, so many for one caller. Some more are for other services alone, so that a crowd of people
//! doesn't starve the calls by which others are answered; and some for what ends things, which is answered when everything
//! else is full. What is refused is RESOURCE_EXHAUSTED: of UNAVAILABLE a proxy would conclude that the service is sick.

use std::sync::Arc;

use bytes::Bytes;
use http_body::{Body as _, Frame};
use http_body_util::{BodyExt as _, Full};
use kernel::{Caller, Error, Kind};
use proto::Rpc;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tonic::body::Body;

use crate::access::is_infrastructure;
use crate::budget::{Budget, Held, Holders};
use crate::config;
use crate::context::ClientAddress;
use crate::identity::FRONT;
use crate::message::{RETRY, Reader, Unread, too_many};
use crate::server::MAX_RECEIVE;
use crate::stage::{Inner, Request, Response, Stage, forward};
use crate::status;

/// Bytes before a message: compression and length.
const PREFIX: usize = 5;
/// The part of the places that is added for services, and again for what ends things.
const SHARE: usize = 8;
/// Requests that end things and are answered at once for one caller, besides the caller's others.
const ENDINGS_OF_CALLER: usize = 4;

/// Limits on what a service answers at once.
#[derive(Debug, Clone, clap::Args)]
#[group(skip)]
#[command(next_help_heading = "Serving")]
pub(crate) struct Config {
    /// How many requests are answered at once; what comes on top is refused with RESOURCE_EXHAUSTED. An eighth as many more
    /// are answered for other services, and again for what ends things: revocations, rejections, logouts.
    #[arg(long, env = "MESH_MAX_CONCURRENT_REQUESTS", default_value_t = 512, value_parser = config::count)]
    pub(crate) max_concurrent_requests: usize,

    /// How many requests of one person, or of one source where nobody is logged in, are answered at once.
    #[arg(long, env = "MESH_MAX_REQUESTS_PER_CALLER", default_value_t = 128, value_parser = config::count)]
    pub(crate) max_requests_per_caller: usize,

    /// How many answers that are streams last at once. They take no place of a request.
    #[arg(long, env = "MESH_MAX_CONCURRENT_STREAMS", default_value_t = 4096, value_parser = config::count)]
    pub(crate) max_concurrent_streams: usize,
}

/// Reads each request, and answers it if there is a place for it.
#[derive(Debug, Clone)]
pub(crate) struct LimitStage(Arc<Places>);

#[derive(Debug)]
struct Places {
    reader: Reader,
    /// For everybody.
    general: Arc<Semaphore>,
    /// For other services.
    services: Arc<Semaphore>,
    /// For what ends things.
    endings: Arc<Semaphore>,
    /// For answers that are streams.
    streams: Arc<Semaphore>,
    by_caller: Budget,
    endings_by_caller: Budget,
    streams_by_caller: Budget,
}

/// The place of one request.
#[derive(Debug)]
struct Place {
    _permit: OwnedSemaphorePermit,
    _held: Option<Held>,
}

/// Whom a request takes a place for.
#[derive(Debug, Clone, Copy)]
enum Claim {
    /// Another service of the mesh.
    Service,
    /// A person, or a source. What the front calls for people is theirs.
    Caller(Holders),
}

impl LimitStage {
    /// These limits.
    #[must_use]
    pub(crate) fn new(config: &Config) -> Self {
        let places = |number: usize| Arc::new(Semaphore::new(number.min(Semaphore::MAX_PERMITS)));
        let share = (config.max_concurrent_requests / SHARE).max(1);
        Self(Arc::new(Places {
            reader: Reader::default(),
            general: places(config.max_concurrent_requests),
            services: places(share),
            endings: places(share),
            streams: places(config.max_concurrent_streams),
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
        let place = match self.0.place(rpc, claim, bytes.get(PREFIX..).unwrap_or_default()) {
            Ok(place) => place,
            Err(error) => return status::of(error).into_http(),
        };
        let lasting = match self.0.lasting(rpc, claim) {
            Ok(lasting) => lasting,
            Err(error) => return status::of(error).into_http(),
        };
        let response = forward(inner, Request::from_parts(parts, whole(bytes))).await;
        drop(place);
        match lasting {
            Some(lasting) => response.map(|body| until_its_end(body, lasting)),
            None => response,
        }
    }
}

impl Places {
    fn place(&self, rpc: &Rpc, claim: Claim, message: &[u8]) -> Result<Place, Error> {
        let holders = match claim {
            Claim::Service => {
                let place = free(&self.general, None).or_else(|| free(&self.services, None));
                return place.ok_or_else(overloaded);
            }
            Claim::Caller(holders) => holders,
        };
        let held = self.by_caller.take(holders);
        let is_over = held.is_none();
        if let Some(place) = held.and_then(|held| free(&self.general, Some(held))) {
            return Ok(place);
        }
        if rpc.ends_something(message)
            && let Some(held) = self.endings_by_caller.take(holders)
            && let Some(place) = free(&self.endings, Some(held))
        {
            return Ok(place);
        }
        Err(if is_over { too_many() } else { overloaded() })
    }

    /// The place of an answer that lasts, where it is a stream.
    fn lasting(&self, rpc: &Rpc, claim: Claim) -> Result<Option<Place>, Error> {
        if !rpc.streams {
            return Ok(None);
        }
        let held = match claim {
            Claim::Service => None,
            Claim::Caller(holders) => Some(self.streams_by_caller.take(holders).ok_or_else(too_many)?),
        };
        free(&self.streams, held).map(Some).ok_or_else(overloaded)
    }
}

fn free(places: &Arc<Semaphore>, held: Option<Held>) -> Option<Place> {
    let permit = Arc::clone(places).try_acquire_owned().ok()?;
    Some(Place { _permit: permit, _held: held })
}

/// Who is counted while the request is read, and who while it is answered.
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
    // Nobody reads what is told to somebody who broke off.
    status::of(unread.error().unwrap_or_else(crate::deadline::exceeded)).into_http()
}

fn whole(bytes: Bytes) -> Body {
    Body::new(Full::new(bytes))
}

/// A body with a place that is free again when it has ended.
fn until_its_end(body: Body, place: Place) -> Body {
    if body.is_end_stream() {
        return body;
    }
    Body::new(body.map_frame(move |frame: Frame<Bytes>| {
        let _lasts = &place;
        frame
    }))
}

/// The error for a service that has too much to do.
pub(crate) fn overloaded() -> Error {
    Error::new(Kind::ResourceExhausted, "OVERLOADED", "too many requests at once; try again").retry_after(RETRY)
}

#[cfg(test)]
mod tests;
