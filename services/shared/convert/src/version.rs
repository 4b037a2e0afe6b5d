//! Versions of resources.

use kernel::Version;

/// Converts a version, capped at the maximum of the field: no resource changes four billion times.
#[must_use]
pub fn to_proto(version: Version) -> u32 {
    u32::try_from(version.number()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use serde::Deserialize as _;
    use serde::de::value::{Error, U64Deserializer};

    use super::*;

    #[test]
    fn large_version_is_capped() {
        assert_eq!((to_proto(Version::FIRST), to_proto(Version::FIRST.next())), (1, 2));
        let large = Version::deserialize(U64Deserializer::<Error>::new(u64::MAX)).unwrap();
        assert_eq!(to_proto(large), u32::MAX);
    }
}
