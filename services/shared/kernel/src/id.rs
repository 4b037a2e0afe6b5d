use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::{Clock, Entropy, FieldError, Timestamp};

/// Error of a text that is not an id of ours.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ParseIdError;

impl fmt::Display for ParseIdError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        FieldError::from(*self).fmt(f)
    }
}

impl std::error::Error for ParseIdError {}

impl From<ParseIdError> for FieldError {
    fn from(_: ParseIdError) -> Self {
        Self::NOT_AN_ID
    }
}

/// Generates a UUIDv7 (RFC 9562): ids sort by the time at which they were made.
#[must_use]
pub fn uuid_v7(now: Timestamp, entropy: &dyn Entropy) -> Uuid {
    let millis = u64::try_from(now.as_millisecond()).unwrap_or_default();
    uuid::Builder::from_unix_timestamp_millis(millis, &entropy.array()).into_uuid()
}

/// Parses the hyphenated form in any case. Ids are printed in lower case.
fn parse_uuid(text: &str) -> Result<Uuid, ParseIdError> {
    let uuid = Uuid::try_parse(text).map_err(|_| ParseIdError)?;
    let mut buffer = Uuid::encode_buffer();
    if uuid.hyphenated().encode_lower(&mut buffer).eq_ignore_ascii_case(text) { Ok(uuid) } else { Err(ParseIdError) }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id (UUIDv7, RFC 9562), so that ids sort by when they were made.
            #[must_use]
            pub fn generate(clock: &dyn Clock, entropy: &dyn Entropy) -> Self {
                Self(uuid_v7(clock.now(), entropy))
            }

            /// The id as its 16 bytes.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id of these 16 bytes.
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;

            fn from_str(text: &str) -> Result<Self, ParseIdError> {
                parse_uuid(text).map(Self)
            }
        }
    };
}

id! {
    /// An account.
    UserId
}
id! {
    /// A person in therapy: the id of the person's account.
    ClientId
}
id! {
    /// A therapist: the id of the therapist's account.
    TherapistId
}
id! {
    /// One login of an account: a family of refresh tokens.
    LoginId
}
id! {
    /// A session of a therapist: a slot and its notes.
    SessionId
}
id! {
    /// A session that a client asked for, or got.
    AppointmentId
}
id! {
    /// An event that other services receive: the same id in each delivery.
    EventId
}

impl From<UserId> for ClientId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}

impl From<ClientId> for UserId {
    fn from(id: ClientId) -> Self {
        Self(id.0)
    }
}

impl From<UserId> for TherapistId {
    fn from(id: UserId) -> Self {
        Self(id.0)
    }
}

impl From<TherapistId> for UserId {
    fn from(id: TherapistId) -> Self {
        Self(id.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn id_is_read_in_any_case_and_printed_in_lower_case(bytes: [u8; 16], capitals: u64) {
            let id = UserId::from_bytes(bytes);
            let printed = id.to_string();
            let capital = |(at, c): (usize, char)| if capitals >> at & 1 == 1 { c.to_ascii_uppercase() } else { c };
            let text: String = printed.chars().enumerate().map(capital).collect();
            prop_assert_eq!(text.parse(), Ok(id), "{}", text);
            prop_assert_eq!(printed.to_lowercase(), printed);
        }
    }

    #[test]
    fn other_forms_of_an_id_are_refused() {
        let others = [
            "01933b5e7a4c7def8abc0123456789ab",
            "{01933b5e-7a4c-7def-8abc-0123456789ab}",
            "urn:uuid:01933b5e-7a4c-7def-8abc-0123456789ab",
            " 01933b5e-7a4c-7def-8abc-0123456789ab",
            "",
        ];
        for other in others {
            assert_eq!(other.parse::<UserId>(), Err(ParseIdError), "{other}");
        }
    }
}
