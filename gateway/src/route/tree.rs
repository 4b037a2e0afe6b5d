//! Looks up the route of a path in a tree of segments.

use std::collections::HashMap;

use http::Method;
use proto::path_template::{PathTemplate, Segment};

/// Maximum segments of a path. No template has more, so a longer path has no route.
const MAX_SEGMENTS: usize = 16;

/// The segments of a path, still encoded. Repeated slashes count as one, a trailing slash is dropped, and dot segments are
/// resolved (RFC 3986, section 5.2.4), as Envoy normalises a path.
#[derive(Debug)]
pub(crate) struct Segments<'p> {
    segments: [&'p str; MAX_SEGMENTS],
    count: usize,
}

impl<'p> Segments<'p> {
    /// Splits a path; none if it is too long to have a route.
    pub(crate) fn of(path: &'p str) -> Option<Self> {
        let mut split = Self { segments: [""; MAX_SEGMENTS], count: 0 };
        for segment in path.split('/') {
            match segment {
                "" | "." => {}
                ".." => split.count = split.count.saturating_sub(1),
                other if is_dots(other, ".") => {}
                other if is_dots(other, "..") => split.count = split.count.saturating_sub(1),
                other => {
                    *split.segments.get_mut(split.count)? = other;
                    split.count += 1;
                }
            }
        }
        Some(split)
    }

    pub(crate) fn as_slice(&self) -> &[&'p str] {
        &self.segments[..self.count]
    }
}

/// Returns whether a segment is these dots, percent-encoded.
fn is_dots(segment: &str, dots: &str) -> bool {
    segment.len() <= 6 && segment.contains('%') && segment.replace("%2e", ".").replace("%2E", ".") == dots
}

/// Node of the tree, for one segment.
#[derive(Debug, Default)]
pub(crate) struct Node {
    literals: HashMap<Box<str>, Node>,
    any: Option<Box<Node>>,
    routes: Vec<(Method, usize)>,
}

impl Node {
    /// Inserts a route; returns whether its method and path were free.
    pub(crate) fn insert(&mut self, method: Method, template: &PathTemplate, route: usize) -> bool {
        let mut node = self;
        for segment in template.segments() {
            node = match segment {
                Segment::Literal(text) => node.literals.entry(text.clone()).or_default(),
                Segment::Any => node.any.get_or_insert_default(),
            };
        }
        let free = node.routes.iter().all(|(taken, _)| *taken != method);
        node.routes.push((method, route));
        free && template.segments().len() <= MAX_SEGMENTS
    }

    /// Returns the route of a request. At each segment a literal precedes a variable, which is tried if the literal has no
    /// route for this method.
    pub(crate) fn find(&self, method: &Method, segments: &[&str]) -> Option<usize> {
        let Some((first, rest)) = segments.split_first() else {
            return self.routes.iter().find(|(known, _)| known == method).map(|(_, route)| *route);
        };
        let literal = self.literals.get(*first).and_then(|node| node.find(method, rest));
        literal.or_else(|| self.any.as_ref().and_then(|node| node.find(method, rest)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree() -> Node {
        let mut tree = Node::default();
        let routes = [
            (Method::GET, "/a"),
            (Method::GET, "/a/{x}"),
            (Method::POST, "/a/b"),
            (Method::GET, "/a/{x}/c"),
            (Method::GET, "/a/b/d"),
        ];
        for (at, (method, template)) in routes.into_iter().enumerate() {
            assert!(tree.insert(method, &PathTemplate::parse(template).unwrap(), at));
        }
        tree
    }

    fn find(method: &Method, path: &str) -> Option<usize> {
        tree().find(method, Segments::of(path)?.as_slice())
    }

    #[test]
    fn literal_precedes_variable_with_fallback() {
        assert_eq!(find(&Method::POST, "/a/b"), Some(2));
        assert_eq!(find(&Method::GET, "/a/b"), Some(1));
        assert_eq!(find(&Method::GET, "/a/b/d"), Some(4));
        assert_eq!(find(&Method::GET, "/a/b/c"), Some(3));
        assert_eq!(find(&Method::GET, "/a/b/e"), None);
        assert_eq!(find(&Method::DELETE, "/a"), None);
    }

    #[test]
    fn path_is_normalised_like_envoy() {
        for path in ["/a", "/a/", "//a", "/./a", "/x/../a", "/x/%2e%2E/a/", "/../a", "/a/%2e"] {
            assert_eq!(find(&Method::GET, path), Some(0), "{path}");
        }
        assert_eq!(find(&Method::GET, "/a/b%2Fc"), Some(1));
        assert_eq!(find(&Method::GET, &"/a".repeat(1000)), None);
    }

    #[test]
    fn duplicate_route_is_detected() {
        assert!(!tree().insert(Method::GET, &PathTemplate::parse("/a/{other}").unwrap(), 9));
    }
}
