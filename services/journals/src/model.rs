//! Domain types of the journal: they only hold values that the contract allows, and don't print what a client wrote.

use std::fmt;
use std::str::FromStr;

use kernel::{Entropy, FieldError, FieldReason, FreeText, Timestamp, Version};
use ulid::Ulid;

/// Maximum milliseconds that a client's clock may be ahead of the service's.
const SKEW: i64 = 5 * 60 * 1000;

/// A feeling, in a word of the vocabulary or of the client's own: 1 to 100 characters, in NFC.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Emotion(String);

/// Strength of a feeling: 1 to 5.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Intensity(u8);

/// Time at which something was felt, in milliseconds since 1970 and not before.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct FeltAt(u64);

/// The id of an entry: a ULID whose time is that of the emotion. Ids order entries by that time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct EntryId(Ulid);

/// Readers of an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Visibility {
    /// The client and the therapists with access.
    Shared,
    /// The client alone.
    Private,
}

/// Content of an entry, which is sealed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Content {
    pub(crate) emotion: Emotion,
    pub(crate) intensity: Intensity,
    pub(crate) note: FreeText,
    pub(crate) visibility: Visibility,
}

/// A new entry, as a client writes it.
#[derive(Debug)]
pub(crate) struct Draft {
    pub(crate) felt_at: FeltAt,
    pub(crate) content: Content,
}

/// An entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) id: EntryId,
    pub(crate) content: Content,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// Time at which it was last made SHARED; `None` while it is PRIVATE.
    pub(crate) shared_since: Option<Timestamp>,
    pub(crate) version: Version,
}

/// An entry as one reader sees it. Only a permit to read creates one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    pub(crate) id: EntryId,
    pub(crate) content: Content,
    pub(crate) created_at: Timestamp,
    pub(crate) updated_at: Timestamp,
    /// `None` for a therapist: the version counts corrections made while the entry was PRIVATE.
    pub(crate) etag: Option<Version>,
}

/// Fields that a correction changes; absent ones stay.
#[derive(Debug, Clone, Default)]
pub(crate) struct Change {
    pub(crate) emotion: Option<Emotion>,
    pub(crate) intensity: Option<Intensity>,
    pub(crate) note: Option<FreeText>,
    pub(crate) visibility: Option<Visibility>,
}

/// A range of time in milliseconds since 1970, `to` excluded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Range {
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl Emotion {
    /// Creates an emotion from the store, where an earlier version may have put what is refused now.
    pub(crate) const fn from_stored(text: String) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// Returns the folded form for comparisons.
    pub(crate) fn folded(&self) -> String {
        kernel::fold_visible(&self.0)
    }
}

impl FromStr for Emotion {
    type Err = FieldError;

    fn from_str(text: &str) -> Result<Self, FieldError> {
        kernel::clean_line(text, 100).map(Self)
    }
}

impl fmt::Debug for Emotion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Emotion(…)")
    }
}

impl From<Emotion> for String {
    fn from(emotion: Emotion) -> Self {
        emotion.0
    }
}

impl Intensity {
    pub(crate) const fn get(self) -> u8 {
        self.0
    }
}

impl TryFrom<i32> for Intensity {
    type Error = FieldError;

    fn try_from(number: i32) -> Result<Self, FieldError> {
        match u8::try_from(number) {
            Ok(number @ 1..=5) => Ok(Self(number)),
            Ok(_) | Err(_) => Err(FieldError::out_of_range(1, 5)),
        }
    }
}

/// Hides the intensity, which is sealed in storage like the words.
impl fmt::Debug for Intensity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Intensity(…)")
    }
}

impl FeltAt {
    /// Validates the instant: not before 1970, and not after `now` by more than the clock skew.
    pub(crate) fn new(millisecond: i64, now: Timestamp) -> Result<Self, FieldError> {
        let Ok(felt) = u64::try_from(millisecond) else {
            return Err(FieldError::new(FieldReason::OutOfRange, "must not be before 1970"));
        };
        if millisecond > now.as_millisecond().saturating_add(SKEW) {
            return Err(FieldError::new(
                FieldReason::OutOfRange,
                "must not be in the future: at most five minutes from now, for clocks that differ",
            ));
        }
        Ok(Self(felt))
    }
}

