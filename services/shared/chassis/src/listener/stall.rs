//! Peers that ask and then take nothing of the answer, or nothing more at all. What they hold would otherwise be held for
//! as long as they like: neither HTTP/1.1 nor HTTP/2 bounds it.

use std::future::Future;
use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf as _, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

use crate::room::Idle;

/// A socket whose writes fail with `TimedOut` once the peer has taken nothing for `patience`.
#[derive(Debug)]
pub(super) struct Impatient<T> {
    socket: T,
    patience: Duration,
    life: Arc<Life>,
    /// Since when a write waits, if one does.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    pub(super) const fn new(socket: T, patience: Duration, life: Arc<Life>) -> Self {
        Self { socket, patience, life, waits: None }
    }

    fn bound<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        self.life.writes.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            if self.waits.take().is_some() && self.life.silence().is_some() {
                self.life.stir();
            }
            return written;
        }
        let patience = self.patience;
        let waits = self.waits.get_or_insert_with(|| Box::pin(sleep(patience)));
        ready!(waits.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Impatient<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Impatient<T> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write(cx, buf);
        self.bound(cx, written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.socket).poll_write_vectored(cx, bufs);
        self.bound(cx, written)
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let flushed = Pin::new(&mut self.socket).poll_flush(cx);
        self.bound(cx, flushed)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let shut = Pin::new(&mut self.socket).poll_shutdown(cx);
        self.bound(cx, shut)
    }
}

/// Activity of a connection.
#[derive(Debug)]
pub(super) struct Life {
    born: Instant,
    /// Milliseconds from birth to the last time the peer asked or took something, plus one; 0 if it has not asked yet.
    last: AtomicU64,
    /// Requests that are being answered: until HTTP has all of the answer.
    in_flight: AtomicUsize,
    /// Bodies with something that the peer has not taken yet.
    owed: AtomicUsize,
    /// Whether the socket has no room for what HTTP/1.1 has of an answer.
    writes: AtomicBool,
    /// Whether its answers are streams of HTTP/2.
    streams: AtomicBool,
}

impl Life {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            last: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            owed: AtomicUsize::new(0),
            writes: AtomicBool::new(false),
            streams: AtomicBool::new(false),
        })
    }

    /// Notes that the peer asked for something, or took something.
    pub(super) fn stir(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last.store(now + 1, Ordering::Relaxed);
    }

    /// Notes a request, until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.stir();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Whether no request is being answered, and all of the answers is written.
    pub(super) fn rests(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0 && !self.writes.load(Ordering::Relaxed)
    }

    /// For how long the peer has neither asked nor taken; none if it never asked.
    pub(super) fn silence(&self) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.born.elapsed().saturating_sub(Duration::from_millis(last)))
    }

    /// Its answers are streams of HTTP/2.
    pub(super) fn note_streams(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    /// Whether its answers are streams of HTTP/2.
    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// Whether something waits for the peer.
    pub(super) fn is_owed(&self) -> bool {
        self.owed.load(Ordering::Relaxed) > 0
    }
}

impl Idle for Arc<Life> {
    fn idle_since(&self) -> Option<Instant> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed).saturating_sub(1));
        self.rests().then(|| self.born + last)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct InFlight(Arc<Life>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // A connection is idle from here on, not from when it asked.
        self.0.stir();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// How much of an answer is handed to HTTP/2 at once. It takes any piece as soon as the peer's window has room for a byte
/// of it, and would keep a large one.
const PIECE: usize = 16 * 1024;

/// The body of an answer over HTTP/2, which notes whether the peer takes it. It is asked for more only while the peer has
/// room, and does not end before it was asked for its end.
#[derive(Debug)]
pub(super) struct Owed<B> {
    body: B,
    rest: Bytes,
    request: InFlight,
    /// Whether this body is counted in `Life::owed`.
    counted: bool,
    begun: bool,
}

impl<B: Body> Owed<B> {
    pub(super) fn new(body: B, request: InFlight) -> Self {
        let mut owed = Self { body, rest: Bytes::new(), request, counted: false, begun: false };
        owed.count(true);
        owed
    }
}

impl<B> Owed<B> {
    fn count(&mut self, owed: bool) {
        match (self.counted, owed) {
            (false, true) => _ = self.request.0.owed.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.request.0.owed.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.counted = owed;
    }
}

impl<B> Drop for Owed<B> {
    fn drop(&mut self) {
        self.count(false);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for Owed<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.request.0.stir();
        if self.rest.is_empty() {
            let Poll::Ready(frame) = Pin::new(&mut self.body).poll_frame(cx) else {
                self.count(false);
                return Poll::Pending;
            };
            self.begun = true;
            self.count(true);
            match frame.map(|frame| frame.map(Frame::into_data)) {
                Some(Ok(Ok(data))) => self.rest = data,
                Some(Ok(Err(other))) => return Poll::Ready(Some(Ok(other))),
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => return Poll::Ready(None),
            }
        }
        let piece = self.rest.len().min(PIECE);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(piece)))))
    }

    fn is_end_stream(&self) -> bool {
        !self.begun && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let rest = self.rest.remaining() as u64;
        let mut hint = self.body.size_hint();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper + rest);
        }
        hint.set_lower(hint.lower() + rest);
        hint
    }
}

pin_project! {
    /// The body of an answer, whose request is in flight until HTTP has all of it.
    #[derive(Debug)]
    pub(super) struct Lasting<B> {
        #[pin]
        body: B,
        request: InFlight,
    }
}

impl<B> Lasting<B> {
    pub(super) const fn new(body: B, request: InFlight) -> Self {
        Self { body, request }
    }
}

impl<B: Body<Data = Bytes>> Body for Lasting<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.project().body.poll_frame(cx)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
