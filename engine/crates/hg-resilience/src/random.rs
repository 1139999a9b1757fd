//! Numbers made of 64 random bits that the caller passes in.

/// Returns a number below `bound`, or 0 if `bound` is 0; the bias is below `bound / 2^64`.
pub(crate) fn below(random: u64, bound: u64) -> u64 {
    ((u128::from(random) * u128::from(bound)) >> 64) as u64
}

/// Returns `value` changed by at most `percent` of it in either direction.
pub(crate) fn around(random: u64, value: u64, percent: u8) -> u64 {
    let reach = share(value, percent);
    value - reach + below(random, reach.saturating_mul(2).saturating_add(1))
}

/// Returns `percent` of `value`, at most all of it.
pub(crate) fn share(value: u64, percent: u8) -> u64 {
    (u128::from(value) * u128::from(percent.min(100)) / 100) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_stay_below_their_bound() {
        assert_eq!(below(u64::MAX, 0), 0);
        assert_eq!(below(u64::MAX, 1), 0);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX, u64::MAX), u64::MAX - 1);
    }

    #[test]
    fn a_value_is_spread_to_both_sides_by_the_percentage() {
        assert_eq!(around(0, 1_000, 10), 900);
        assert_eq!(around(u64::MAX, 1_000, 10), 1_100);
        assert_eq!(around(u64::MAX / 2, 1_000, 10), 1_000);
        assert_eq!(around(u64::MAX, 1_000, 0), 1_000);
        assert_eq!(around(0, 1_000, 200), 0, "at most all of it");
        assert_eq!(around(0, 0, 10), 0);
    }
}
