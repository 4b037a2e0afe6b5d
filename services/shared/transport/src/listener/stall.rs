//! Detects peers that don't take their answers. Neither HTTP/1.1 nor HTTP/2 bounds how long such a peer holds a
//! connection.

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

use crate::slots::Idle;

/// A socket whose writes fail with `TimedOut` once the peer has taken nothing for `timeout`.
#[derive(Debug)]
pub(super) struct WriteTimeout<T> {
    socket: T,
    timeout: Duration,
    activity: Arc<ConnectionActivity>,
    /// Timer of the pending write, if there is one.
    timer: Option<Pin<Box<Sleep>>>,
}

impl<T> WriteTimeout<T> {
    pub(super) const fn new(socket: T, timeout: Duration, activity: Arc<ConnectionActivity>) -> Self {
        Self { socket, timeout, activity, timer: None }
    }

    fn bound<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        self.activity.is_write_pending.store(written.is_pending(), Ordering::Relaxed);
        if written.is_ready() {
            if self.timer.take().is_some() && self.activity.inactive_for().is_some() {
                self.activity.touch();
            }
            return written;
        }
        let timeout = self.timeout;
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep(timeout)));
        ready!(timer.as_mut().poll(cx));
        Poll::Ready(Err(io::ErrorKind::TimedOut.into()))
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for WriteTimeout<T> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_read(cx, buf)
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for WriteTimeout<T> {
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
pub(super) struct ConnectionActivity {
    opened: Instant,
    /// Milliseconds from opening to the last time the peer asked or took something, plus one; 0 if it has not asked
    /// yet.
    last: AtomicU64,
    /// Requests that are being answered: until HTTP has all of the answer.
    in_flight: AtomicUsize,
    /// Bodies with something that the peer has not taken yet.
    pending_bodies: AtomicUsize,
    /// Set while the socket has no room for what HTTP/1.1 has of an answer.
    is_write_pending: AtomicBool,
    /// Set if the answers are streams of HTTP/2.
    streams: AtomicBool,
}

impl ConnectionActivity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            opened: Instant::now(),
            last: AtomicU64::new(0),
            in_flight: AtomicUsize::new(0),
            pending_bodies: AtomicUsize::new(0),
            is_write_pending: AtomicBool::new(false),
            streams: AtomicBool::new(false),
        })
    }

    /// Records that the peer asked for something, or took something.
    pub(super) fn touch(&self) {
        let now = u64::try_from(self.opened.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last.store(now + 1, Ordering::Relaxed);
    }

    /// Counts a request as in flight until the guard is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.touch();
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    /// Returns whether no request is in flight, and all of the answers is written.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_flight.load(Ordering::Relaxed) == 0 && !self.is_write_pending.load(Ordering::Relaxed)
    }

    /// Returns the time for which the peer has neither asked nor taken; none if it never asked.
    pub(super) fn inactive_for(&self) -> Option<Duration> {
        let last = self.last.load(Ordering::Relaxed).checked_sub(1)?;
        Some(self.opened.elapsed().saturating_sub(Duration::from_millis(last)))
    }

    /// Records that the answers are streams of HTTP/2.
    pub(super) fn note_streams(&self) {
        self.streams.store(true, Ordering::Relaxed);
    }

    /// Returns whether the answers are streams of HTTP/2.
    pub(super) fn has_streams(&self) -> bool {
        self.streams.load(Ordering::Relaxed)
    }

    /// Returns whether a body waits for the peer.
    pub(super) fn has_pending_body(&self) -> bool {
        self.pending_bodies.load(Ordering::Relaxed) > 0
    }
}

impl Idle for Arc<ConnectionActivity> {
    fn idle_since(&self) -> Option<Instant> {
        let last = Duration::from_millis(self.last.load(Ordering::Relaxed).saturating_sub(1));
        self.is_quiet().then(|| self.opened + last)
    }
}

/// A request that is being answered.
#[derive(Debug)]
pub(super) struct InFlight(Arc<ConnectionActivity>);

impl Drop for InFlight {
    fn drop(&mut self) {
        // A connection is idle from here on, not from when it asked.
        self.0.touch();
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Maximum piece of an answer that is handed to HTTP/2 at once. It takes any piece as soon as the peer's window has
/// room for a byte of it, and would keep a large one.
const PIECE: usize = 16 * 1024;

/// Body of an answer over HTTP/2 that tracks whether the peer takes it. It is polled for more only while the peer has
/// room, and does not end before it was polled for its end.
#[derive(Debug)]
pub(super) struct TrackedBody<B> {
    body: B,
    rest: Bytes,
    request: InFlight,
    /// Set while this body is counted in `ConnectionActivity::pending_bodies`.
    counted: bool,
    begun: bool,
}

impl<B: Body> TrackedBody<B> {
    pub(super) fn new(body: B, request: InFlight) -> Self {
        let mut tracked = Self { body, rest: Bytes::new(), request, counted: false, begun: false };
        tracked.count(true);
        tracked
    }
}

impl<B> TrackedBody<B> {
    fn count(&mut self, pending: bool) {
        match (self.counted, pending) {
            (false, true) => _ = self.request.0.pending_bodies.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.request.0.pending_bodies.fetch_sub(1, Ordering::Relaxed),
            _ => {}
        }
        self.counted = pending;
    }
}

impl<B> Drop for TrackedBody<B> {
    fn drop(&mut self) {
        self.count(false);
    }
}

impl<B: Body<Data = Bytes> + Unpin> Body for TrackedBody<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        self.request.0.touch();
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
    /// Body of an answer whose request is in flight until HTTP has all of it.
    #[derive(Debug)]
    pub(super) struct InFlightBody<B> {
        #[pin]
        body: B,
        request: InFlight,
    }
}

impl<B> InFlightBody<B> {
    pub(super) const fn new(body: B, request: InFlight) -> Self {
        Self { body, request }
    }
}

impl<B: Body<Data = Bytes>> Body for InFlightBody<B> {
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
