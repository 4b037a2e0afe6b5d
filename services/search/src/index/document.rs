use crate::index::base32;

/// A document as the index knows it: its time and its id. Documents are ordered by both, in this order.
///
/// The id of an entry is its ULID, whose time is that of the entry; the id of a note is that of its session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Document {
    millisecond: u64,
    id: DocumentId,
}

/// The id of a document: a ULID or a UUID.
pub type DocumentId = [u8; 16];

/// Maximum time, which has 48 bits as in a ULID.
const LAST_MILLISECOND: u64 = (1 << 48) - 1;

/// The length of a document in bytes.
const LEN: usize = 6 + 16;
/// The length of a document in a key.
pub(super) const TEXT_LEN: usize = base32::length(LEN);

impl Document {
    /// Creates a document of this time, in milliseconds since 1970. Times before 1970 count as 1970: a session may be
    /// older, and its own time decides when it is opened.
    #[must_use]
    pub fn new(millisecond: i64, id: DocumentId) -> Self {
        let millisecond = u64::try_from(millisecond).unwrap_or_default().min(LAST_MILLISECOND);
        Self { millisecond, id }
    }

    /// Returns the first possible document of a millisecond.
    pub(super) fn first(millisecond: i64) -> Self {
        Self::new(millisecond, [0; 16])
    }

    /// Returns the last possible document of a millisecond.
    pub(super) fn last(millisecond: i64) -> Self {
        Self::new(millisecond, [0xff; 16])
    }

    /// Returns the time, in milliseconds since 1970.
    #[must_use]
    pub const fn millisecond(self) -> i64 {
        self.millisecond.cast_signed()
    }

    /// Returns the id.
    #[must_use]
    pub const fn id(self) -> DocumentId {
        self.id
    }

    /// Returns the possible document right before this one; none before the first.
    pub(super) fn before(self) -> Option<Self> {
        let Self { millisecond, id } = self;
        match u128::from_be_bytes(id).checked_sub(1) {
            Some(id) => Some(Self { millisecond, id: id.to_be_bytes() }),
            None => Some(Self { millisecond: millisecond.checked_sub(1)?, id: [0xff; 16] }),
        }
    }

    pub(super) fn to_bytes(self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        let (time, id) = bytes.split_at_mut(6);
        time.copy_from_slice(&self.millisecond.to_be_bytes()[2..]);
        id.copy_from_slice(&self.id);
        bytes
    }

    pub(super) fn from_bytes(bytes: [u8; LEN]) -> Self {
        let [a, b, c, d, e, f, id @ ..] = bytes;
        Self { millisecond: u64::from_be_bytes([0, 0, a, b, c, d, e, f]), id }
    }

    /// Returns the form in keys, which has the order of documents.
    pub(super) fn to_text(self) -> String {
        base32::encode(&self.to_bytes())
    }

    pub(super) fn from_text(text: &str) -> Option<Self> {
        base32::decode(text).map(Self::from_bytes)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn time_is_from_1970_to_48_bits() {
        let millisecond = |given| Document::new(given, [0; 16]).millisecond();
        let last = (1_i64 << 48) - 1;
        let cases = [(i64::MIN, 0), (-1, 0), (0, 0), (1, 1), (last, last), (last + 1, last), (i64::MAX, last)];
        for (given, kept) in cases {
            assert_eq!(millisecond(given), kept, "{given}");
        }
    }

    #[test]
    fn document_before_is_the_next_lower_one() {
        assert_eq!(Document::new(7, [0; 16]).before(), Some(Document::last(6)));
        let mut id = [0; 16];
        id[15] = 1;
        assert_eq!(Document::new(7, id).before(), Some(Document::first(7)));
        assert_eq!(Document::first(0).before(), None);
    }

    proptest! {
        #[test]
        fn text_keeps_order_and_round_trips(one: (i64, [u8; 16]), other: (i64, [u8; 16])) {
            let (one, other) = (Document::new(one.0, one.1), Document::new(other.0, other.1));
            prop_assert_eq!(one.cmp(&other), one.to_text().cmp(&other.to_text()));
            prop_assert_eq!(Document::from_text(&one.to_text()), Some(one));
            prop_assert_eq!(one.to_text().len(), TEXT_LEN);
        }
    }
}
