use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Error, Kind};

/// The version of a resource, shown to callers as an opaque etag (AIP-154).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Version(u64);

impl Version {
    /// The version of a new resource.
    pub const FIRST: Self = Self(1);

    /// Returns the number of the version: 1 for a new resource, and one more after each change.
    #[must_use]
    pub const fn number(self) -> u64 {
        self.0
    }

    /// The version after this one.
    #[must_use]
    pub const fn next(self) -> Self {
        Self(self.0 + 1)
    }

    /// The answer to an update with an old etag.
    #[must_use]
    pub fn stale() -> Error {
        Error::new(
            Kind::Aborted,
            "STALE_ETAG",
            "etag: the resource has changed since; read it again and repeat the change",
        )
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