impl EntryId {
    /// Generates an id for an emotion felt at this time.
    pub(crate) fn generate(felt_at: FeltAt, entropy: &dyn Entropy) -> Self {
        let [a, b, c, d, e, f, g, h, i, j] = entropy.array::<10>();
        let random = u128::from_be_bytes([0, 0, 0, 0, 0, 0, a, b, c, d, e, f, g, h, i, j]);
        Self(Ulid::from_parts(felt_at.0, random))
    }

    /// Returns the first id of a millisecond since 1970.
    const fn first(millisecond: u64) -> Self {
        Self(Ulid::from_parts(millisecond, 0))
    }

    /// Returns the last id of a millisecond since 1970.
    pub(crate) const fn last(millisecond: u64) -> Self {
        Self(Ulid::from_parts(millisecond, u128::MAX))
    }

    /// Returns the time of the emotion in milliseconds since 1970.
    pub(crate) const fn millisecond(self) -> i64 {
        self.0.timestamp_ms().cast_signed()
    }
}

impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Error of parsing an entry id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct InvalidEntryId;

impl FromStr for EntryId {
    type Err = InvalidEntryId;

    /// Parses the printed form in any case.
    fn from_str(text: &str) -> Result<Self, InvalidEntryId> {
        let id = Ulid::from_string(text).map_err(|_| InvalidEntryId)?;
        let printed = id.array_to_str(&mut [0; ulid::ULID_LEN]).eq_ignore_ascii_case(text);
        if printed { Ok(Self(id)) } else { Err(InvalidEntryId) }
    }
}

impl Entry {
    /// Creates a new entry.
    pub(crate) fn new(id: EntryId, content: Content, now: Timestamp) -> Self {
        let shared_since = (content.visibility == Visibility::Shared).then_some(now);
        Self { id, content, created_at: now, updated_at: now, shared_since, version: Version::FIRST }
    }

    /// Returns the entry with these changes.
    pub(crate) fn changed(self, change: Change, now: Timestamp) -> Self {
        let content = self.content.with(change);
        let shared_since = (content.visibility == Visibility::Shared).then(|| self.shared_since.unwrap_or(now));
        Self { content, updated_at: now, shared_since, version: self.version.next(), ..self }
    }
}

impl Content {
    /// Returns the content with these changes.
    pub(crate) fn with(self, change: Change) -> Self {
        let Change { emotion, intensity, note, visibility } = change;
        Self {
            emotion: emotion.unwrap_or(self.emotion),
            intensity: intensity.unwrap_or(self.intensity),
            note: note.unwrap_or(self.note),
            visibility: visibility.unwrap_or(self.visibility),
        }
    }
}

impl Range {
    /// The range of all time.
    pub(crate) const ALL: Self = Self { from: i64::MIN, to: i64::MAX };

    /// Returns the part of the range that is not before a millisecond.
    pub(crate) fn not_before(self, millisecond: i64) -> Self {
        Self { from: self.from.max(millisecond), ..self }
    }

