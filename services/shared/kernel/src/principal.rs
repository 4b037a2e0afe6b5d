use std::fmt;
use std::str::FromStr;

use crate::{LoginId, UserId};

/// The two kinds of people who have accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Role {
    /// A person in therapy.
    Client,
    /// A therapist.
    Therapist,
}

impl Role {
    /// The name on the wire and in the store.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Client => "CLIENT",
            Self::Therapist => "THERAPIST",
        }
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Role {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        match text {
            "CLIENT" => Ok(Self::Client),
            "THERAPIST" => Ok(Self::Therapist),
            _ => Err(()),
        }
    }
}

/// A person, as a verified access token names them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Person {
    /// The account.
    pub user_id: UserId,
    /// Role of the person.
    pub role: Role,
    /// The login that the token belongs to.
    pub login_id: LoginId,
}
