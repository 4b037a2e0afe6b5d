//! The two files of this test: the requests, and the differences that are meant.
//!
//! Both are blocks that begin with `== <title>`. A request is written as HTTP/1.1 would send it; its title is a name and
//! the status that Envoy answers. `\xHH` is a byte, and `<<N x TEXT>>` is TEXT N times. `host`, `content-length` and
//! `connection: close` are added; a `content-length` or `transfer-encoding` of the request's own is left alone.
//! The method GRPC is a native call over HTTP/2: its body, if it begins with a brace, is the JSON of the message.
//!
//! Requests before a whole mesh are a script, played from the first to the last by the people of each front in step. What
//! a front gave one of them is told to it again as `{name}`; `{side}` is the front's own word, for addresses and names.
//! Lines between a title and its request say what else happens:
//!
//! - `keep <name> <pointer>`: `{name}` is this string of the answer from now on, by a JSON pointer
//! - `keep <name> header <header>`: the same from a header
//! - `pass <seconds>`: so much time goes by before the request
//! - `times <number>`: it is sent so often; the last answers are compared
//! - `hold`: the answer begins now, and ends by what happens later; it is compared at the end
//!
//! The title of a difference is its reason; below it stand the aspects that differ and the names of the requests.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

/// A request and the status that Envoy answers.
#[derive(Debug)]
pub(crate) struct Recorded {
    pub(crate) name: String,
    pub(crate) status: u16,
    pub(crate) directions: Vec<Direction>,
    pub(crate) request: Request,
}

/// What happens besides a request.
#[derive(Debug, Clone)]
pub(crate) enum Direction {
    Keep { name: String, from: Place },
    Pass(Duration),
    Times(usize),
    Hold,
}

/// Where in an answer a value is.
#[derive(Debug, Clone)]
pub(crate) enum Place {
    Body { pointer: String },
    Header(String),
}

/// A request, byte by byte as it is sent.
#[derive(Debug, Clone)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: Vec<u8>,
    pub(crate) headers: Vec<(String, Vec<u8>)>,
    pub(crate) body: Vec<u8>,
}

impl Request {
    pub(crate) fn has_header(&self, name: &str) -> bool {
        self.headers.iter().any(|(n, _)| n.eq_ignore_ascii_case(name))
    }
}

pub(crate) fn requests(text: &str) -> Vec<Recorded> {
    blocks(text).map(|(title, block)| recorded(title, block)).collect()
}

/// The aspects in which the answers to a request are meant to differ, by the request's name.
pub(crate) fn differences(text: &str) -> BTreeMap<String, BTreeSet<String>> {
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

/// Title and content of each block. What stands before the first is a remark.
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

/// The bytes that a text with `\xHH` and `<<N x TEXT>>` stands for.
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