    /// Returns the first and the last possible id of this range, if there are any.
    pub(crate) fn ids(self) -> Option<(EntryId, EntryId)> {
        /// Maximum time of an id, which has 48 bits.
        const LAST: i64 = (1 << 48) - 1;
        let (first, last) = (self.from.max(0), self.to.saturating_sub(1).min(LAST));
        let ids = (EntryId::first(first.cast_unsigned()), EntryId::last(last.cast_unsigned()));
        (first <= last).then_some(ids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    struct Bytes(u8);

    impl Entropy for Bytes {
        fn fill(&self, bytes: &mut [u8]) {
            bytes.fill(self.0);
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_millisecond(1_000_000_000_000).unwrap()
    }

    #[test]
    fn emotion_is_1_to_100_characters_of_one_line() {
        for (text, expected) in
            [(" calm ", "calm"), ("Zoe\u{308}", "Zoë"), ("let down", "let down"), ("क्\u{200d}ष", "क्\u{200d}ष")]
        {
            assert_eq!(text.parse::<Emotion>().map(|it| it.as_str().to_owned()), Ok(expected.to_owned()));
        }
        assert!("é".repeat(100).parse::<Emotion>().is_ok());
        for bad in ["", " \t ", &"x".repeat(101), "a\u{7}b", "a\nb", "a\u{202e}b", &" ".repeat(5000)] {
            assert!(bad.parse::<Emotion>().is_err(), "{bad}");
        }
        for blank in ["\u{200b}", "\u{2800}", "\u{3164}", "\u{ad}", "\u{feff}", "\u{2060}"] {
            assert_eq!(blank.parse::<Emotion>(), "".parse(), "{blank:?}");
        }
        assert_eq!("wist\u{ad}ful".parse::<Emotion>().unwrap().folded(), "wistful");
    }

    #[test]
    fn intensity_is_1_to_5() {
        for number in [i32::MIN, -1, 0, 6, 256 + 3, i32::MAX] {
            assert!(Intensity::try_from(number).is_err(), "{number}");
        }
        for number in 1..=5 {
            assert_eq!(i32::from(Intensity::try_from(number).unwrap().get()), number);
        }
    }

    #[test]
    fn time_of_a_feeling_is_from_1970_to_five_minutes_ahead() {
        let now_ms = now().as_millisecond();
        for good in [0, 1, now_ms, now_ms + SKEW] {
            assert!(FeltAt::new(good, now()).is_ok(), "{good}");
        }
        for bad in [-1, i64::MIN, now_ms + SKEW + 1, 253_402_300_800_000, i64::MAX] {
            assert!(FeltAt::new(bad, now()).is_err(), "{bad}");
        }
    }

    #[test]
    fn entry_id_is_read_in_any_case_and_in_no_other_form() {
        let id = EntryId::generate(FeltAt::new(now().as_millisecond(), now()).unwrap(), &Bytes(0xab)).to_string();
        for text in [&id, &id.to_lowercase()] {
            assert_eq!(text.parse::<EntryId>().unwrap().to_string(), id);
        }
        for other in [&id[1..], &format!("{id}0"), &format!(" {id}"), "", "8ZZZZZZZZZZZZZZZZZZZZZZZZZ", "nobody"] {
            assert_eq!(other.parse::<EntryId>(), Err(InvalidEntryId), "{other}");
        }
        for alias in ["01ARZ3NDEKTSV4RRFFQ69G5FAO", "01arz3ndektsv4rrffq69g5fao"] {
            assert_eq!(alias.parse::<EntryId>(), Err(InvalidEntryId), "O is read as 0 by Crockford, and written so");
        }
    }

    #[test]
    fn debug_output_hides_content() {
        let content = Content {
            emotion: "canary".parse().unwrap(),
            intensity: Intensity(3),
            note: FreeText::try_from("canary".to_owned()).unwrap(),
            visibility: Visibility::Private,
        };
        let printed = format!("{content:?}");
        assert!(!printed.contains("canary") && !printed.contains('3'), "{printed}");
    }

    #[test]
    fn range_covers_the_ids_of_its_milliseconds() {
        let ids = |from, to| Range { from, to }.ids();
        assert_eq!(ids(5, 6), Some((EntryId::first(5), EntryId::last(5))));
        assert_eq!(ids(-7, 2), Some((EntryId::first(0), EntryId::last(1))));
        assert_eq!(Range::ALL.ids(), Some((EntryId(Ulid::nil()), EntryId(Ulid::max()))));
        for (from, to) in [(5, 5), (6, 5), (-7, 0), (i64::MIN, i64::MIN), (1 << 48, i64::MAX)] {
            assert_eq!(ids(from, to), None, "{from} to {to}");
        }
    }

    proptest! {
        #[test]
        fn ids_sort_by_time_within_bounds(
            one in 0_u64..253_402_300_800_000, other in 0_u64..253_402_300_800_000, byte: u8
        ) {
            let id = |millisecond: u64| EntryId::generate(FeltAt(millisecond), &Bytes(byte));
            prop_assert_eq!(one < other, id(one).to_string() < id(other).to_string());
            prop_assert_eq!(id(one).millisecond(), one.cast_signed());
            prop_assert!(EntryId::first(one) <= id(one) && id(one) <= EntryId::last(one));
            prop_assert!(EntryId::last(one).to_string() < EntryId::first(one + 1).to_string());
        }
    }
}
