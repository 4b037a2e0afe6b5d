//! Authorization for conversations. Pure: the store requires permits, which only this module creates.

use kernel::{Error, FieldError, Person, Role, UserId, Violations};

use crate::error::{not_a_member, not_the_sender};
use crate::model::{Pair, Side};

/// Permit of a member of a conversation.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member {
    pair: Pair,
    side: Side,
}

/// Permit to list the own conversations.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own {
    id: UserId,
    side: Side,
}

/// Permit of the background task to the heads of the conversations that are watched.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Poll(());

impl Member {
    pub(crate) const fn pair(self) -> Pair {
        self.pair
    }

    /// Returns the caller's side.
    pub(crate) const fn side(self) -> Side {
        self.side
    }

    /// Returns the caller's id.
    pub(crate) fn own(self) -> UserId {
        self.pair.of(self.side)
    }

    pub(crate) fn peer(self) -> UserId {
        self.pair.of(self.side.other())
    }
}

impl Own {
    pub(crate) const fn id(self) -> UserId {
        self.id
    }

    pub(crate) const fn side(self) -> Side {
        self.side
    }

    /// Returns the permit for the caller's conversation with somebody of the other side. The peer need not exist: then
    /// the conversation stays empty.
    pub(crate) fn with(self, peer: UserId) -> Member {
        let pair = match self.side {
            Side::Client => Pair { client: self.id.into(), therapist: peer.into() },
            Side::Therapist => Pair { client: peer.into(), therapist: self.id.into() },
        };
        Member { pair, side: self.side }
    }

    /// Returns the permit for a conversation of the list.
    ///
    /// # Errors
    /// INTERNAL when it is somebody else's.
    pub(crate) fn of(self, pair: Pair) -> Result<Member, Error> {
        let own = pair.of(self.side) == self.id;
        own.then_some(Member { pair, side: self.side })
            .ok_or_else(|| Error::internal("the list of conversations holds one of somebody else"))
    }
}

/// Returns the caller's permit to the own conversations.
pub(crate) const fn own(person: Person) -> Own {
    let side = match person.role {
        Role::Client => Side::Client,
        Role::Therapist => Side::Therapist,
    };
    Own { id: person.user_id, side }
}

/// Returns the permit to poll, which no request has.
pub(crate) const fn poll() -> Poll {
    Poll(())
}

/// Returns the peer out of two accounts, each with its field, of which one must be the caller. The refusal is the same
/// whether the other accounts exist or not.
///
/// # Errors
/// PERMISSION_DENIED when neither is the caller; INVALID_ARGUMENT instead when an id is missing.
pub(crate) fn other<'a>(
    person: Person,
    one: (&'static str, &'a str),
    another: (&'static str, &'a str),
) -> Result<(&'static str, &'a str), Error> {
    let is_caller = |(_, id): (&str, &str)| id.parse() == Ok(person.user_id);
    match (is_caller(one), is_caller(another)) {
        (true, _) => Ok(another),
        (false, true) => Ok(one),
        (false, false) => {
            let mut bad = Violations::default();
            for (field, _) in [one, another].into_iter().filter(|(_, id)| id.is_empty()) {
                bad.add(field, FieldError::REQUIRED);
            }
            Err(if bad.is_empty() { not_a_member() } else { bad.into_error() })
        }
    }
}

/// Checks that the sender, if named, is the caller.
pub(crate) fn sender(person: Person, sender: &str) -> Result<(), Error> {
    if sender.is_empty() || sender.parse() == Ok(person.user_id) { Ok(()) } else { Err(not_the_sender()) }
}

#[cfg(test)]
mod tests {
    use kernel::{Kind, LoginId};

    use super::*;

    fn person(role: Role) -> Person {
        Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) }
    }

    #[test]
    fn conversation_pairs_caller_with_other_side() {
        let (me, peer) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        for (role, client, therapist) in [(Role::Client, me, peer), (Role::Therapist, peer, me)] {
            let own = own(person(role));
            let member = own.with(peer);
            let pair = Pair { client: client.into(), therapist: therapist.into() };
            assert_eq!((member.pair(), member.peer()), (pair, peer), "{role}");
            assert!(own.of(pair).is_ok());
            let foreign = Pair { client: peer.into(), therapist: peer.into() };
            assert_eq!(own.of(foreign).unwrap_err().kind(), Kind::Internal);
        }
    }

    /// The refusal is the same whether the accounts exist or not.
    #[test]
    fn caller_outside_pair_is_refused() {
        let (me, peer) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let (me, peer) = (me.as_str(), peer.as_str());
        for (one, another, expected) in [
            (me, peer, Ok(peer)),
            (peer, me, Ok(peer)),
            (me, me, Ok(me)),
            (me, "", Ok("")),
            (peer, peer, Err("NOT_YOUR_ACCOUNT")),
            (peer, "nobody", Err("NOT_YOUR_ACCOUNT")),
            (peer, "", Err("INVALID_FIELDS")),
            ("", "", Err("INVALID_FIELDS")),
        ] {
            for role in [Role::Client, Role::Therapist] {
                let found = other(person(role), ("senderId", one), ("receiverId", another));
                assert_eq!(found.map(|(_, id)| id).map_err(|e| e.reason()), expected, "{one} {another}");
            }
        }
    }

    #[test]
    fn named_sender_must_be_caller() {
        let named = |id: &str| sender(person(Role::Client), id).map_err(|error| error.reason());
        assert_eq!((named(""), named(&UserId::from_bytes([1; 16]).to_string())), (Ok(()), Ok(())));
        for refused in [UserId::from_bytes([2; 16]).to_string(), "nobody".to_owned()] {
            assert_eq!(named(&refused), Err("NOT_YOUR_ACCOUNT"));
        }
    }
}
