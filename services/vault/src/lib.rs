//! The data keys of people, wrapped by a key-encryption key.

/// The name of the service.
pub const NAME: &str = "vault";
