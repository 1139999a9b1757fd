//! Load shedding: when a worker has so much to do that it had better answer new requests at once.

/// Limits of one worker; 0 switches one off.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SheddingPolicy {
    /// Requests that wait for a place at an upstream.
    pub queued: u64,
    /// How long a turn of the worker's loop takes.
    pub lag_us: u64,
}

/// What there is too much of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overload {
    /// Memory of the process.
    Memory,
    /// Requests that wait.
    Queue,
    /// Work in each turn of the loop.
    Lag,
}

/// An overload ends below so many percent of the limit that began it.
const END_PERCENT: u64 = 80;
/// After so long without a turn the last ones say nothing any more.
const STALE_US: u64 = 1_000_000;
/// How often an overload is told at most.
const TELL_US: u64 = 10_000_000;

/// What a worker knows of its load.
#[derive(Clone, Copy, Debug, Default)]
pub struct Shedder {
    /// How long turns take, smoothed: one long turn is no overload.
    lag_us: u64,
    turned_us: u64,
    is_full: bool,
    is_late: bool,
    told_us: Option<u64>,
}

impl Shedder {
    /// Takes in a turn of the loop: when it ended, how long it took, and how many requests wait.
    pub fn turn(&mut self, ended_us: u64, took_us: u64, queued: u64, policy: &SheddingPolicy) {
        if self.is_stale(ended_us) {
            self.lag_us = 0;
        }
        self.turned_us = ended_us;
        // A quarter of the way to the new value; rounded so that it reaches zero.
        self.lag_us = self.lag_us - self.lag_us.div_ceil(4) + took_us / 4;
        self.is_full = is_over(self.is_full, queued, policy.queued);
        self.is_late = is_over(self.is_late, self.lag_us, policy.lag_us);
    }

    /// Returns what there is too much of now; `memory` says so of the process.
    pub fn overload(&self, now_us: u64, memory: bool) -> Option<Overload> {
        let late = self.is_late && !self.is_stale(now_us);
        let causes =
            [(memory, Overload::Memory), (self.is_full, Overload::Queue), (late, Overload::Lag)];
        causes.into_iter().find(|(is, _)| *is).map(|(_, cause)| cause)
    }

    /// Reports whether it is time to tell of an overload, and notes that.
    pub fn tells(&mut self, now_us: u64) -> bool {
        let tells = self.told_us.is_none_or(|told| now_us.saturating_sub(told) >= TELL_US);
        if tells {
            self.told_us = Some(now_us);
        }
        tells
    }

    fn is_stale(&self, now_us: u64) -> bool {
        now_us.saturating_sub(self.turned_us) > STALE_US
    }
}

/// Reports whether a load is over its limit, or was and is not far enough below; a limit of 0 is
/// none.
pub fn is_over(was: bool, load: u64, limit: u64) -> bool {
    let bar = if was { limit.saturating_mul(END_PERCENT) / 100 } else { limit };
    limit > 0 && load >= bar
}

#[cfg(test)]
mod tests {
    use super::*;

    const POLICY: SheddingPolicy = SheddingPolicy { queued: 100, lag_us: 100 };

    #[test]
    fn a_load_is_over_from_its_limit_on_until_it_is_well_below() {
        for (was, load, limit, is) in [
            (false, 99, 100, false),
            (false, 100, 100, true),
            (true, 80, 100, true),
            (true, 79, 100, false),
            (true, u64::MAX, 0, false),
            (false, u64::MAX, u64::MAX, true),
        ] {
            assert_eq!(is_over(was, load, limit), is, "{was} {load} {limit}");
        }
    }

    #[test]
    fn one_long_turn_is_no_overload_and_several_are() {
        let mut shedder = Shedder::default();
        for (n, overload) in [None, None, Some(Overload::Lag)].into_iter().enumerate() {
            shedder.turn(n as u64, 200, 0, &POLICY);
            assert_eq!(shedder.overload(n as u64, false), overload, "{n}");
        }
        for n in 0..20 {
            shedder.turn(n, 0, 0, &POLICY);
        }
        assert_eq!(shedder.overload(20, false), None);
    }

    #[test]
    fn long_turns_are_forgotten_when_the_worker_was_idle() {
        let mut shedder = Shedder::default();
        (0..9).for_each(|n| shedder.turn(n, 10_000, 0, &POLICY));
        assert_eq!(shedder.overload(STALE_US, false), Some(Overload::Lag));
        assert_eq!(shedder.overload(STALE_US + 9, false), None);
        shedder.turn(STALE_US + 10, 10, 0, &POLICY);
        assert_eq!(shedder.overload(STALE_US + 10, false), None);
    }

    #[test]
    fn what_waits_and_memory_count_at_once_and_off_is_off() {
        let mut shedder = Shedder::default();
        shedder.turn(0, 0, 100, &POLICY);
        assert_eq!(shedder.overload(u64::MAX, false), Some(Overload::Queue), "they still wait");
        assert_eq!(shedder.overload(0, true), Some(Overload::Memory));
        shedder.turn(1, u64::MAX, u64::MAX, &SheddingPolicy::default());
        assert_eq!(shedder.overload(1, false), None);
    }

    #[test]
    fn an_overload_is_told_now_and_then() {
        let mut shedder = Shedder::default();
        let told: Vec<u64> = [0, 1, TELL_US - 1, TELL_US, TELL_US + 1]
            .into_iter()
            .filter(|t| shedder.tells(*t))
            .collect();
        assert_eq!(told, [0, TELL_US]);
    }
}
