//! Domain types of therapists' profiles and of the directory.

use kernel::{Email, PageSize, PersonName, Pincode, TherapistId, Version};

use crate::text::Specialty;

/// The data that a therapist enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: PersonName,
    pub(crate) email: Email,
    pub(crate) specialty: Specialty,
    pub(crate) pincode: Pincode,
}

/// A stored therapist.
#[derive(Debug, Clone)]
pub(crate) struct Therapist {
    pub(crate) id: TherapistId,
    pub(crate) profile: Profile,
    pub(crate) version: Version,
}

/// The parameters of a directory request.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) filter: Filter,
    pub(crate) size: PageSize,
    /// The token of the page; empty for the first page.
    pub(crate) token: String,
}

/// The filter of a directory request. Its texts are folded, so that case and spacing don't matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) specialty: Option<String>,
    pub(crate) pincode: Option<String>,
    pub(crate) name_prefix: String,
}
