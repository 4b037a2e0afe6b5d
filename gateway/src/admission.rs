//! Limits the concurrent work of one source, over all threads of the front. A request counts, and reaches a service, only once
//! it has been read to its end.

use bytes::Bytes;
use http_body::Frame;
use http_body_util::BodyExt as _;
use kernel::Error;
use tonic::body::Body;
use transport::{Budget, Held, Holders, Reader, Unread, too_many};

use crate::config::Config;

/// Maximum concurrent requests of one source that end something, besides its others.
const ENDINGS_OF_SOURCE: usize = 16;

/// The budgets of sources. Clones share them.
#[derive(Debug, Clone)]
pub struct Admission {
    reader: Reader,
    requests: Budget,
    endings: Budget,
    streams: Budget,
}

/// Kind of a call, by which it is counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// One answer.
    Unary,
    /// One answer, to a call that ends something.
    Ending,
    /// An answer that lasts.
    Stream,
}

impl Kind {
    /// The kind of a call of this RPC, with an encoded message.
    pub(crate) fn of(path: &str, streams: bool, message: &[u8]) -> Self {
        if streams {
            Self::Stream
        } else if proto::Rpc::find(path).is_some_and(|rpc| rpc.ends_something(message)) {
            Self::Ending
        } else {
            Self::Unary
        }
    }
}

impl Admission {
    /// Budgets as they are configured.
    #[must_use]
    pub fn new(config: &Config) -> Self {
        Self {
            reader: Reader::default(),
            requests: Budget::new(config.max_requests_per_source),
            endings: Budget::new(ENDINGS_OF_SOURCE),
            streams: Budget::new(config.max_requests_per_source),
        }
    }

    /// The whole body of a request, if it comes in time and has at most `most` bytes.
    pub(crate) async fn read(&self, body: Body, source: Holders, most: usize) -> Result<Bytes, Unread> {
        self.reader.read(body, source, most).await
    }

    /// Admits a call, which counts until the result is dropped.
    ///
    /// # Errors
    /// RESOURCE_EXHAUSTED (`TOO_MANY_REQUESTS`).
    pub(crate) fn admit(&self, kind: Kind, source: Holders) -> Result<Held, Error> {
        let held = match kind {
            Kind::Unary => self.requests.take(source),
            Kind::Ending => self.requests.take(source).or_else(|| self.endings.take(source)),
            Kind::Stream => self.streams.take(source),
        };
        held.ok_or_else(too_many)
    }
}

/// A body that counts until it has ended.
pub(crate) fn until_its_end(body: Body, held: Held) -> Body {
    Body::new(body.map_frame(move |frame: Frame<Bytes>| {
        let _lasts = &held;
        frame
    }))
}
