//! Errors of journals.

use kernel::{Error, Kind};

/// Returns the error for a journal that doesn't exist, and alike for one that the caller may not read.
pub(crate) fn no_journal() -> Error {
    Error::not_found("journal")
}

/// Returns the error for an entry that doesn't exist, and alike for one that the caller may not read.
pub(crate) fn no_entry() -> Error {
    Error::not_found("entry")
}

/// Returns the error for a therapist who writes in a journal.
pub(crate) fn only_for_clients() -> Error {
    Error::new(Kind::PermissionDenied, "ROLE_NOT_ALLOWED", "only clients write in their journals")
}

/// Returns the error for insights of too many entries.
pub(crate) fn too_many_entries() -> Error {
    let message = "this time holds more than 10,000 entries: ask for a shorter one";
    Error::new(Kind::FailedPrecondition, "TOO_MANY_ENTRIES", message)
}
