//! Counts.

/// Converts a count, capped at the maximum of the field.
#[must_use]
pub fn to_proto(count: impl TryInto<i32>) -> i32 {
    count.try_into().unwrap_or(i32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn large_count_is_capped() {
        assert_eq!((to_proto(7_u64), to_proto(u64::MAX), to_proto(u32::MAX)), (7, i32::MAX, i32::MAX));
    }
}
