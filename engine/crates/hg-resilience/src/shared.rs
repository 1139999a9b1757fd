//! The word of an endpoint that all workers read, and the number that tells them to look again.

use crate::{Event, Outlier, State};
use std::sync::atomic::{AtomicU64, Ordering};

/// The state of one endpoint, shared by workers and the thread that watches. It has a cache line of
/// its own, which is written on changes alone.
#[derive(Debug)]
#[repr(align(64))]
pub struct Shared {
    word: AtomicU64,
}

/// One change of an endpoint's state: what events and logs report.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Change {
    /// The state before.
    pub before: State,
    /// The state after; it has reason and time.
    pub after: State,
}

impl Shared {
    /// Makes the word of an endpoint.
    pub fn new(state: State) -> Self {
        Self { word: AtomicU64::new(state.to_word()) }
    }

    /// Returns the present state: one load.
    pub fn load(&self) -> State {
        State::from_word(self.word.load(Ordering::Acquire))
    }

    /// Applies an event. Of several threads that apply the same event, exactly one gets the change;
    /// nothing is written if the event changes nothing.
    pub fn apply(&self, event: Event, now_ms: u64, start_weight: u16) -> Option<Change> {
        let step = |word| Some(State::from_word(word).step(event, now_ms, start_weight)?.to_word());
        let before = self.word.fetch_update(Ordering::AcqRel, Ordering::Acquire, step).ok()?;
        let before = State::from_word(before);
        Some(Change { before, after: before.step(event, now_ms, start_weight)? })
    }

    /// Claims the one request that probes the endpoint. Returns false if another one has it or no
    /// probe is due. The caller applies the result, whatever it is.
    #[must_use]
    pub fn claim_probe(&self, now_ms: u64) -> bool {
        self.load().outlier == Outlier::ProbeDue
            && self.apply(Event::ProbeTaken, now_ms, 0).is_some()
    }
}

/// A number per upstream that grows with every change of one of its endpoints. A worker compares
/// it before a pick, and makes its list of usable endpoints anew only when it moved.
#[derive(Debug, Default)]
#[repr(align(64))]
pub struct Epoch(AtomicU64);

impl Epoch {
    /// Returns the number: one load of a line that is rarely written.
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }

    /// Tells the workers that an endpoint changed; to be called after the change.
    pub fn advance(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FULL_WEIGHT, Reason};
    use std::sync::Barrier;

    fn shared(outlier: Outlier) -> Shared {
        Shared::new(State { outlier, ..State::added(false, 0, FULL_WEIGHT) })
    }

    /// Runs it on four threads at the same moment; returns how often it was true.
    fn race(run: impl Fn() -> bool + Sync) -> usize {
        let barrier = Barrier::new(4);
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..4)
                .map(|_| {
                    scope.spawn(|| {
                        barrier.wait();
                        run()
                    })
                })
                .collect();
            threads.into_iter().map(|t| t.join().unwrap()).filter(|won| *won).count()
        })
    }

    #[test]
    fn one_of_many_threads_makes_the_change() {
        let endpoint = shared(Outlier::In);
        let eject = Event::Eject(Reason::Consecutive5xx);
        assert_eq!(race(|| endpoint.apply(eject, 5, FULL_WEIGHT).is_some()), 1);
        assert_eq!(endpoint.load().outlier, Outlier::Ejected);
    }

    #[test]
    fn one_of_many_threads_gets_the_probe() {
        let endpoint = shared(Outlier::ProbeDue);
        assert_eq!(race(|| endpoint.claim_probe(5)), 1);
        assert!(!endpoint.claim_probe(6));
    }

    #[test]
    fn a_change_tells_both_states_and_what_changes_nothing_tells_none() {
        let endpoint = shared(Outlier::In);
        let before = endpoint.load();
        let change = endpoint.apply(Event::Eject(Reason::SuccessRate), 7, FULL_WEIGHT).unwrap();
        assert_eq!(change, Change { before, after: endpoint.load() });
        assert_eq!((change.after.reason, change.after.changed_ms), (Reason::SuccessRate, 7));
        assert_eq!(endpoint.apply(Event::Eject(Reason::SuccessRate), 8, FULL_WEIGHT), None);
        assert_eq!(endpoint.load(), change.after);
    }

    #[test]
    fn the_epoch_moves_with_each_change() {
        let epoch = Epoch::default();
        let before = epoch.get();
        epoch.advance();
        assert_ne!(epoch.get(), before);
        assert_eq!(size_of::<Shared>(), 64);
    }
}
