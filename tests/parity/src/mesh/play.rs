//! One front's side of the script: keeps the values that it returned, and masks them in answers.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use prost_reflect::DescriptorPool;
use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::corpus::{Direction, Place, Recorded, Request};
use crate::wire::{self, Answer};

/// Time between two requests, so that later objects have later ids.
pub(super) const STEP: Duration = Duration::from_secs(1);

/// Minimum length of a masked value: shorter ones may occur in an answer by chance.
const MIN_MASKED_LENGTH: usize = 16;

/// A front and the values kept from its answers.
#[derive(Debug)]
pub(super) struct Side {
    front: SocketAddr,
    values: BTreeMap<String, String>,
    /// Values that an answer should have contained.
    pub(super) missing: Vec<String>,
}

/// An answer that has begun and not ended.
#[derive(Debug)]
pub(super) struct Held {
    stream: TcpStream,
    received: Vec<u8>,
}

impl Side {
    pub(super) fn new(word: &str, front: SocketAddr) -> Self {
        Self { front, values: [("side".to_owned(), word.to_owned())].into(), missing: Vec::new() }
    }

    /// Sends a request, keeps the values that its directions name, and returns the masked answer.
    pub(super) async fn play(&mut self, recorded: &Recorded, pool: &DescriptorPool) -> Answer {
        let request = self.fill(&recorded.request);
        let mut times = 1;
        for direction in &recorded.directions {
            if let Direction::Times(more) = direction {
                times = *more;
            }
        }
        let mut answer = crate::answer(self.front, &request, pool).await;
        for _ in 1..times {
            answer = crate::answer(self.front, &request, pool).await;
        }
        for direction in &recorded.directions {
            if let Direction::Keep { name, from } = direction {
                self.keep(recorded, name, from, &answer);
            }
        }
        self.mask(answer)
    }

    fn keep(&mut self, recorded: &Recorded, name: &str, from: &Place, answer: &Answer) {
        let found = match from {
            Place::Header(header) => answer.headers.get(header).map(|values| values.concat()),
            Place::Body { pointer } => serde_json::from_slice::<Value>(&answer.body)
                .ok()
                .and_then(|body| body.pointer(pointer).and_then(Value::as_str).map(str::to_owned)),
        };
        if found.is_none() {
            self.missing.push(format!("{}: there is nothing to keep as {name}: {answer}", recorded.name));
        }
        self.values.insert(name.to_owned(), found.unwrap_or_else(|| "missing".to_owned()));
    }

    /// Sends a request and waits until its answer has begun.
    pub(super) async fn hold(&self, recorded: &Recorded) -> Held {
        let mut stream = TcpStream::connect(self.front).await.unwrap();
        stream.write_all(&wire::encode(self.front, &self.fill(&recorded.request))).await.unwrap();
        let mut received = Vec::new();
        let begin = async {
            while !received.windows(4).any(|window| window == b"\r\n\r\n") {
                assert!(stream.read_buf(&mut received).await.unwrap() > 0, "{}: closed at once", recorded.name);
            }
        };
        tokio::time::timeout(wire::TIMEOUT, begin).await.expect("the answer begins");
        Held { stream, received }
    }

    fn fill(&self, request: &Request) -> Request {
        let fill = |text: &[u8]| self.fill_in(text);
        let headers = request.headers.iter().map(|(name, value)| (name.clone(), fill(value)));
        Request {
            method: request.method.clone(),
            target: fill(&request.target),
            headers: headers.collect(),
            body: fill(&request.body),
        }
    }

    fn fill_in(&self, text: &[u8]) -> Vec<u8> {
        self.values.iter().fold(text.to_vec(), |text, (name, value)| {
            replace(&text, format!("{{{name}}}").as_bytes(), value.as_bytes())
        })
    }

    /// Masks an answer: kept values become their names, and other ids and tokens become placeholders.
    pub(super) fn mask(&self, mut answer: Answer) -> Answer {
        answer.body = self.mask_in(&answer.body);
        for value in answer.headers.values_mut().flatten() {
            *value = String::from_utf8_lossy(&self.mask_in(value.as_bytes())).into_owned();
        }
        if let Some(token) = answer.headers.get_mut("x-next-page-token") {
            *token = vec!["{token}".to_owned()];
        }
        answer
    }

    fn mask_in(&self, text: &[u8]) -> Vec<u8> {
        let mut values: Vec<_> =
            self.values.iter().filter(|(name, value)| *name == "side" || value.len() >= MIN_MASKED_LENGTH).collect();
        values.sort_by_key(|(_, value)| std::cmp::Reverse(value.len()));
        let known = values.into_iter().fold(text.to_vec(), |text, (name, value)| {
            replace(&text, value.as_bytes(), format!("{{{name}}}").as_bytes())
        });
        mask_new(&known)
    }
}

impl Held {
    /// Waits for the end of the answer and returns it.
    pub(super) async fn end(mut self) -> Answer {
        let end = async { while self.stream.read_buf(&mut self.received).await.unwrap() > 0 {} };
        tokio::time::timeout(wire::TIMEOUT, end).await.expect("the answer ends");
        wire::decode("GET", &self.received, true).expect("the answer is whole")
    }
}

fn replace(text: &[u8], what: &[u8], by: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = wire::find(rest, what) {
        out.extend([&rest[..at], by].concat());
        rest = &rest[at + what.len()..];
    }
    out.extend(rest);
    out
}

/// Replaces ids, access tokens and refresh tokens that were not kept by placeholders.
fn mask_new(text: &[u8]) -> Vec<u8> {
    let is_of_word = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_.".contains(byte);
    let mut out = Vec::with_capacity(text.len());
    for run in text.chunk_by(|a, b| is_of_word(a) == is_of_word(b)) {
        let end = run.iter().rposition(|byte| *byte != b'.').map_or(0, |last| last + 1);
        let (word, dots) = run.split_at(end);
        out.extend(match word {
            _ if is_uuid(word) || is_ulid(word) => b"{id}".as_slice(),
            _ if word.starts_with(b"eyJ") && word.iter().filter(|byte| **byte == b'.').count() == 2 => b"{access}",
            _ if out.ends_with(b"\"refreshToken\":\"") && word.len() > MIN_MASKED_LENGTH => b"{refresh}",
            _ => word,
        });
        out.extend(dots);
    }
    out
}

fn is_uuid(word: &[u8]) -> bool {
    let is_right = |(at, byte): (usize, &u8)| match at {
        8 | 13 | 18 | 23 => *byte == b'-',
        _ => byte.is_ascii_hexdigit(),
    };
    word.len() == 36 && word.iter().enumerate().all(is_right)
}

fn is_ulid(word: &[u8]) -> bool {
    word.len() == 26 && word.iter().all(|byte| byte.is_ascii_digit() || byte.is_ascii_uppercase())
}
