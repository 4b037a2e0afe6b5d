//! appointments.

/// The name of the service.
pub const NAME: &str = "appointments";
