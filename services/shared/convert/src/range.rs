//! Ranges of instants.

use kernel::{FieldError, FieldReason, Violations};

/// Converts the bounds of a range, given with their fields: each may be left out. Returns none if one is invalid, and
/// notes it.
pub fn from_proto<T>(
    bad: &mut Violations,
    (from_field, from): (&'static str, Option<prost_types::Timestamp>),
    (to_field, to): (&'static str, Option<prost_types::Timestamp>),
    bound: impl Fn(prost_types::Timestamp) -> Result<T, FieldError>,
) -> Option<(Option<T>, Option<T>)> {
    let from = bad.check(from_field, from.map(&bound).transpose());
    let to = bad.check(to_field, to.map(&bound).transpose());
    from.zip(to)
}

/// Returns whether the end of a range of milliseconds, which is excluded, is later than its beginning, and notes it if
/// it isn't. The bounds are given with their fields.
pub fn require_order(
    bad: &mut Violations,
    (from_field, from): (&'static str, i64),
    (to_field, to): (&'static str, i64),
) -> bool {
    let is_ordered = from < to;
    if !is_ordered {
        let description = format!("must be later than {from_field}, by a millisecond at least");
        bad.add(to_field, FieldError::of(FieldReason::OutOfRange, description));
    }
    is_ordered
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

    #[test]
    fn end_that_is_not_later_is_noted() {
        for (from, to, is_ordered) in [(-1, 0, true), (i64::MIN, i64::MAX, true), (7, 7, false), (8, 7, false)] {
            let mut bad = Violations::default();
            assert_eq!(require_order(&mut bad, ("from", from), ("to", to)), is_ordered, "{from} {to}");
            let expected = if is_ordered { "" } else { "to must be later than from, by a millisecond at least" };
            assert_eq!(bad.into_error().message(), expected);
        }
    }
}
