//! Entity tags (RFC 9110, section 8.8.3), as the headers of preconditions list them.
//!
//! Not by `headers`, whose lists skip what is no tag: a change whose precondition can't be read must be refused.

use std::fmt;

/// Value of the header `If-Match` or `If-None-Match`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EntityTags {
    /// `*`: any tag of what is there.
    Any,
    /// At least one tag.
    List(Vec<EntityTag>),
}

/// One entity tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EntityTag {
    is_weak: bool,
    /// Bytes between the quotes: visible ones of ASCII but the quote, and any beyond ASCII.
    opaque: Vec<u8>,
}

/// A header that is neither `*` nor a list of tags in quotes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedEntityTags;

impl EntityTags {
    /// Parses the value of a header; several headers of the name are one list, joined by commas.
    ///
    /// # Errors
    /// If it is neither `*` nor a list of at least one tag. Empty elements of a list are skipped, as RFC 9110 asks for.
    pub fn parse(header: &[u8]) -> Result<Self, MalformedEntityTags> {
        let mut rest = header.trim_ascii();
        if rest == b"*" {
            return Ok(Self::Any);
        }
        let mut tags = Vec::new();
        while !rest.is_empty() {
            if !rest.starts_with(b",") {
                let (tag, after) = EntityTag::split(rest)?;
                tags.push(tag);
                rest = after.trim_ascii_start();
            }
            rest = match rest.split_first() {
                Some((b',', after)) => after.trim_ascii_start(),
                Some(_) => return Err(MalformedEntityTags),
                None => rest,
            };
        }
        if tags.is_empty() { Err(MalformedEntityTags) } else { Ok(Self::List(tags)) }
    }

    /// Returns whether a tag is among them by the weak comparison, which `If-None-Match` asks for.
    #[must_use]
    pub fn has(&self, opaque: &str) -> bool {
        match self {
            Self::Any => true,
            Self::List(tags) => tags.iter().any(|tag| tag.opaque == opaque.as_bytes()),
        }
    }
}

impl EntityTag {
    /// Returns the bytes between the quotes; none if it is weak: the strong comparison, which `If-Match` asks for, never
    /// matches a weak tag.
    #[must_use]
    pub fn into_strong(self) -> Option<Vec<u8>> {
        (!self.is_weak).then_some(self.opaque)
    }

    /// Splits off the tag that the bytes begin with.
    fn split(bytes: &[u8]) -> Result<(Self, &[u8]), MalformedEntityTags> {
        let strong = bytes.strip_prefix(b"W/");
        let quoted = strong.unwrap_or(bytes).strip_prefix(b"\"").ok_or(MalformedEntityTags)?;
        let end = quoted.iter().position(|byte| *byte == b'"').ok_or(MalformedEntityTags)?;
        let (opaque, after) = quoted.split_at(end);
        let is_allowed = |byte: &u8| matches!(byte, 0x21..=0x7e | 0x80..);
        if !opaque.iter().all(is_allowed) {
            return Err(MalformedEntityTags);
        }
        let tag = Self { is_weak: strong.is_some(), opaque: opaque.to_vec() };
        Ok((tag, after.get(1..).unwrap_or_default()))
    }
}

impl fmt::Display for MalformedEntityTags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("must be `*`, or etags in double quotes with commas between them, such as \"1\"")
    }
}

impl std::error::Error for MalformedEntityTags {}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn tags(header: &str) -> Option<Vec<(bool, String)>> {
        let written = |tag: EntityTag| (tag.is_weak, String::from_utf8(tag.opaque).unwrap());
        match EntityTags::parse(header.as_bytes()) {
            Ok(EntityTags::List(tags)) => Some(tags.into_iter().map(written).collect()),
            Ok(EntityTags::Any) | Err(MalformedEntityTags) => None,
        }
    }

    #[test]
    fn list_of_quoted_tags_is_parsed() {
        let strong = |opaque: &str| (false, opaque.to_owned());
        let weak = |opaque: &str| (true, opaque.to_owned());
        for (header, expected) in [
            ("\"1\"", vec![strong("1")]),
            (" \t\"1\" ", vec![strong("1")]),
            ("\"\"", vec![strong("")]),
            ("W/\"1\"", vec![weak("1")]),
            ("\"1\",\"2\"", vec![strong("1"), strong("2")]),
            ("\"1\" , W/\"2\",\t\"3\"", vec![strong("1"), weak("2"), strong("3")]),
            (",, \"1\",, ,\"2\",", vec![strong("1"), strong("2")]),
            ("\"a,b\", \"*\"", vec![strong("a,b"), strong("*")]),
            ("\"W/\", \"\\\"", vec![strong("W/"), strong("\\")]),
            ("\"zoë\"", vec![strong("zoë")]),
        ] {
            assert_eq!(tags(header), Some(expected), "{header}");
        }
    }

    #[test]
    fn header_of_another_form_is_malformed() {
        for header in [
            "",
            " ",
            ",",
            "1",
            "\"",
            "\"1",
            "1\"",
            "\"1\" \"2\"",
            "\"1\"\"2\"",
            "\"1\"x",
            "w/\"1\"",
            "W/1",
            "W/",
            "W/ \"1\"",
            "W\"1\"",
            "\"1\", *",
            "*, \"1\"",
            "**",
            "*,",
            "'1'",
            "\"a b\"",
            "\"a\tb\"",
            "\"\u{7f}\"",
            "\"\0\"",
            "“1”",
            "\"1\";",
        ] {
            assert_eq!(EntityTags::parse(header.as_bytes()), Err(MalformedEntityTags), "{header:?}");
        }
    }

    /// RFC 9110, section 8.8.3.2.
    #[test]
    fn tags_are_compared_weakly_by_octets() {
        for (header, expected) in [
            ("\"1\"", true),
            ("W/\"1\"", true),
            ("\"2\", W/\"1\"", true),
            ("*", true),
            ("\"2\"", false),
            ("\"01\", \"+1\", \"1,\", \"*\", \"\"", false),
        ] {
            assert_eq!(EntityTags::parse(header.as_bytes()).unwrap().has("1"), expected, "{header}");
        }
    }

    proptest! {
        #[test]
        fn written_list_is_read_back(
            list in prop::collection::vec((any::<bool>(), "[!#-~\u{80}-\u{ff}]{0,5}", "[ \t]{0,2}(,[ \t]{0,2}){1,2}"), 1..6),
        ) {
            let quoted = |is_weak: &bool| if *is_weak { "W/\"" } else { "\"" };
            let written: String =
                list.iter().map(|(is_weak, opaque, comma)| format!("{}{opaque}\"{comma}", quoted(is_weak))).collect();
            let expected: Vec<_> = list.iter().map(|(is_weak, opaque, _)| (*is_weak, opaque.clone())).collect();
            prop_assert_eq!(tags(&written), Some(expected));
            let read = EntityTags::parse(written.as_bytes()).unwrap();
            for (_, opaque, _) in &list {
                prop_assert!(read.has(opaque), "{}", opaque);
            }
        }
    }
}
