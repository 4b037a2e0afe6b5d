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
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep};

/// A socket whose writes fail with `TimedOut` once the peer has taken nothing for `patience`.
#[derive(Debug)]
pub(super) struct Impatient<T> {
    socket: T,
    patience: Duration,
    /// Since when a write waits, if one does.
    waits: Option<Pin<Box<Sleep>>>,
}

impl<T> Impatient<T> {
    pub(super) const fn new(socket: T, patience: Duration) -> Self {
        Self { socket, patience, waits: None }
    }

    fn bound<R>(&mut self, cx: &mut Context<'_>, written: Poll<io::Result<R>>) -> Poll<io::Result<R>> {
        if written.is_ready() {
            self.waits = None;
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

/// What a connection is doing. Each request holds a reference until it is answered, and over HTTP/2 until HTTP/2 has all of
/// its answer.
#[derive(Debug)]
pub(super) struct Life {
    born: Instant,
    /// Milliseconds from birth to the last time the peer asked or took something, plus one; 0 if it has not asked yet.
    last: AtomicU64,
    /// Bodies with something that the peer has not taken yet.
    owed: AtomicUsize,
    /// Whether its answers are streams of HTTP/2.
    streams: AtomicBool,
}

impl Life {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            born: Instant::now(),
            last: AtomicU64::new(0),
            owed: AtomicUsize::new(0),
            streams: AtomicBool::new(false),
        })
    }

    /// The peer asked for something, or took something.
    pub(super) fn stir(&self) {
        let now = u64::try_from(self.born.elapsed().as_millis()).unwrap_or(u64::MAX - 1);
        self.last.store(now + 1, Ordering::Relaxed);
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

/// How much of an answer is handed to HTTP/2 at once. It takes any piece as soon as the peer's window has room for a byte
/// of it, and would keep a large one.
const PIECE: usize = 16 * 1024;

/// The body of an answer over HTTP/2, which notes whether the peer takes it. It is asked for more only while the peer has
/// room, and does not end before it was asked for its end.
#[derive(Debug)]
pub(super) struct Owed<B> {
    body: B,
    rest: Bytes,
    life: Arc<Life>,
    /// Whether this body is counted in `Life::owed`.
    counted: bool,
    begun: bool,
}

impl<B: Body> Owed<B> {
    pub(super) fn new(body: B, life: Arc<Life>) -> Self {
        let mut owed = Self { body, rest: Bytes::new(), life, counted: false, begun: false };
        owed.count(true);
        owed
    }
}

impl<B> Owed<B> {
    fn count(&mut self, owed: bool) {
        match (self.counted, owed) {
            (false, true) => _ = self.life.owed.fetch_add(1, Ordering::Relaxed),
            (true, false) => _ = self.life.owed.fetch_sub(1, Ordering::Relaxed),
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
        self.life.stir();
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
