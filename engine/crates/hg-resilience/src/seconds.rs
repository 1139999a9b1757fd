//! A ring of seconds: what happened in the last ones, which expires by itself.

/// The counts of each of the last `N` seconds. A clock that runs backwards counts as one that
/// stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Seconds<T, const N: usize> {
    /// By second modulo the length.
    ring: [T; N],
    /// The second that was written last.
    at_s: u64,
}

impl<T: Copy + Default, const N: usize> Default for Seconds<T, N> {
    fn default() -> Self {
        Self { ring: [T::default(); N], at_s: 0 }
    }
}

impl<T: Copy + Default, const N: usize> Seconds<T, N> {
    /// Returns the present second.
    pub(crate) fn present(&mut self, now_ms: u64) -> Option<&mut T> {
        self.advance(now_ms);
        self.ring.get_mut(slot::<N>(self.at_s))
    }

    /// Returns the last `seconds`, the present one included; at most `N`.
    pub(crate) fn last(&mut self, now_ms: u64, seconds: u64) -> impl Iterator<Item = &T> {
        self.advance(now_ms);
        let oldest = (self.at_s + 1).saturating_sub(seconds.min(N as u64));
        (oldest..=self.at_s).filter_map(|second| self.ring.get(slot::<N>(second)))
    }

    /// Empties the seconds that passed since the last call.
    fn advance(&mut self, now_ms: u64) {
        let now_s = (now_ms / 1_000).max(self.at_s);
        let passed = (now_s - self.at_s).min(N as u64);
        for second in now_s - passed..now_s {
            if let Some(counts) = self.ring.get_mut(slot::<N>(second + 1)) {
                *counts = T::default();
            }
        }
        self.at_s = now_s;
    }
}

fn slot<const N: usize>(second: u64) -> usize {
    (second % N as u64) as usize
}
