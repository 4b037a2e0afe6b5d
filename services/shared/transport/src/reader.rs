//! Reads a request to its end before anything is held for it. What is there already takes no time; a request that is
//! awaited has one of a bounded number of slots, and a newcomer replaces the one that has waited longest.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use futures_util::FutureExt as _;
use http_body::{Body, Frame};
use http_body_util::BodyExt as _;
use kernel::{Error, Kind};
use tokio::time::{Instant, sleep_until};

use crate::budget::Holders;
use crate::slots::{Idle, SlotPool};

/// Time for the first byte of a message.
const FIRST_BYTE: Duration = Duration::from_secs(5);
/// Bytes of a message that must come each second from then on.
const BYTES_PER_SECOND: u32 = 8 * 1024;
/// Time for the whole message.
const WHOLE: Duration = Duration::from_secs(15);
/// Time within which what follows the first byte may begin to come at that rate.
const GRACE: Duration = Duration::from_secs(1);

/// Requests of all callers that may be awaited at once. Each buffers one message at most.
const AWAITED: usize = 512;
/// Requests of one caller that may be awaited at once.
const AWAITED_OF_CALLER: usize = 128;

/// Reads requests, within what may be awaited at once.
#[derive(Debug, Clone)]
pub struct Reader(Arc<SlotPool<Awaited>>);

/// Reason for which a request was not read to its end.
#[derive(Debug)]
pub enum Unread {
    /// It is larger than is taken.
    TooLarge,
    /// It came too slowly.
    TooSlow,
    /// Too many were awaited, and this one longest.
    Replaced,
    /// It broke off.
    Broken,
}

impl Unread {
    /// Returns the error for the caller. None if the caller is gone.
    ///
    /// It is RESOURCE_EXHAUSTED for what is too slow: of DEADLINE_EXCEEDED (504) a proxy concludes that the service is
    /// sick.
    #[must_use]
    pub fn error(&self) -> Option<Error> {
        match self {
            Self::TooLarge => Some(too_large()),
            Self::TooSlow => {
                let message = "the request came too slowly: send it at once, at 8 KiB a second or more";
                Some(Error::new(Kind::ResourceExhausted, "REQUEST_TOO_SLOW", message).retry_after(RETRY_DELAY))
            }
            Self::Replaced => Some(too_many()),
            Self::Broken => None,
        }
    }
}

/// Time after which a retry of shed load makes sense.
pub const RETRY_DELAY: Duration = Duration::from_secs(1);

/// The error for a message beyond the bound.
#[must_use]
pub fn too_large() -> Error {
    Error::new(Kind::InvalidArgument, "MESSAGE_TOO_LARGE", "the message is larger than the service takes")
}

/// The error for a caller who asks for too much at once.
#[must_use]
pub fn too_many() -> Error {
    let message = "too many requests of yours at once; wait for answers and try again";
    Error::new(Kind::ResourceExhausted, "TOO_MANY_REQUESTS", message).retry_after(RETRY_DELAY)
}

impl Default for Reader {
    fn default() -> Self {
        Self(SlotPool::new(AWAITED, AWAITED_OF_CALLER))
    }
}

/// The instant since when a request is awaited.
struct Awaited(Instant);

impl Idle for Awaited {
    fn idle_since(&self) -> Option<Instant> {
        Some(self.0)
    }
}

impl Reader {
    /// Reads a body to its end, if it has at most `most` bytes and comes in time.
    ///
    /// # Errors
    /// If it doesn't, or if newer ones of the same caller, or of all, took its slot.
    pub async fn read<B>(&self, mut body: B, holders: Holders, most: usize) -> Result<Bytes, Unread>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let mut gathered = Gathered { most, ..Gathered::default() };
        while let Some(frame) = body.frame().now_or_never() {
            if gathered.push(frame)? {
                return Ok(gathered.into_bytes());
            }
        }
        let pace = Pace::begin(gathered.length());
        // All that are awaited are idle, so there is a slot for a newcomer.
        let slot = self.0.acquire(holders, Awaited(pace.start)).map_err(|_| Unread::Replaced)?;
        self.rest(body, gathered, pace, slot.replaced().cancelled()).await
    }

    async fn rest<B>(
        &self,
        mut body: B,
        mut gathered: Gathered,
        mut pace: Pace,
        replaced: impl Future<Output = ()>,
    ) -> Result<Bytes, Unread>
    where
        B: Body<Data = Bytes> + Unpin,
    {
        let late = sleep_until(pace.due(gathered.length()));
        tokio::pin!(late, replaced);
        loop {
            tokio::select! {
                biased;
                frame = body.frame() => {
                    if gathered.push(frame)? {
                        return Ok(gathered.into_bytes());
                    }
                    pace.note(gathered.length());
                }
                () = &mut replaced => return Err(Unread::Replaced),
                () = &mut late => {
                    let due = pace.due(gathered.length());
                    if due <= Instant::now() {
                        return Err(Unread::TooSlow);
                    }
                    late.as_mut().reset(due);
                }
            }
        }
    }
}

/// Data of a body that has arrived. Most comes in one piece, which is not copied.
#[derive(Default)]
struct Gathered {
    most: usize,
    piece: Bytes,
    pieces: BytesMut,
}

impl Gathered {
    /// Takes the next frame. Returns whether it was the end.
    fn push<E>(&mut self, frame: Option<Result<Frame<Bytes>, E>>) -> Result<bool, Unread> {
        let Some(frame) = frame else { return Ok(true) };
        let Ok(data) = frame.map_err(|_| Unread::Broken)?.into_data() else { return Ok(false) };
        if self.length() + data.len() > self.most {
            return Err(Unread::TooLarge);
        }
        if self.piece.is_empty() && self.pieces.is_empty() {
            self.piece = data;
        } else if !data.is_empty() {
            self.pieces.extend_from_slice(&std::mem::take(&mut self.piece));
            self.pieces.extend_from_slice(&data);
        }
        Ok(false)
    }

    fn length(&self) -> usize {
        self.piece.len() + self.pieces.len()
    }

    fn into_bytes(self) -> Bytes {
        if self.pieces.is_empty() { self.piece } else { self.pieces.freeze() }
    }
}

/// Pace of a body, against the minimum.
struct Pace {
    start: Instant,
    first: Option<Instant>,
}

impl Pace {
    fn begin(length: usize) -> Self {
        let start = Instant::now();
        Self { start, first: (length > 0).then_some(start) }
    }

    fn note(&mut self, length: usize) {
        if length > 0 {
            self.first.get_or_insert_with(Instant::now);
        }
    }

    /// Returns the instant by which more must have come.
    fn due(&self, length: usize) -> Instant {
        let earliest = self.start + FIRST_BYTE;
        let Some(first) = self.first else { return earliest };
        let length = u32::try_from(length).unwrap_or(u32::MAX);
        let earned = Duration::from_secs(1) * length / BYTES_PER_SECOND;
        earliest.max(first + GRACE).checked_add(earned).map_or(self.start + WHOLE, |due| due.min(self.start + WHOLE))
    }
}

impl fmt::Display for Unread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::TooLarge => "the request is too large",
            Self::TooSlow => "the request came too slowly",
            Self::Replaced => "newer requests took the place of this one",
            Self::Broken => "the request broke off",
        })
    }
}

impl std::error::Error for Unread {}

#[cfg(test)]
mod tests;
