//! Path templates of `google.api.http`.
//!
//! Source: google/api/http.proto, "Path template syntax". Neither `**` nor verbs (`:cancel`) are used here, and both
//! are refused.

use std::fmt;
use std::ops::Range;

/// A path template, such as `/journal/{client_id}`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PathTemplate {
    text: String,
    segments: Vec<Segment>,
    variables: Vec<Variable>,
}

/// Pattern of one path segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Segment {
    /// This text.
    Literal(Box<str>),
    /// Any text.
    Any,
}

/// The segments that go into a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Variable {
    /// Path of the field in the proto, with dots.
    pub field: String,
    /// Positions of the segments.
    pub segments: Range<usize>,
}

impl PathTemplate {
    /// Parses a template; returns none if it is malformed or uses unsupported syntax.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut template = Self { text: text.to_owned(), segments: Vec::new(), variables: Vec::new() };
        let mut rest = text.strip_prefix('/')?;
        loop {
            rest = match rest.strip_prefix('{') {
                Some(variable) => {
                    let (variable, after) = variable.split_once('}')?;
                    template.variable(variable)?;
                    after
                }
                None => {
                    let (segment, _) = rest.split_once('/').unwrap_or((rest, ""));
                    template.segment(segment)?;
                    &rest[segment.len()..]
                }
            };
            if rest.is_empty() {
                return Some(template);
            }
            rest = rest.strip_prefix('/')?;
        }
    }

    /// Returns the template as the proto writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the patterns of the path's segments.
    #[must_use]
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// Returns the variables, in the order of the path.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    fn variable(&mut self, text: &str) -> Option<()> {
        let (field, pattern) = text.split_once('=').unwrap_or((text, "*"));
        if field.is_empty() {
            return None;
        }
        let start = self.segments.len();
        pattern.split('/').try_for_each(|segment| self.segment(segment))?;
        self.variables.push(Variable { field: field.to_owned(), segments: start..self.segments.len() });
        Some(())
    }

    fn segment(&mut self, text: &str) -> Option<()> {
        let segment = match text {
            "*" => Segment::Any,
            "" | "**" => return None,
            literal if literal.contains([':', '{', '}', '*', '=']) => return None,
            literal => Segment::Literal(literal.into()),
        };
        self.segments.push(segment);
        Some(())
    }
}

impl fmt::Display for PathTemplate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_covers_segment_or_pattern() {
        let template = PathTemplate::parse("/v1/{name=shelves/*}/books/{book.id}").unwrap();
        let literal = |text: &str| Segment::Literal(text.into());
        assert_eq!(
            template.segments,
            [literal("v1"), literal("shelves"), Segment::Any, literal("books"), Segment::Any]
        );
        assert_eq!(
            template.variables,
            [Variable { field: "name".into(), segments: 1..3 }, Variable { field: "book.id".into(), segments: 4..5 }]
        );
    }

    #[test]
    fn unsupported_template_is_rejected() {
        for text in ["", "a", "/", "/a//b", "/a/", "/{}", "/{a", "/{a}b", "/{a=**}", "/**", "/a:verb", "/{a}:verb"] {
            assert_eq!(PathTemplate::parse(text), None, "{text}");
        }
    }
}
