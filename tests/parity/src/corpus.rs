//! Parses the recorded requests and the expected differences.
//!
//! Both are blocks that begin with `== <title>`. A request is written as HTTP/1.1 would send it; its title is a name
//! and the status that Envoy answers. `\xHH` is a byte, and `<<N x TEXT>>` is TEXT N times. `host`, `content-length`
//! and `connection: close` are added; a `content-length` or `transfer-encoding` of the request's own is left alone. The
//! method GRPC is a native call over HTTP/2: its body, if it begins with a brace, is the JSON of the message.
//!
//! Requests to a whole mesh are a script, sent in order to both fronts in step. A value that a front returned is sent
//! back to it as `{name}`; `{side}` is a word that differs between the fronts, for email addresses and names.
//! Directions stand between a title and its request:
//!
//! - `keep <name> <pointer>`: `{name}` is this string of the answer from now on, by a JSON pointer
//! - `keep <name> header <header>`: the same from a header
//! - `pass <seconds>`: the clock advances before the request
//! - `times <number>`: number of times that the request is sent; the last answers are compared
//! - `hold`: the answer stays open while the script goes on, and is compared at the end
//!
//! The title of a difference is its reason, followed by the aspects that differ and the names of the requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A request and the expected status of Envoy's answer.
#[derive(Debug)]
pub struct Recorded {
    /// Name of the request.
    pub name: String,
    /// Status that Envoy answers.
    pub status: u16,
    /// Directions for the script.
    pub directions: Vec<Direction>,
    /// The request.
    pub request: Request,
}

/// A direction for a request of a script.
#[derive(Debug, Clone)]
pub enum Direction {
    /// Keeps a value of the answer.
    Keep {
        /// Name of the value.
        name: String,
        /// Location of the value.
        from: Place,
    },
    /// Advances the clock before the request.
    Pass(Duration),
    /// Sends the request so many times.
    Times(usize),
    /// Keeps the answer open.
    Hold,
}

/// Location of a value in an answer.
#[derive(Debug, Clone)]
pub enum Place {
    /// In the body.
    Body {
        /// JSON pointer.
        pointer: String,
    },
    /// In this header.
    Header(String),
}

/// A request, byte by byte as sent.
#[derive(Debug, Clone)]
pub struct Request {
    /// Method.
    pub method: String,
    /// Target.
    pub target: Vec<u8>,
    /// Headers, in their order.
    pub headers: Vec<(String, Vec<u8>)>,
    /// Body.
    pub body: Vec<u8>,
}

impl Request {
    /// Returns whether it has a header.
    #[must_use]
    pub fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

/// Parses recorded requests.
///
/// # Panics
/// If one can't be read.
#[must_use]
pub fn requests(text: &str) -> Vec<Recorded> {
    blocks(text).map(|(title, block)| recorded(title, block)).collect()
}

/// Returns the aspects in which the answers are expected to differ, by the name of the request.
///
/// # Panics
/// If one names no aspect, or a request is listed twice.
#[must_use]
pub fn differences(text: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut all = BTreeMap::new();
    for (reason, block) in blocks(text) {
        let mut lines = block.lines().filter(|line| !line.is_empty());
        let aspects: BTreeSet<_> = lines.next().unwrap_or_default().split_whitespace().map(str::to_owned).collect();
        assert!(!aspects.is_empty(), "{reason:?} names no aspect");
        for name in lines {
            assert!(all.insert(name.to_owned(), aspects.clone()).is_none(), "{name:?} is listed twice");
        }
    }
    all
}

/// Returns the title and the content of each block. Text before the first block is a comment.
fn blocks(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.split("\n== ").skip(1).map(|block| block.split_once('\n').unwrap_or((block, "")))
}

fn recorded(title: &str, block: &str) -> Recorded {
    let (name, status) = title.rsplit_once(": ").unwrap_or_else(|| panic!("{title:?} names no status"));
    let (head, body) = block.split_once("\n\n").unwrap_or((block.trim_end_matches('\n'), ""));
    let mut lines = head.lines().peekable();
    let mut directions = Vec::new();
    while let Some(line) = lines.next_if(|line| line.starts_with(|first: char| first.is_ascii_lowercase())) {
        directions.push(direction(line));
    }
    let (method, target) = lines.next().and_then(|line| line.split_once(' ')).expect("a method and a target");
    let headers = lines
        .map(|line| line.split_once(": ").or(line.strip_suffix(':').map(|n| (n, ""))).expect("a header"))
        .map(|(name, value)| (name.to_owned(), bytes(value)))
        .collect();
    let request =
        Request { method: method.to_owned(), target: bytes(target), headers, body: bytes(body.trim_end_matches('\n')) };
    Recorded { name: name.to_owned(), status: status.parse().expect("a status"), directions, request }
}

fn direction(line: &str) -> Direction {
    match line.split(' ').collect::<Vec<_>>()[..] {
        ["keep", name, "header", header] => {
            Direction::Keep { name: name.to_owned(), from: Place::Header(header.to_owned()) }
        }
        ["keep", name, pointer] => {
            Direction::Keep { name: name.to_owned(), from: Place::Body { pointer: pointer.to_owned() } }
        }
        ["pass", seconds] => Direction::Pass(Duration::from_secs(seconds.parse().expect("a number of seconds"))),
        ["times", number] => Direction::Times(number.parse().expect("a number of times")),
        ["hold"] => Direction::Hold,
        _ => panic!("{line:?} is no direction"),
    }
}

/// Expands `\xHH` and `<<N x TEXT>>` in a text.
fn bytes(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        if let Some(hex) = rest.strip_prefix("\\x") {
            out.push(u8::from_str_radix(&hex[..2], 16).expect("two hexadecimal digits"));
            rest = &hex[2..];
        } else if let Some((times, more)) = rest.strip_prefix("<<").and_then(|r| r.split_once(" x ")) {
            let (unit, after) = more.split_once(">>").expect("a repetition ends with >>");
            out.extend(bytes(unit).repeat(times.parse().expect("a number of repetitions")));
            rest = after;
        } else {
            out.extend(next.to_string().bytes());
            rest = &rest[next.len_utf8()..];
        }
    }
    out
}
