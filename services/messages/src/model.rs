//! The types of a conversation: none can hold a value that the contract forbids, and none prints what people wrote.

use std::fmt;
use std::str::FromStr;

use kernel::{ClientId, Entropy, FieldError, FieldReason, FreeText, PageSize, TherapistId, Timestamp, UserId};
use serde::{Deserialize, Serialize};
use ulid::Ulid;

/// Members of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Pair {
    pub(crate) client: ClientId,
    pub(crate) therapist: TherapistId,
}

/// Side of a conversation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Client,
    Therapist,
}

/// Number of a message in its conversation, without gaps: 1 is the first message, 0 is before it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(transparent)]
pub(crate) struct Position(pub(crate) u64);

/// Id of a message: a ULID with the message's time, its position in the next 40 bits, and 40 random bits. An id locates
/// its message, and can't be guessed from a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MessageId(Ulid);

/// Text of a message: 1 to 10,000 characters, at least one of which shows something.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Text(FreeText);

/// A message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Message {
    pub(crate) id: MessageId,
    pub(crate) sender: Side,
    pub(crate) text: Text,
}

/// Requested page of a list.
#[derive(Debug, Clone)]
pub(crate) struct Wanted {
    pub(crate) size: PageSize,
    /// Page token; empty for the first page.
    pub(crate) token: String,
}

/// Number of messages of a conversation up to one of them, in all and by side.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    /// All of them.
    pub(crate) last: Position,
    /// Those of the client.
    pub(crate) by_client: u64,
}

impl Pair {
    pub(crate) fn of(self, side: Side) -> UserId {
        match side {
            Side::Client => self.client.into(),
            Side::Therapist => self.therapist.into(),
        }
    }
}

impl Side {
    pub(crate) const fn other(self) -> Self {
        match self {
            Self::Client => Self::Therapist,
            Self::Therapist => Self::Client,
        }
    }
}

impl Position {
    /// Returns the position `more` messages later.
    pub(crate) const fn after(self, more: u64) -> Self {
        Self(self.0.saturating_add(more))
    }
}

impl Tally {
    /// Returns the tally with one more message of a side.
    pub(crate) const fn plus(self, sender: Side) -> Self {
        let by_client = match sender {
            Side::Client => self.by_client.saturating_add(1),
            Side::Therapist => self.by_client,
        };
        Self { last: self.last.after(1), by_client }
    }

    /// Returns the number of messages of a side.
    pub(crate) const fn by(self, side: Side) -> u64 {
        match side {
            Side::Client => self.by_client,
            Side::Therapist => self.last.0.saturating_sub(self.by_client),
        }
    }
}

impl MessageId {
    /// The id before that of any message, to resume after where there is none yet.
    pub(crate) const BEFORE_FIRST: Self = Self(Ulid::nil());

    const POSITION_BITS: u32 = 40;
    const LOW: u128 = (1 << Self::POSITION_BITS) - 1;

    /// Generates the id of a new message.
    pub(crate) fn generate(at: Timestamp, position: Position, entropy: &dyn Entropy) -> Self {
        let [a, b, c, d, e] = entropy.array::<5>();
        let random = u64::from_be_bytes([0, 0, 0, a, b, c, d, e]);
        let low = ((u128::from(position.0) & Self::LOW) << Self::POSITION_BITS) | u128::from(random);
        let millisecond = u64::try_from(at.as_millisecond()).unwrap_or_default();
        Self(Ulid::from_parts(millisecond, low))
    }

    /// Returns the time at which the message was stored, to the millisecond.
    pub(crate) fn at(self) -> Timestamp {
        Timestamp::from_millisecond(self.0.timestamp_ms().cast_signed()).unwrap_or_default()
    }

    /// Returns the position of the message, if one has this id.
    pub(crate) fn position(self) -> Position {
        let position = (self.0.random() >> Self::POSITION_BITS) & Self::LOW;
        Position(u64::try_from(position).unwrap_or_default())
    }
}

impl fmt::Display for MessageId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl FromStr for MessageId {
    type Err = FieldError;

    /// Parses the printed form in any case.
    fn from_str(text: &str) -> Result<Self, FieldError> {
        let is_printed = |id: &Ulid| id.array_to_str(&mut [0; ulid::ULID_LEN]).eq_ignore_ascii_case(text);
        let id = Ulid::from_string(text).ok().filter(is_printed);
        id.map(Self).ok_or(FieldError::new(FieldReason::Malformed, "is not the id of a message"))
    }
}

impl Text {
    /// Creates a text from the store, where an earlier version may have put what is refused now.
    pub(crate) const fn from_stored(text: FreeText) -> Self {
        Self(text)
    }

    pub(crate) fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl TryFrom<String> for Text {
    type Error = FieldError;

    fn try_from(text: String) -> Result<Self, FieldError> {
        if kernel::is_blank(&text) {
            return Err(FieldError::new(
                FieldReason::Required,
                "is required: 1 to 10,000 characters, not only white space",
            ));
        }
        FreeText::try_from(text).map(Self)
    }
}

impl From<Text> for String {
    fn from(text: Text) -> Self {
        text.0.into()
    }
}

#[cfg(test)]
mod tests {
    use chassis::SystemEntropy;

    use super::*;

    #[test]
    fn id_holds_time_and_position_and_sorts_by_them() {
        let at = |millisecond| Timestamp::from_millisecond(millisecond).unwrap();
        let mut last = None;
        for (millisecond, position) in [(5, 1), (5, 2), (5, 1_000), (6, 1_001), (9_999_999_999_999, (1 << 40) - 1)] {
            let id = MessageId::generate(at(millisecond), Position(position), &SystemEntropy);
            assert_eq!((id.position().0, id.at(), id.to_string().parse()), (position, at(millisecond), Ok(id)));
            assert_eq!(id.to_string().to_lowercase().parse(), Ok(id));
            assert!(Some(id) > last, "{id}");
            last = Some(id);
        }
        for text in ["", "1", "01arz3ndektsv4rrffq69g5fao", "81ARZ3NDEKTSV4RRFFQ69G5FAV"] {
            assert!(text.parse::<MessageId>().is_err(), "{text}");
        }
    }

    #[test]
    fn text_is_1_to_10_000_characters_and_not_blank() {
        let is_text = |text: String| Text::try_from(text).is_ok();
        assert!(is_text("é".repeat(10_000)) && is_text(" a\n".to_owned()));
        assert!(is_text("\u{202b}شكرا\u{202c}".to_owned()), "lines of their own may say their direction");
        for refused in ["é".repeat(10_001), String::new(), " \n\t\u{2003}".to_owned(), "a\u{0}".to_owned()] {
            assert!(!is_text(refused));
        }
        for blank in ["\u{200b}", "\u{2800}\n", "\u{3164}", "\u{ad}", "\u{feff}", "\u{2060}"] {
            assert_eq!(Text::try_from(blank.to_owned()), Text::try_from(String::new()), "{blank:?}");
        }
    }
}
