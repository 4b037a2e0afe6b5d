//! Searches over REST, and the wait for the index.

use aws_sdk_dynamodb::types::AttributeValue;
use kit::mesh::{Answer, Someone, TestMesh};
use kit::wait::until;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::raw::{RawItem, Tables};

/// The table of the index.
pub(crate) const SEARCH_INDEX: &str = "SearchIndex";
/// Tables of texts whose changes search is told of.
const OWNERS: [&str; 2] = ["Journals", "Sessions"];

/// Returns the path of a search, to which other parameters may be added.
pub(crate) fn search(query: &str) -> String {
    format!("/search?q={}", utf8_percent_encode(query, NON_ALPHANUMERIC))
}

/// Returns the token of the next page.
pub(crate) fn next(page: &Answer) -> Option<String> {
    page.headers.get("x-next-page-token").map(|token| token.to_str().unwrap().to_owned())
}

/// Waits until a search finds so many texts.
pub(crate) async fn finds(mesh: &TestMesh, who: &Someone, path: &str, count: usize) {
    let all = async || mesh.get(path, who).await.expect(200).as_array().map(Vec::len) == Some(count);
    until(&format!("{path} finds {count}"), all).await;
}

/// Waits until search has taken every change of a text.
pub(crate) async fn all_is_indexed(mesh: &TestMesh) {
    let tables = Tables::of(mesh);
    let is_taken = async || {
        for table in OWNERS {
            if tables.dump(table).await.iter().any(is_marked) {
                return false;
            }
        }
        true
    };
    until("search has taken every change", is_taken).await;
}

fn is_marked(item: &RawItem) -> bool {
    item.get("pending").and_then(|topic| topic.as_s().ok()).is_some_and(|topic| topic == "TEXT")
}

/// Returns the keys of the index.
pub(crate) async fn index(mesh: &TestMesh) -> Vec<(String, String)> {
    let text = |value: &AttributeValue| value.as_s().unwrap().clone();
    let items = Tables::of(mesh).dump(SEARCH_INDEX).await;
    items.iter().map(|item| (text(&item["pk"]), text(&item["sk"]))).collect()
}

/// Returns a field of a value as text.
pub(crate) fn text(value: &Value, field: &str) -> String {
    value[field].as_str().unwrap_or_else(|| panic!("no {field} in {value}")).to_owned()
}
