//! Lightweight HTTP/1.1 client for the load: it sends prepared bytes and reads only the status and the length of
//! answers.

use std::net::SocketAddr;

use bytes::Bytes;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::work::{Target, Work};
use crate::Result;

const ROOM: usize = 128 * 1024;

/// A persistent connection.
pub(super) struct Connection {
    stream: TcpStream,
    requests: Vec<Bytes>,
    next: usize,
    least: usize,
    buffer: Vec<u8>,
}

impl Connection {
    pub(super) async fn open(to: SocketAddr, work: Work, of: &Target) -> Result<Self> {
        let stream = TcpStream::connect(to).await?;
        stream.set_nodelay(true)?;
        let (requests, least) = (work.requests(to, of), work.least());
        Ok(Self { stream, requests, next: 0, least, buffer: vec![0; ROOM] })
    }

    /// Makes the next request and waits until its answer is complete.
    ///
    /// # Errors
    /// If the request fails or the answer is too short.
    pub(super) async fn call(&mut self) -> Result<()> {
        let body = self.exchange().await?;
        if body.len() < self.least { Err("an answer is too short".into()) } else { Ok(()) }
    }

    async fn exchange(&mut self) -> Result<&[u8]> {
        let request = self.requests.get(self.next).ok_or("no request")?;
        self.next = (self.next + 1) % self.requests.len();
        self.stream.write_all(request).await?;
        let (mut filled, mut ends) = (0, None);
        loop {
            let room = self.buffer.get_mut(filled..).filter(|room| !room.is_empty()).ok_or("an answer is too long")?;
            let read = self.stream.read(room).await?;
            if read == 0 {
                return Err("the connection ended".into());
            }
            filled += read;
            let here = self.buffer.get(..filled).unwrap_or_default();
            if ends.is_none() {
                ends = head(here)?;
            }
            if let Some((start, end)) = ends
                && filled >= end
            {
                return self.buffer.get(start..end).ok_or_else(|| "an answer is too short".into());
            }
        }
    }
}

/// Returns the start and the end of the body, once the head is complete.
fn head(bytes: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(start) = bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|at| at + 4) else {
        return Ok(None);
    };
    let head = std::str::from_utf8(bytes.get(..start).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 20") {
        return Err(format!("an answer is {}", String::from_utf8_lossy(bytes)).into());
    }
    let named = |line: &&str| line.get(..15).is_some_and(|name| name.eq_ignore_ascii_case("content-length:"));
    let length = lines.find(named).and_then(|line| line.get(15..)).ok_or("an answer has no length")?;
    Ok(Some((start, start + length.trim().parse::<usize>()?)))
}

/// Makes one request on a new connection and returns the body of the answer.
pub(super) async fn once(to: SocketAddr, work: Work, of: &Target) -> Result<Vec<u8>> {
    Ok(Connection::open(to, work, of).await?.exchange().await?.to_vec())
}
