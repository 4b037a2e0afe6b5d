//! Invitations: how a therapist asks a client by address without learning whether there is such a client.
//!
//! An invitation is stored under a digest of the address, without any look-up. When a client lists what is asked, the
//! invitations to the address of the client's account move into the client's partition ([`Invitations::receive`]): these are
//! requests, which the client alone sees. The relation that the therapist sees begins with the client's answer
//! ([`Invitation::answered`]).

mod address;
mod budget;
mod model;
mod ops;
mod service;
mod store;

pub(crate) use address::Addresses;
pub(crate) use model::{Answered, Asked, Invitation};
pub(crate) use ops::Invitations;
pub(crate) use store::{Store, request_key, requested};
