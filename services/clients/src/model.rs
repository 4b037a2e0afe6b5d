use kernel::{ClientId, Email, PersonName, Pincode, Version};

/// What a client says of themself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: PersonName,
    pub(crate) email: Email,
    pub(crate) pincode: Pincode,
}

/// A client as a list shows one.
#[derive(Debug)]
pub(crate) enum Listed {
    /// With the whole profile.
    Whole(Client),
    /// By name alone.
    Named(ClientId, PersonName),
}

/// A client as stored.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) profile: Profile,
    pub(crate) version: Version,
}
