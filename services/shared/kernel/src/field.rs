use std::borrow::Cow;
use std::fmt;

/// Stable reason of a bad field, for programs: `therapy.errors.v1.FieldReason`, which says what each means.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FieldReason {
    /// The field is missing or empty.
    Required,
    /// The value does not have the form of the field.
    Malformed,
    /// A number or a time is outside its bounds.
    OutOfRange,
    /// The text is too short.
    TooShort,
    /// The text or the list is too long.
    TooLong,
    /// The text has a character that it may not have.
    ForbiddenCharacter,
    /// The value is none of those that the field takes.
    UnknownValue,
    /// The field may not be sent here.
    NotAllowed,
    /// The field can't be changed.
    Immutable,
    /// The value contradicts another one that counts.
    Mismatch,
    /// The value has the right form and is refused for what it is.
    Unsuitable,
}

impl FieldReason {
    /// All reasons.
    pub const ALL: [Self; 11] = [
        Self::Required,
        Self::Malformed,
        Self::OutOfRange,
        Self::TooShort,
        Self::TooLong,
        Self::ForbiddenCharacter,
        Self::UnknownValue,
        Self::NotAllowed,
        Self::Immutable,
        Self::Mismatch,
        Self::Unsuitable,
    ];

    /// The name that is sent.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Required => "REQUIRED",
            Self::Malformed => "MALFORMED",
            Self::OutOfRange => "OUT_OF_RANGE",
            Self::TooShort => "TOO_SHORT",
            Self::TooLong => "TOO_LONG",
            Self::ForbiddenCharacter => "FORBIDDEN_CHARACTER",
            Self::UnknownValue => "UNKNOWN_VALUE",
            Self::NotAllowed => "NOT_ALLOWED",
            Self::Immutable => "IMMUTABLE",
            Self::Mismatch => "MISMATCH",
            Self::Unsuitable => "UNSUITABLE",
        }
    }
}

/// Error of a field: its reason, and a sentence that follows the field's name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FieldError {
    /// For programs.
    pub reason: FieldReason,
    /// For people: a sentence that follows the field's name.
    pub description: Cow<'static, str>,
}

impl FieldError {
    /// Error of a field that is missing.
    pub const REQUIRED: Self = Self::new(FieldReason::Required, "is required");
    /// Error of an id that is none.
    pub const NOT_AN_ID: Self = Self::new(FieldReason::Malformed, "is not an id");
    /// Error of a text that is no time of a day.
    pub const NOT_A_TIME_OF_DAY: Self =
        Self::new(FieldReason::Malformed, "must be a time of the day as HH:MM, from 00:00 to 23:59");
    /// Error of a count below zero.
    pub const NEGATIVE: Self = Self::new(FieldReason::OutOfRange, "must not be negative");

    /// Creates an error with a sentence of its own.
    #[must_use]
    pub const fn new(reason: FieldReason, description: &'static str) -> Self {
        Self { reason, description: Cow::Borrowed(description) }
    }

    /// Returns the error of a text that shows nothing, where `least` to `most` characters are required.
    #[must_use]
    pub fn blank(least: usize, most: usize) -> Self {
        Self::of(FieldReason::Required, format!("is required: {least} to {} characters", Grouped(most)))
    }

    /// Returns the error of a text of less than `least` characters.
    #[must_use]
    pub fn too_short(least: usize, most: usize) -> Self {
        Self::of(FieldReason::TooShort, format!("is too short: {least} to {} characters", Grouped(most)))
    }

    /// Returns the error of a text of more than `most` characters.
    #[must_use]
    pub fn too_long(most: usize) -> Self {
        Self::of(FieldReason::TooLong, format!("is too long: at most {} characters", Grouped(most)))
    }

    /// Returns the error of a number that is not one from `least` to `most`.
    #[must_use]
    pub fn out_of_range(least: i64, most: i64) -> Self {
        Self::of(FieldReason::OutOfRange, format!("must be {least} to {most}"))
    }

    /// Returns the error of a value that is missing, where one of these names is required.
    #[must_use]
    pub fn missing_one_of(names: &[&str]) -> Self {
        Self::of(FieldReason::Required, format!("is required: {}", alternatives(names)))
    }

    /// Returns the error of a value that is none of these names.
    #[must_use]
    pub fn not_one_of(names: &[&str]) -> Self {
        Self::of(FieldReason::UnknownValue, format!("must be {}", alternatives(names)))
    }

    /// Creates an error with a sentence that was made for it.
    #[must_use]
    pub const fn of(reason: FieldReason, description: String) -> Self {
        Self { reason, description: Cow::Owned(description) }
    }
}

fn alternatives(names: &[&str]) -> String {
    match names {
        [others @ .., last] if !others.is_empty() => format!("{} or {last}", others.join(", ")),
        names => names.concat(),
    }
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.description)
    }
}

/// A number whose digits are grouped by commas.
struct Grouped(usize);

impl fmt::Display for Grouped {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            small @ ..1000 => small.fmt(f),
            large => write!(f, "{},{:03}", Self(large / 1000), large % 1000),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_read_as_sentences() {
        for (error, expected) in [
            (FieldError::blank(1, 200), "is required: 1 to 200 characters"),
            (FieldError::too_short(12, 128), "is too short: 12 to 128 characters"),
            (FieldError::too_long(10_000), "is too long: at most 10,000 characters"),
            (FieldError::too_long(1_002_003), "is too long: at most 1,002,003 characters"),
            (FieldError::out_of_range(1, 5), "must be 1 to 5"),
            (FieldError::missing_one_of(&["A", "B"]), "is required: A or B"),
            (FieldError::not_one_of(&["A"]), "must be A"),
            (FieldError::not_one_of(&["A", "B"]), "must be A or B"),
            (FieldError::not_one_of(&["A", "B", "C"]), "must be A, B or C"),
        ] {
            assert_eq!(error.to_string(), expected);
        }
    }
}
