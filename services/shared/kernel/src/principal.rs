use std::fmt;
use std::str::FromStr;

use crate::{ClientId, LoginId, TherapistId, UserId};

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

/// A person with the role in the type of the id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Party {
    /// A person in therapy.
    Client(ClientId),
    /// A therapist.
    Therapist(TherapistId),
}

impl Party {
    /// The party of an account in its role.
    #[must_use]
    pub fn of(role: Role, id: UserId) -> Self {
        match role {
            Role::Client => Self::Client(id.into()),
            Role::Therapist => Self::Therapist(id.into()),
        }
    }

    /// Returns the id of the account.
    #[must_use]
    pub fn id(self) -> UserId {
        match self {
            Self::Client(id) => id.into(),
            Self::Therapist(id) => id.into(),
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
