//! The wait before a retry.

use crate::random::below;

/// Exponential back-off with full jitter: a wait is drawn evenly from nothing to a limit that grows
/// with each try (Brooker, "Exponential Backoff And Jitter", 2015).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The longest wait before the first retry.
    pub base_ms: u64,
    /// The length of each further one, in hundredths of the one before; at least 100.
    pub factor_percent: u32,
    /// The longest wait at all.
    pub max_ms: u64,
    /// Draws the wait; without it the longest one is taken.
    pub jitter: bool,
}

/// The longest `Retry-After` that counts.
const MAX_RETRY_AFTER_MS: u64 = 300_000;

impl Default for Backoff {
    fn default() -> Self {
        Self { base_ms: 25, factor_percent: 200, max_ms: 250, jitter: true }
    }
}

impl Backoff {
    /// Returns the wait before a retry, the first one having number 0. What the endpoint asked for
    /// with `Retry-After` is never cut short; up to half of it is added, so that its clients do not
    /// all come back at once.
    pub fn wait_ms(&self, retry: u32, retry_after_ms: Option<u64>, random: u64) -> u64 {
        let limit = self.limit_ms(retry);
        let own = if self.jitter { below(random, limit.saturating_add(1)) } else { limit };
        let Some(asked) = retry_after_ms else {
            return own;
        };
        let asked = asked.min(MAX_RETRY_AFTER_MS);
        own.max(asked + below(random, asked / 2))
    }

    /// Returns the longest wait before a retry.
    fn limit_ms(&self, retry: u32) -> u64 {
        let factor = u128::from(self.factor_percent.max(100));
        let mut limit = u128::from(self.base_ms);
        for _ in 0..retry.min(64) {
            limit = limit * factor / 100;
            if limit >= u128::from(self.max_ms) {
                break;
            }
        }
        u64::try_from(limit).unwrap_or(u64::MAX).min(self.max_ms)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn limits_double_up_to_the_longest() {
        let backoff = Backoff { base_ms: 100, max_ms: 1_000, jitter: false, ..Backoff::default() };
        let waits: Vec<_> = (0..6).map(|n| backoff.wait_ms(n, None, 7)).collect();
        assert_eq!(waits, [100, 200, 400, 800, 1_000, 1_000]);
        let flat = Backoff { factor_percent: 0, ..backoff };
        assert_eq!(flat.wait_ms(u32::MAX, None, 0), 100, "it never shrinks");
        let huge = Backoff { base_ms: u64::MAX, max_ms: u64::MAX, ..backoff };
        assert_eq!(huge.wait_ms(u32::MAX, None, 0), u64::MAX);
    }

    #[test]
    fn jitter_goes_from_nothing_to_the_limit() {
        let backoff = Backoff { base_ms: 100, max_ms: 1_000, ..Backoff::default() };
        assert_eq!(backoff.wait_ms(0, None, 0), 0);
        assert_eq!(backoff.wait_ms(0, None, u64::MAX), 100);
    }

    #[test]
    fn a_short_retry_after_does_not_shorten_the_back_off() {
        let backoff = Backoff { base_ms: 100, max_ms: 1_000, jitter: false, ..Backoff::default() };
        assert_eq!(backoff.wait_ms(2, Some(1), 0), 400);
    }

    proptest! {
        #[test]
        fn what_the_endpoint_asked_for_is_honoured(
            asked in 0u64..1_000_000, retry in 0u32..9, random: u64,
        ) {
            let wait = Backoff::default().wait_ms(retry, Some(asked), random);
            let counted = asked.min(300_000);
            prop_assert!(wait >= counted && wait <= (counted + counted / 2).max(250));
        }

        #[test]
        fn no_wait_is_longer_than_the_limit(retry: u32, random: u64, base_ms: u64, max_ms: u64) {
            let backoff = Backoff { base_ms, max_ms, ..Backoff::default() };
            prop_assert!(backoff.wait_ms(retry, None, random) <= max_ms);
        }
    }
}
