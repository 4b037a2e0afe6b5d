use std::fmt;
use std::str::FromStr;

use crate::index::base32;
use crate::index::document::Document;
use crate::index::scope::{Partition, Scope};

/// The place of a possible hit in the order of all: by document, and then by scope, because two scopes may have a
/// document in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Place {
    pub(super) document: Document,
    pub(super) partition: Partition,
}

/// The highest place that the pages before have not decided. It fits any list of scopes and any bounds of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position(pub(super) Place);

impl Position {
    /// Returns the position of a document in a scope.
    #[must_use]
    pub const fn of(document: Document, scope: &Scope) -> Self {
        Self(Place { document, partition: scope.partition() })
    }

    /// Returns the position right above those that a document has in any scope.
    #[must_use]
    pub const fn above(document: Document) -> Self {
        Self(Place { document, partition: Partition::LAST })
    }
}

/// The length of a position in bytes.
const LEN: usize = 22 + 16;

impl Place {
    /// Returns the highest document of a scope that is at this place or below it.
    pub(super) fn top(self, partition: Partition) -> Option<Document> {
        if partition <= self.partition { Some(self.document) } else { self.document.before() }
    }

    /// Returns the place right before this one; none before the first.
    pub(super) fn before(self) -> Option<Self> {
        let Self { document, partition } = self;
        match partition.before() {
            Some(partition) => Some(Self { document, partition }),
            None => document.before().map(|document| Self { document, partition: Partition::LAST }),
        }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Place { document, partition } = self.0;
        let mut bytes = [0; LEN];
        let (first, second) = bytes.split_at_mut(22);
        first.copy_from_slice(&document.to_bytes());
        second.copy_from_slice(partition.as_bytes());
        f.write_str(&base32::encode(&bytes))
    }
}

/// Error of a text that is no position.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParsePositionError;

impl FromStr for Position {
    type Err = ParsePositionError;

    fn from_str(text: &str) -> Result<Self, ParsePositionError> {
        let bytes = base32::decode::<LEN>(text).ok_or(ParsePositionError)?;
        let (document, partition) = bytes.split_first_chunk().ok_or(ParsePositionError)?;
        let partition = partition.try_into().map_err(|_| ParsePositionError)?;
        let place = Place { document: Document::from_bytes(*document), partition: Partition::from_bytes(partition) };
        Ok(Self(place))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn position_has_one_text() {
        let place = Place { document: Document::new(7, [3; 16]), partition: Partition::from_bytes([9; 16]) };
        let text = Position(place).to_string();
        assert_eq!(text.parse(), Ok(Position(place)));
        for bad in ["", &text[1..], &text.to_lowercase(), &format!("{text}0")] {
            assert_eq!(bad.parse::<Position>(), Err(ParsePositionError), "{bad}");
        }
    }

    #[test]
    fn place_is_decided_per_scope() {
        let (low, high) = (Partition::from_bytes([1; 16]), Partition::from_bytes([2; 16]));
        let document = Document::new(7, [3; 16]);
        let place = Place { document, partition: low };
        assert_eq!((place.top(low), place.top(high)), (Some(document), document.before()));
        let first = Place { document, partition: Partition::from_bytes([0; 16]) };
        let before = first.before().unwrap();
        assert_eq!((before.document, before.partition), (document.before().unwrap(), Partition::LAST));
        assert_eq!(place.before().unwrap().before().unwrap().document, document);
        assert!(place.before() < Some(place));
    }
}
