//! Checks bound requests against the values that were written into path, query and body.

use std::fmt::Write as _;
use std::sync::LazyLock;

use http::Method;
use kit::front_service::v1::ListItemsRequest;
use kit::front_service::{DESCRIPTOR_SET, SERVICE};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;
use prost::Message as _;
use prost_reflect::{DescriptorPool, DynamicMessage};

use super::{MAX_NAMED, bind};
use crate::percent::decode_segment;
use crate::route::{Segments, Table};

static TABLE: LazyLock<Table> =
    LazyLock::new(|| Table::new(DESCRIPTOR_SET, |path| path.split('/').nth(1) == Some(SERVICE)).unwrap());
static POOL: LazyLock<DescriptorPool> = LazyLock::new(|| DescriptorPool::decode(DESCRIPTOR_SET).unwrap());

/// The message of a request; none if no path of this form is routed.
fn bound(method: &Method, path: &str, query: &str, body: &[u8]) -> Option<Result<Vec<u8>, kernel::Error>> {
    let segments = Segments::of(path)?;
    let route = TABLE.find(method, &segments)?;
    let mut message = Vec::new();
    let bound = bind(&TABLE.schema, route, segments.as_slice(), Some(query), body, &mut message);
    Some(bound.map(|()| message))
}

fuzz::target!(requests, (fuzz::bytes(&SEGMENT), fuzz::bytes(&QUERY), fuzz::bytes(&BODY)));

const SEGMENT: [&str; 10] = ["a", "%2F", "%00", "%c3%a9", "%ff", "%", "%zz", "é", "+", "%2e"];
const QUERY: [&str; 26] = [
    "validateOnly",
    "validate_only",
    "reason",
    "item.title",
    "itemId",
    "item_id",
    "item",
    "%72eason",
    "reason=a",
    "reason=b&",
    "a&",
    "=",
    "&",
    "true",
    "false",
    "+",
    "%20",
    "%zz",
    "%00",
    "%ff",
    "#",
    ";",
    ".",
    "é",
    "validateOnly=true&",
    "x=1&",
];
const BODY: [&str; 22] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"title\":",
    "\"weight\":",
    "\"labels\":",
    "\"state\":",
    "\"createdAt\":",
    "\"remark\":",
    "\"itemId\":",
    "\"a\"",
    "1",
    "-1e9",
    "null",
    "\"OPEN\"",
    "\"2026-01-01T00:00:00Z\"",
    "{\"title\":\"a\"}",
    "{\"labels\":[1]}",
    "\\u0000",
];

/// Checks that a request becomes a message of the RPC with the id of the path, or an error with a bounded list of fields.
fn requests((id, query, body): (Vec<u8>, Vec<u8>, Vec<u8>)) -> TestCaseResult {
    let (id, query) = (String::from_utf8_lossy(&id), String::from_utf8_lossy(&query));
    let path = format!("/front/items/{}", id.replace('/', "%2F"));
    match bound(&Method::PUT, &path, &query, &body) {
        None => {}
        Some(Ok(wire)) => {
            let kind = POOL.get_message_by_name("therapy.testing.v1.UpdateItemRequest").unwrap();
            let message = DynamicMessage::decode(kind, wire.as_slice()).unwrap();
            let id = id.replace('/', "%2F");
            let (field, decoded) = (message.get_field_by_name("item_id").unwrap(), decode_segment(&id).unwrap());
            prop_assert_eq!(field.as_str(), Some(&*decoded));
            prop_assert!(wire.len() <= 2 * (id.len() + query.len() + body.len()) + 64);
        }
        Some(Err(error)) => {
            let (reason, named) = (error.reason(), error.violations().len());
            prop_assert!(reason == "MALFORMED_JSON" || reason == "INVALID_FIELDS" && named > 0, "{}", error);
            // As many of the body, of the query and of the path.
            prop_assert!(named <= 2 * MAX_NAMED + 1, "{} fields", named);
        }
    }
    Ok(())
}

fuzz::target!(queries, (wanted(), any::<Spelling>()));

/// Requests that a query can express.
fn wanted() -> impl Strategy<Value = ListItemsRequest> {
    // NUL is refused however it is written.
    let text = || any::<String>().prop_map(|text| text.replace('\0', ""));
    let request = (text(), vec(text(), 0..4), any::<i32>(), text());
    request.prop_map(|(owner_id, labels, page_size, page_token)| ListItemsRequest {
        owner_id,
        state: 0,
        labels,
        page_size,
        page_token,
    })
}

/// Spelling of a query: (names of the proto, every byte encoded, a space as a plus).
type Spelling = (bool, bool, bool);

fn spelled(text: &str, (_, every, plus): Spelling) -> String {
    text.bytes().fold(String::new(), |mut spelled, byte| {
        match byte {
            b' ' if plus => spelled.push('+'),
            b'0'..=b'9' | b'A'..=b'Z' | b'a'..=b'z' | b'-' if !every => spelled.push(char::from(byte)),
            other => write!(spelled, "%{other:02x}").unwrap(),
        }
        spelled
    })
}

/// Checks that every spelling of a query gives the same request.
fn queries((wanted, spelling): (ListItemsRequest, Spelling)) -> TestCaseResult {
    let name = |json: &'static str, proto: &'static str| spelled(if spelling.0 { proto } else { json }, spelling);
    let labels = wanted.labels.iter().map(|label| ("labels".to_owned(), label.clone()));
    let single = [
        (name("ownerId", "owner_id"), wanted.owner_id.clone()),
        (name("pageSize", "page_size"), wanted.page_size.to_string()),
        (name("pageToken", "page_token"), wanted.page_token.clone()),
    ];
    let pairs = labels.chain(single).map(|(name, value)| format!("{name}={}", spelled(&value, spelling)));
    let query = pairs.collect::<Vec<_>>().join("&");
    let wire = bound(&Method::GET, "/front/items", &query, b"").unwrap().unwrap();
    prop_assert_eq!(ListItemsRequest::decode(wire.as_slice()).unwrap(), wanted);
    Ok(())
}
