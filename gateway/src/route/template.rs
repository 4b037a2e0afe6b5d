//! Path templates, as `google.api.http` writes them.
//!
//! Source: google/api/http.proto, "Path template syntax". Neither `**` nor verbs (`:cancel`) are used here, and both are
//! refused.

use std::ops::Range;

/// A path template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    pub(crate) segments: Vec<Segment>,
    pub(crate) variables: Vec<Variable>,
}

/// Pattern of one path segment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(Box<str>),
    Any,
}

/// The segments that go into a field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Variable {
    /// The field's path in the proto, with dots.
    pub(crate) field: String,
    pub(crate) segments: Range<usize>,
}

impl Template {
    /// Reads a template; none if it is malformed or uses unsupported syntax.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut template = Self { segments: Vec::new(), variables: Vec::new() };
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn variable_covers_segment_or_pattern() {
        let template = Template::parse("/v1/{name=shelves/*}/books/{book.id}").unwrap();
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
            assert_eq!(Template::parse(text), None, "{text}");
        }
    }
}
