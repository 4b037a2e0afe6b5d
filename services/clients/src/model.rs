//! Domain types of clients' profiles.

use kernel::{ClientId, Email, PageSize, PersonName, Pincode, Version};

/// The data that a client enters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Profile {
    pub(crate) name: PersonName,
    pub(crate) email: Email,
    pub(crate) pincode: Pincode,
}

/// The parameters of a list request.
#[derive(Debug)]
pub(crate) struct ListQuery {
    pub(crate) email: Option<Email>,
    pub(crate) size: PageSize,
    /// The token of the page; empty for the first page.
    pub(crate) token: String,
}

/// A client in a list.
#[derive(Debug)]
pub(crate) enum Listed {
    /// The client with the whole profile.
    Whole(Client),
    /// The client's name only.
    Named(ClientId, PersonName),
}

/// A stored client.
#[derive(Debug, Clone)]
pub(crate) struct Client {
    pub(crate) id: ClientId,
    pub(crate) profile: Profile,
    pub(crate) version: Version,
}
