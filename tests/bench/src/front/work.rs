//! Requests to the contestants, encoded in advance.

use std::fmt::Write as _;
use std::net::SocketAddr;

use bytes::Bytes;
use prost::Message;
use proto::journals::v1::{CreateEntryRequest, GetEntryRequest, JournalEntry, ListEntriesRequest};
use serde_json::Value;

use super::contestant::{Contestant, Protocol};
use super::rest;
use super::upstream::{self, CLIENT, LENGTH};
use crate::Result;

/// Length of real access tokens. The fixed service reads none.
const TOKEN_LENGTH: usize = 480;

/// The requested journal and the token.
#[derive(Debug)]
pub(super) struct Target {
    pub(super) client: String,
    /// Id of one of the entries.
    pub(super) entry: String,
    pub(super) token: String,
}

impl Target {
    /// Returns the constant journal.
    pub(super) fn fixed() -> Self {
        Self { client: CLIENT.to_owned(), entry: upstream::entry(0).entry_id, token: "a".repeat(TOKEN_LENGTH) }
    }

    /// Returns the value of the `authorization` header.
    pub(super) fn bearer(&self) -> String {
        format!("Bearer {}", self.token)
    }
}

/// A kind of request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Work {
    /// One entry.
    Get,
    /// A list of 100.
    List,
    /// Adding one.
    Post,
    /// The above in rotation.
    All,
}

/// An RPC call.
pub(super) struct Call {
    pub(super) path: &'static str,
    /// Framed message.
    pub(super) message: Bytes,
}

impl Work {
    fn each(self) -> &'static [Self] {
        match self {
            Self::All => &[Self::Get, Self::List, Self::Post],
            Self::Get => &[Self::Get],
            Self::List => &[Self::List],
            Self::Post => &[Self::Post],
        }
    }

    /// Returns complete HTTP/1.1 requests.
    pub(super) fn requests(self, to: SocketAddr, of: &Target) -> Vec<Bytes> {
        self.each().iter().map(|work| work.request(to, of)).collect()
    }

    fn request(self, to: SocketAddr, of: &Target) -> Bytes {
        let Target { client, entry, .. } = of;
        let (target, body) = match self {
            Self::List => (format!("GET /journal/{client}?pageSize={LENGTH}"), None),
            Self::Post => (format!("POST /journal/{client}"), Some(new_entry())),
            Self::Get | Self::All => (format!("GET /journal/{client}/entries/{entry}"), None),
        };
        let mut request = format!(
            "{target} HTTP/1.1\r\nhost: {to}\r\nuser-agent: bench\r\naccept: application/json\r\nauthorization: {}\r\n",
            of.bearer()
        );
        // Writing to memory can't fail.
        let _ = match body {
            Some(body) => {
                write!(request, "content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}", body.len())
            }
            None => write!(request, "\r\n"),
        };
        Bytes::from(request)
    }

    /// Returns the gRPC calls.
    pub(super) fn calls(self, of: &Target) -> Vec<Call> {
        self.each().iter().map(|work| work.call(of)).collect()
    }

    fn call(self, of: &Target) -> Call {
        let client_id = of.client.clone();
        match self {
            Self::List => Call {
                path: upstream::LIST,
                message: framed(&ListEntriesRequest { client_id, page_size: LENGTH, ..ListEntriesRequest::default() }),
            },
            Self::Post => {
                let JournalEntry { emotion, intensity, timestamp, note, .. } = upstream::entry(0);
                let entry = JournalEntry { emotion, intensity, timestamp, note, ..JournalEntry::default() };
                Call { path: upstream::CREATE, message: framed(&CreateEntryRequest { client_id, entry: Some(entry) }) }
            }
            Self::Get | Self::All => Call {
                path: upstream::GET,
                message: framed(&GetEntryRequest { client_id, entry_id: of.entry.clone() }),
            },
        }
    }

    /// Returns the minimum length of an answer, in bytes.
    pub(super) const fn least(self) -> usize {
        match self {
            Self::List => 100 * upstream::NOTE.len(),
            Self::Get | Self::Post | Self::All => upstream::NOTE.len(),
        }
    }
}

/// Returns an entry as JSON.
pub(super) fn new_entry() -> String {
    let JournalEntry { emotion, intensity, note, .. } = upstream::entry(0);
    serde_json::json!({"emotion": emotion, "intensity": intensity, "timestamp": "2023-11-14T22:13:20Z", "note": note})
        .to_string()
}

fn framed(message: &impl Message) -> Bytes {
    let encoded = message.encode_to_vec();
    let mut frame = vec![0];
    frame.extend(u32::try_from(encoded.len()).unwrap_or(u32::MAX).to_be_bytes());
    frame.extend(encoded);
    Bytes::from(frame)
}

/// Checks that the REST contestants return the same JSON.
pub(super) async fn compare(contestants: &[Contestant]) -> Result<()> {
    for work in Work::All.each() {
        let mut first: Option<(&Contestant, Value)> = None;
        for contestant in contestants.iter().filter(|one| one.protocol == Protocol::Rest) {
            let answer: Value =
                serde_json::from_slice(&rest::once(contestant.address, *work, &contestant.target).await?)?;
            match &first {
                Some((other, expected)) if *expected != answer => {
                    return Err(format!("{} and {} answer {work:?} differently", other.name, contestant.name).into());
                }
                Some(_) => {}
                None => first = Some((contestant, answer)),
            }
        }
    }
    Ok(())
}
