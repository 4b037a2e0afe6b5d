//! Decides access to therapists' profiles. Pure: the store takes only permits that are made here.

use kernel::{Error, Person, Role, TherapistId, UserId};

use crate::error::only_for_therapists;

/// The right to create, change and delete one's own profile.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Own(TherapistId);

/// The right to read the directory. Every signed-in person has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Browse(());

/// The right of an operator's migration to replace the addresses in profiles.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Migrate(());

/// The right to read the names of therapists. The rules of the protos reserve them for services.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Names(());

impl Own {
    pub(crate) const fn id(self) -> TherapistId {
        self.0
    }

    pub(crate) const fn browse(self) -> Browse {
        Browse(())
    }
}

impl Migrate {
    pub(crate) const fn browse(self) -> Browse {
        Browse(())
    }
}

/// Permits access to the caller's own profile, independent of a path.
pub(crate) fn own(person: Person) -> Result<Own, Error> {
    match person.role {
        Role::Therapist => Ok(Own(person.user_id.into())),
        Role::Client => Err(only_for_therapists()),
    }
}

/// Permits access to one's own profile, named by the id of a path. For another account the error is the same whether it
/// exists or not.
pub(crate) fn own_named(person: Person, id: &str) -> Result<Own, Error> {
    let own = own(person)?;
    if id.parse::<UserId>() == Ok(own.0.into()) { Ok(own) } else { Err(Error::not_your_account("therapistId")) }
}

pub(crate) const fn browse(_person: Person) -> Browse {
    Browse(())
}

/// Permits an operator's migration.
pub(crate) const fn migration() -> Migrate {
    Migrate(())
}

pub(crate) const fn names() -> Names {
    Names(())
}

#[cfg(test)]
mod tests {
    use kernel::{Kind, LoginId};

    use super::*;

    #[test]
    fn profile_is_writable_by_owner_only() {
        let person =
            |role| Person { user_id: UserId::from_bytes([1; 16]), role, login_id: LoginId::from_bytes([9; 16]) };
        let (own_id, other) = (UserId::from_bytes([1; 16]).to_string(), UserId::from_bytes([2; 16]).to_string());
        let denied = Some(Kind::PermissionDenied);
        let cases = [
            (Role::Therapist, own_id.as_str(), None),
            (Role::Therapist, other.as_str(), denied),
            (Role::Therapist, "nobody", denied),
            (Role::Client, own_id.as_str(), denied),
        ];
        for (role, id, expected) in cases {
            assert_eq!(own_named(person(role), id).err().map(|e| e.kind()), expected, "{role} changes {id}");
        }
    }
}
