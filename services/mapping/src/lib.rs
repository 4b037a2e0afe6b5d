//! The relation of each client and therapist: mapping, access to the journal, consent history.

/// The name of the service.
pub const NAME: &str = "mapping";
