//! HTTP/2 frame by frame (RFC 9113), unlike a well-behaved client.

use std::net::SocketAddr;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use crate::wire::TIMEOUT;

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const PRIORITY: u8 = 2;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PUSH_PROMISE: u8 = 5;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;
pub(super) const WINDOW_UPDATE: u8 = 8;
pub(super) const CONTINUATION: u8 = 9;

pub(super) const END_STREAM: u8 = 1;
pub(super) const END_HEADERS: u8 = 4;

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Encodes a frame.
pub(super) fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
    [&length[1..], &[kind, flags], &stream.to_be_bytes(), payload].concat()
}

/// Encodes fields by HPACK without any table (RFC 7541, section 6.2.2), byte by byte as given.
pub(super) fn fields(fields: &[(&str, &str)]) -> Vec<u8> {
    let mut block = Vec::new();
    for (name, value) in fields {
        block.push(0);
        for text in [name, value] {
            integer(text.len(), &mut block);
            block.extend(text.as_bytes());
        }
    }
    block
}

/// Encodes an integer with a prefix of 7 bits (RFC 7541, section 5.1).
fn integer(number: usize, block: &mut Vec<u8>) {
    let Some(mut rest) = number.checked_sub(127) else { return block.push(u8::try_from(number).unwrap()) };
    block.push(127);
    while rest >= 128 {
        block.push(u8::try_from(rest % 128).unwrap() | 128);
        rest /= 128;
    }
    block.push(u8::try_from(rest).unwrap());
}

/// Encodes a GET of this path, with more fields after the pseudo-headers.
pub(super) fn get(stream: u32, path: &str, more: &[(&str, &str)]) -> Vec<u8> {
    let own = [(":method", "GET"), (":scheme", "http"), (":authority", "a"), (":path", path)];
    frame(HEADERS, END_HEADERS | END_STREAM, stream, &fields(&[&own, more].concat()))
}

/// A received frame.
struct Frame {
    kind: u8,
    stream: u32,
    payload: Vec<u8>,
}

impl Frame {
    /// Returns the error code of a GOAWAY.
    fn error(&self) -> u32 {
        u32::from_be_bytes(self.payload[4..8].try_into().unwrap())
    }

    /// Returns the status of a HEADERS frame, which is always the first field.
    fn status(&self) -> u16 {
        const INDEXED: [u16; 7] = [200, 204, 206, 304, 400, 404, 500];
        match self.payload[..] {
            [index @ 0x88..=0x8e, ..] => INDEXED[usize::from(index - 0x88)],
            // Literal with the name of the static table; in Huffman code if the highest bit of the length is set.
            [0x48 | 0x08 | 0x18, length @ ..0x80, ..] => {
                std::str::from_utf8(&self.payload[2..2 + usize::from(length)]).unwrap().parse().unwrap()
            }
            [0x48 | 0x08 | 0x18, length, ..] => huffman(&self.payload[2..2 + usize::from(length & 0x7f)]),
            _ => 0,
        }
    }
}

/// Decodes three digits in the Huffman code of RFC 7541, appendix B: 0 to 2 in five bits, 3 to 9 in six.
fn huffman(bytes: &[u8]) -> u16 {
    let mut bits = bytes.iter().flat_map(|byte| (0..8).rev().map(move |at| u16::from(byte >> at & 1)));
    let mut number = 0;
    for _ in 0..3 {
        let mut take = |count| (0..count).fold(0, |code, _| code << 1 | bits.next().unwrap_or(1));
        let code = take(5);
        let digit = if code < 3 { code } else { (code << 1 | take(1)) - 0b01_1001 + 3 };
        number = number * 10 + digit;
    }
    number
}

/// A connection on which the preface and empty settings have been sent.
pub(super) struct Connection {
    reader: OwnedReadHalf,
    writer: OwnedWriteHalf,
}

impl Connection {
    pub(super) async fn open(front: SocketAddr) -> Self {
        let (reader, mut writer) = TcpStream::connect(front).await.unwrap().into_split();
        writer.write_all(&[PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()).await.unwrap();
        Self { reader, writer }
    }

    /// Sends bytes and returns true if the front still reads.
    pub(super) async fn send(&mut self, bytes: &[u8]) -> bool {
        self.writer.write_all(bytes).await.is_ok()
    }

    /// Sends as much as the front reads, and reads until it closes.
    pub(super) async fn send_until_closed(&mut self, bytes: &[u8]) {
        let Self { reader, writer } = self;
        let read = async { while next(reader).await.is_some() {} };
        tokio::join!(read, async { drop(writer.write_all(bytes).await) });
    }

    /// Sends as much as the front reads, and returns the outcome of a stream: a status, or `refused` if the stream is
    /// reset or the connection ends. For invalid HTTP/2 Envoy ends the connection; ours resets the stream if the rest
    /// of the connection is intact.
    pub(super) async fn ask(&mut self, bytes: &[u8], stream: u32) -> String {
        let Self { reader, writer } = self;
        let write = async {
            drop(writer.write_all(bytes).await);
            std::future::pending::<()>().await;
        };
        let exchange = async {
            tokio::select! { end = end_of(reader, stream) => end, () = write => unreachable!("writing waits for the end") }
        };
        tokio::time::timeout(TIMEOUT, exchange).await.unwrap_or_else(|_| "no end".to_owned())
    }
}

async fn end_of(reader: &mut OwnedReadHalf, stream: u32) -> String {
    while let Some(frame) = next(reader).await {
        match frame.kind {
            HEADERS if frame.stream == stream && frame.status() >= 200 => return frame.status().to_string(),
            RST_STREAM if frame.stream == stream => break,
            GOAWAY if frame.error() != 0 => break,
            _ => {}
        }
    }
    "refused".to_owned()
}

/// Reads the next frame. Returns nothing if the front has closed.
async fn next(reader: &mut OwnedReadHalf) -> Option<Frame> {
    let mut head = [0; 9];
    reader.read_exact(&mut head).await.ok()?;
    let [a, b, c, kind, _, stream @ ..] = head;
    let mut payload = vec![0; u32::from_be_bytes([0, a, b, c]) as usize];
    reader.read_exact(&mut payload).await.ok()?;
    Some(Frame { kind, stream: u32::from_be_bytes(stream), payload })
}
