//! Who read what of a journal: append-only, chained, signed.

/// The name of the service.
pub const NAME: &str = "audit";
