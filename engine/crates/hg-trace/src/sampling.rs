//! The choice of the traces that begin here and are recorded.

/// A share of traces, decided by the trace's id, so that every system that sees the trace and has
/// the same share decides alike (OpenTelemetry, "TraceState: Probability Sampling": the last 56 bits
/// of the id against a threshold for rejection).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sampling {
    rejected_below: u64,
}

const BITS: u32 = 56;
/// A whole, in millionths.
const ALL: u32 = 1_000_000;

impl Sampling {
    /// Takes a share in millionths; more than all is all.
    pub fn per_million(share: u32) -> Self {
        let rejected = u128::from(ALL.saturating_sub(share));
        let rejected_below = (rejected << BITS) / u128::from(ALL);
        Self { rejected_below: u64::try_from(rejected_below).unwrap_or(u64::MAX) }
    }

    /// Reports whether a trace that begins with this id is recorded.
    pub fn takes(self, trace_id: u128) -> bool {
        let random = trace_id as u64 & ((1 << BITS) - 1);
        random >= self.rejected_below
    }
}

#[cfg(test)]
mod tests {
    use super::Sampling;

    #[test]
    fn none_and_all() {
        for id in [1, u128::MAX, 1 << 56, (1 << 56) - 1] {
            assert!(!Sampling::per_million(0).takes(id), "{id}");
            assert!(Sampling::per_million(1_000_000).takes(id), "{id}");
            assert!(Sampling::per_million(2_000_000).takes(id), "{id}");
        }
    }

    #[test]
    fn a_share_of_random_ids() {
        let one_percent = Sampling::per_million(10_000);
        let mut state = 1u64;
        let taken = (0..100_000).filter(|_| {
            // Steele and Vigna's SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = state;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            one_percent.takes(u128::from(z ^ (z >> 31)))
        });
        let taken = taken.count();
        assert!((900..1_100).contains(&taken), "{taken}");
    }

    #[test]
    fn more_takes_all_that_less_takes() {
        let (less, more) = (Sampling::per_million(1_000), Sampling::per_million(200_000));
        for id in (0..1 << 20).map(|i: u128| i << 36) {
            assert!(!less.takes(id) || more.takes(id));
        }
    }
}
