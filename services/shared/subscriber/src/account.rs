//! Parses the event of an ended account into the permit to delete what a service holds of it.

use kernel::{FieldError, Party, Result, Role, Timestamp, UserId, Violations};
use proto::events::v1::{AccountEnded, account_ended};

/// Permit to delete what a service holds of one account. Only the event of the account's end gives it.
#[derive(Debug, Clone, Copy)]
pub struct AccountDeletionPermit {
    party: Party,
    time: Option<Timestamp>,
}

impl AccountDeletionPermit {
    /// Parses an event and its time.
    ///
    /// # Errors
    /// INVALID_ARGUMENT names every invalid field.
    pub fn from_proto(ended: &AccountEnded, time: Option<prost_types::Timestamp>) -> Result<Self> {
        let AccountEnded { user_id, role } = ended;
        let mut bad = Violations::default();
        let id = bad.check("event.accountEnded.userId", user_id.parse::<UserId>());
        let role = match account_ended::Role::try_from(*role) {
            Ok(account_ended::Role::Client) => Some(Role::Client),
            Ok(account_ended::Role::Therapist) => Some(Role::Therapist),
            Ok(account_ended::Role::Unspecified) | Err(_) => {
                bad.check("event.accountEnded.role", Err(FieldError::not_one_of(&["CLIENT", "THERAPIST"])))
            }
        };
        let time = bad.check("event.time", time.map(convert::time::from_proto).transpose());
        match (role, id, time) {
            (Some(role), Some(id), Some(time)) => Ok(Self { party: Party::of(role, id), time }),
            _ => Err(bad.into_error()),
        }
    }

    /// Returns the account and its role.
    #[must_use]
    pub const fn party(self) -> Party {
        self.party
    }

    /// Returns the id of the account.
    #[must_use]
    pub fn id(self) -> UserId {
        self.party.id()
    }

    /// Returns the time of the deletion, if the event has one.
    #[must_use]
    pub const fn time(self) -> Option<Timestamp> {
        self.time
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: UserId = UserId::from_bytes([1; 16]);

    fn parsed(user_id: &str, role: i32, seconds: Option<i64>) -> Result<AccountDeletionPermit> {
        let time = seconds.map(|seconds| prost_types::Timestamp { seconds, nanos: 0 });
        AccountDeletionPermit::from_proto(&AccountEnded { user_id: user_id.to_owned(), role }, time)
    }

    #[test]
    fn permit_is_for_the_account_in_its_role() {
        let id = ID.to_string();
        for (role, party) in [
            (account_ended::Role::Client, Party::Client(ID.into())),
            (account_ended::Role::Therapist, Party::Therapist(ID.into())),
        ] {
            let permit = parsed(&id, role.into(), Some(7)).unwrap();
            assert_eq!((permit.party(), permit.id()), (party, ID));
            assert_eq!(permit.time(), Some(Timestamp::from_second(7).unwrap()));
            assert_eq!(parsed(&id, role.into(), None).unwrap().time(), None);
        }
    }

    #[test]
    fn every_invalid_field_is_named() {
        let (id, client) = (ID.to_string(), account_ended::Role::Client.into());
        let all = ["event.accountEnded.userId", "event.accountEnded.role", "event.time"];
        for (user_id, role, seconds, bad) in [
            ("", client, None, &all[..1]),
            ("nobody", client, Some(7), &all[..1]),
            (&id, 0, None, &all[1..2]),
            (&id, 99, None, &all[1..2]),
            (&id, client, Some(i64::MAX), &all[2..]),
            ("", 0, Some(i64::MAX), &all[..]),
        ] {
            let refused = parsed(user_id, role, seconds).unwrap_err();
            let fields: Vec<_> = refused.violations().iter().map(|bad| &*bad.field).collect();
            assert_eq!(fields, bad, "{user_id} {role} {seconds:?}");
        }
    }
}
