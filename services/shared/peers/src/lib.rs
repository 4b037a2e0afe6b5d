//! Clients of the services that several others call. A caller's Cargo.toml names each service that it calls by the
//! feature of that service.

#[cfg(feature = "auth")]
mod accounts;
#[cfg(feature = "clients")]
mod client_names;
#[cfg(feature = "mapping")]
mod contacts;
#[cfg(feature = "auth")]
mod logins;
#[cfg(feature = "therapists")]
mod therapist_names;

#[cfg(feature = "auth")]
pub use accounts::{Accounts, profile_address};
#[cfg(feature = "clients")]
pub use client_names::ClientNames;
#[cfg(feature = "mapping")]
pub use contacts::{Channel, Contacts};
#[cfg(feature = "auth")]
pub use logins::Logins;
#[cfg(feature = "therapists")]
pub use therapist_names::{TherapistName, TherapistNames};
