//! The emotions journals.

/// The name of the service.
pub const NAME: &str = "journals";
