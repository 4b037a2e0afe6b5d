//! Ranges of instants.

use kernel::{TextError, Violations};

/// Converts the bounds of a range, given with their fields: each may be left out. Returns none if one is invalid, and
/// notes it.
pub fn from_proto<T>(
    bad: &mut Violations,
    (from_field, from): (&'static str, Option<prost_types::Timestamp>),
    (to_field, to): (&'static str, Option<prost_types::Timestamp>),
    bound: impl Fn(prost_types::Timestamp) -> Result<T, TextError>,
) -> Option<(Option<T>, Option<T>)> {
    let from = bad.check(from_field, from.map(&bound).transpose());
    let to = bad.check(to_field, to.map(&bound).transpose());
    from.zip(to)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::millisecond;

    #[test]
    fn invalid_bounds_are_noted_by_field() {
        let range = |from: Option<i64>, to: Option<i64>| {
            let time = |seconds| prost_types::Timestamp { seconds, nanos: 0 };
            let mut bad = Violations::default();
            let (from, to) = (("from", from.map(time)), ("to", to.map(time)));
            from_proto(&mut bad, from, to, millisecond::ceil_from_proto).ok_or_else(|| bad.into_error())
        };
        assert_eq!(range(None, None).unwrap(), (None, None));
        assert_eq!(range(Some(1), Some(2)).unwrap(), (Some(1_000), Some(2_000)));
        let refused = range(Some(i64::MAX), Some(i64::MIN)).unwrap_err();
        assert_eq!(refused.violations().iter().map(|bad| &*bad.field).collect::<Vec<_>>(), ["from", "to"]);
        assert_eq!(range(None, Some(i64::MAX)).unwrap_err().violations().len(), 1);
    }
}
