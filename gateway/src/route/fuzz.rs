//! Compares the tree of routes with a linear search.

use http::Method;
use percent_encoding::percent_decode_str;
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::TestCaseResult;
use proto::path_template::PathTemplate;

use super::tree::{Node, Segments};

/// Maximum segments of a path.
const MAX_SEGMENTS: usize = 16;

/// The segments of a template: a literal, or a variable where there is none.
type Pattern = Vec<Option<&'static str>>;

fuzz::target!(tree, (vec((method(), pattern()), 0..12), method(), fuzz::bytes(&PATHS)));

const PATHS: [&str; 20] = [
    "/", "/a", "/b", "/c", "/a/b", "//", "/.", "/..", "/%2e", "/.%2E", "/%2e%2e", "%2f", "/a%2fb", "/x", "%", "%61",
    "/...", "é", ";a", "/a/a/a/a",
];

fn method() -> impl Strategy<Value = Method> {
    select(vec![Method::GET, Method::POST, Method::DELETE])
}

fn pattern() -> impl Strategy<Value = Pattern> {
    vec(proptest::option::of(select(vec!["a", "b", "c"])), 1..5)
}

fn written(pattern: &Pattern) -> String {
    let segment =
        |(at, literal): (usize, &Option<&str>)| literal.map_or(format!("/{{v{at}}}"), |literal| format!("/{literal}"));
    pattern.iter().enumerate().map(segment).collect()
}

/// Normalises a path (RFC 3986, section 5.2.4); none if it has too many segments at any point.
fn normalised(path: &str) -> Option<Vec<&str>> {
    let mut left = Vec::new();
    for segment in path.split('/') {
        match percent_decode_str(segment).collect::<Vec<_>>().as_slice() {
            b"" | b"." => {}
            b".." => drop(left.pop()),
            _ if left.len() == MAX_SEGMENTS => return None,
            _ => left.push(segment),
        }
    }
    Some(left)
}

fn tree((routes, method, path): (Vec<(Method, Pattern)>, Method, Vec<u8>)) -> TestCaseResult {
    let path = String::from_utf8_lossy(&path);
    let (mut tree, mut known) = (Node::default(), Vec::new());
    for (method, pattern) in routes {
        let template = PathTemplate::parse(&written(&pattern)).unwrap();
        let free = !known.contains(&(method.clone(), pattern.clone()));
        if free {
            prop_assert!(tree.insert(method.clone(), &template, known.len()));
            known.push((method, pattern));
        }
    }
    let segments = Segments::of(&path);
    let expected = normalised(&path);
    prop_assert_eq!(segments.as_ref().map(Segments::as_slice), expected.as_deref());
    let Some(segments) = expected else { return Ok(()) };
    let fits = |pattern: &Pattern| {
        pattern.len() == segments.len()
            && pattern.iter().zip(&segments).all(|(known, segment)| known.is_none_or(|known| known == *segment))
    };
    // The best match is the one that has a literal where the others first have a variable.
    let fitting = known.iter().enumerate().filter(|(_, (known, pattern))| *known == method && fits(pattern));
    let best = fitting.min_by_key(|(_, (_, pattern))| pattern.iter().map(Option::is_none).collect::<Vec<_>>());
    prop_assert_eq!(tree.find(&method, &segments), best.map(|(at, _)| at));
    Ok(())
}
