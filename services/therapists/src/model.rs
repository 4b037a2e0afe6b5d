use kernel::{Email, PersonName, Pincode, Specialty, TherapistId, Version};

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

/// The filter of a directory request. Its texts are folded, so that case and spacing don't matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) specialty: Option<String>,
    pub(crate) pincode: Option<String>,
    pub(crate) name_prefix: String,
}
