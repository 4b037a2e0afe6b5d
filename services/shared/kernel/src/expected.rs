use std::fmt;

use crate::{EntityTags, Error, FieldError, FieldReason, Result, Version};

/// Etags that a change expects of the resource (AIP-154), so that it doesn't overwrite what its caller hasn't read.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Expected {
    /// Any: the last write wins.
    #[default]
    Anything,
    /// Any of a resource that exists.
    Existing,
    /// One of these; none of them matches if the list is empty.
    OneOf(Vec<Vec<u8>>),
}

impl Expected {
    /// Adds the etag in the body of the request, in quotes or without; an empty one expects nothing more.
    ///
    /// # Errors
    /// INVALID_ARGUMENT on `etag` when `If-Match` expects others.
    pub fn and_etag(&self, etag: &str) -> Result<Self> {
        if etag.is_empty() {
            return Ok(self.clone());
        }
        let etag = etag.strip_prefix("W/").unwrap_or(etag).trim_matches('"').as_bytes();
        match self {
            Self::OneOf(etags) if !etags.iter().any(|other| other == etag) => {
                const OTHER: FieldError =
                    FieldError::new(FieldReason::Mismatch, "must be one of those in If-Match, or be left out");
                Err(Error::invalid("etag", OTHER))
            }
            Self::Anything | Self::Existing | Self::OneOf(_) => Ok(Self::OneOf(vec![etag.to_vec()])),
        }
    }

    /// Checks the etag of the resource.
    ///
    /// # Errors
    /// ABORTED (`STALE_ETAG`) when another one is expected.
    pub fn check(&self, etag: impl fmt::Display) -> Result<()> {
        match self {
            Self::Anything | Self::Existing => Ok(()),
            Self::OneOf(etags) => {
                let present = etag.to_string();
                if etags.iter().any(|expected| expected == present.as_bytes()) { Ok(()) } else { Err(Version::stale()) }
            }
        }
    }

    /// Checks a resource that doesn't exist, where a change needs none.
    ///
    /// # Errors
    /// ABORTED (`STALE_ETAG`) when one is expected.
    pub fn check_absent(&self) -> Result<()> {
        if *self == Self::Anything { Ok(()) } else { Err(Version::stale()) }
    }
}

/// Expectation of the header `If-Match`, by the strong comparison.
impl From<EntityTags> for Expected {
    fn from(tags: EntityTags) -> Self {
        match tags {
            EntityTags::Any => Self::Existing,
            EntityTags::List(tags) => Self::OneOf(tags.into_iter().filter_map(crate::EntityTag::into_strong).collect()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn if_match(header: &str) -> Expected {
        if header.is_empty() { Expected::default() } else { EntityTags::parse(header.as_bytes()).unwrap().into() }
    }

    #[test]
    fn if_match_and_etag_of_body_must_agree_with_present_etag() {
        const OK: &str = "";
        const STALE: &str = "STALE_ETAG";
        const BAD: &str = "INVALID_FIELDS";
        for (header, etag, present, expected) in [
            ("", "", "7", OK),
            ("", "7", "7", OK),
            ("", "\"7\"", "7", OK),
            ("", "W/\"7\"", "7", OK),
            ("", "6", "7", STALE),
            ("", "07", "7", STALE),
            ("", "+7", "7", STALE),
            ("", "never an etag", "7", STALE),
            ("*", "", "7", OK),
            ("*", "7", "7", OK),
            ("*", "6", "7", STALE),
            ("\"7\"", "", "7", OK),
            ("\"7\"", "7", "7", OK),
            ("\"7\"", "\"7\"", "7", OK),
            ("\"7\"", "6", "7", BAD),
            ("\"7\"", "6", "6", BAD),
            ("\"6\"", "", "7", STALE),
            ("\"6\"", "6", "7", STALE),
            ("\"07\"", "", "7", STALE),
            ("\"6\", \"7\"", "", "7", OK),
            ("\"6\", \"7\"", "6", "7", STALE),
            ("\"6\", \"7\"", "7", "7", OK),
            ("\"6\", \"7\"", "8", "7", BAD),
            ("W/\"7\"", "", "7", STALE),
            ("W/\"7\"", "7", "7", BAD),
            ("W/\"7\", \"7\"", "7", "7", OK),
            ("\"never-an-etag\"", "never-an-etag", "7", STALE),
        ] {
            let checked = if_match(header).and_etag(etag).and_then(|expected| expected.check(present));
            let reason = checked.as_ref().map_or_else(Error::reason, |()| OK);
            assert_eq!(reason, expected, "If-Match {header}, etag {etag}, present {present}");
            let is_named = checked.is_err_and(|error| error.violations().iter().any(|bad| bad.field == "etag"));
            assert_eq!(is_named, expected == BAD, "If-Match {header}, etag {etag}");
        }
    }

    #[test]
    fn absent_resource_meets_no_expectation() {
        for (header, is_met) in [("", true), ("*", false), ("\"1\"", false), ("W/\"1\"", false)] {
            assert_eq!(if_match(header).check_absent().is_ok(), is_met, "{header}");
        }
    }
}
