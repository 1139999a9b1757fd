//! The counts that shares are made of: requests that ended, by what they say of their endpoint.
//! Workers add what they counted, the house thread takes it once a second.

use crate::counters::lock;
use hg_resilience::{Counts, Verdict, Window};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The time for which a worker counts for itself before it adds what it counted.
const TELL_MS: u64 = 200;

/// Requests that ended since the house thread last looked, of all workers.
#[derive(Default)]
#[repr(align(64))]
pub(crate) struct Tally {
    good: AtomicU32,
    failed: AtomicU32,
    slow: AtomicU32,
}

impl Tally {
    pub(crate) fn add(&self, counts: Counts) {
        for (sum, n) in
            [(&self.good, counts.good), (&self.failed, counts.failed), (&self.slow, counts.slow)]
        {
            if n > 0 {
                sum.fetch_add(n, Relaxed);
            }
        }
    }

    pub(crate) fn take(&self) -> Counts {
        let [good, failed, slow] =
            [&self.good, &self.failed, &self.slow].map(|count| count.swap(0, Relaxed));
        Counts { good, failed, slow }
    }
}

/// The requests of one endpoint in the last seconds.
#[derive(Default)]
pub(crate) struct Shares {
    pub(crate) tally: Tally,
    /// The house thread's.
    window: Mutex<Window>,
}

impl Shares {
    /// Returns what ended in the last seconds; nothing of an endpoint that is not `judged`, and
    /// nothing of what was before that ended.
    pub(crate) fn sum(&self, judged: bool, now_ms: u64, window_s: u64) -> Counts {
        let counts = self.tally.take();
        let mut window = lock(&self.window);
        if !judged {
            *window = Window::default();
            return Counts::default();
        }
        window.add(now_ms, counts);
        window.sum(now_ms, window_s)
    }

    /// Forgets what was, after a verdict.
    pub(crate) fn clear(&self) {
        *lock(&self.window) = Window::default();
    }
}

/// The counts of a worker for the endpoints of an upstream that it has not added yet.
#[derive(Default)]
pub(crate) struct Pending {
    counts: Vec<Counts>,
    told_ms: u64,
}

impl Pending {
    /// Counts a request that ended at an endpoint. Returns what all of them counted, by index, if it
    /// is time to add that.
    pub(crate) fn note(
        &mut self,
        at: usize,
        verdict: Verdict,
        now_ms: u64,
    ) -> Option<impl Iterator<Item = (usize, Counts)> + '_> {
        if self.counts.len() <= at {
            self.counts.resize(at.checked_add(1)?, Counts::default());
        }
        self.counts.get_mut(at)?.note(verdict);
        if now_ms.saturating_sub(self.told_ms) < TELL_MS {
            return None;
        }
        self.told_ms = now_ms;
        let counted = self.counts.iter_mut().map(std::mem::take).enumerate();
        Some(counted.filter(|(_, counts)| counts.total() > 0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(pending: &mut Pending, at: usize, verdict: Verdict, now_ms: u64) -> Vec<(usize, u32)> {
        let told = pending.note(at, verdict, now_ms).map(Iterator::collect::<Vec<_>>);
        told.unwrap_or_default().into_iter().map(|(at, c)| (at, 10 * c.good + c.failed)).collect()
    }

    #[test]
    fn a_worker_adds_what_it_counted_now_and_then() {
        let mut pending = Pending::default();
        assert_eq!(told(&mut pending, 1, Verdict::Good, 1_000), [(1, 10)], "the first at once");
        assert_eq!(told(&mut pending, 0, Verdict::Bad, 1_199), []);
        assert_eq!(told(&mut pending, 3, Verdict::Neutral, 1_199), []);
        assert_eq!(told(&mut pending, 1, Verdict::Throttled, 1_200), [(0, 1), (1, 1)]);
        assert_eq!(told(&mut pending, 2, Verdict::Neutral, 1_400), []);
    }

    #[test]
    fn what_an_endpoint_did_while_it_was_out_is_not_held_against_it() {
        let shares = Shares::default();
        let failed = Counts { failed: 3, ..Counts::default() };
        shares.tally.add(failed);
        assert_eq!(shares.sum(true, 10_000, 60), failed);
        shares.tally.add(failed);
        assert_eq!(shares.sum(false, 11_000, 60), Counts::default());
        assert_eq!(shares.sum(true, 12_000, 60), Counts::default());
        shares.tally.add(failed);
        assert_eq!(shares.sum(true, 13_000, 60), failed);
        shares.clear();
        assert_eq!(shares.sum(true, 13_000, 60), Counts::default());
    }
}
