use kernel::{Email, PersonName, Pincode, Specialty, TherapistId, Version};

/// What a therapist says of themself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: PersonName,
    pub(crate) email: Email,
    pub(crate) specialty: Specialty,
    pub(crate) pincode: Pincode,
}

/// A therapist as stored.
#[derive(Debug, Clone)]
pub(crate) struct Therapist {
    pub(crate) id: TherapistId,
    pub(crate) profile: Profile,
    pub(crate) version: Version,
}

/// Which part of the directory is asked for. Everything in it is folded, so that case and spacing don't matter.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Filter {
    pub(crate) specialty: Option<String>,
    pub(crate) pincode: Option<String>,
    pub(crate) name_prefix: String,
}
