//! Invitations: requests of therapists to an address, which don't reveal whether a client has this address.
//!
//! An invitation is stored under a digest of the address, without any look-up. When a client lists requests, the
//! invitations to the address of the client's account move into the client's partition ([`Invitations::receive`]): then
//! they are requests, which only the client sees. The relation that the therapist sees begins with the client's answer
//! ([`Invitation::answered`](crate::model::Invitation::answered)).

mod address;
mod budget;
mod ops;
mod store;

pub(crate) use address::Addresses;
pub(crate) use ops::Invitations;
pub(crate) use store::Store;
