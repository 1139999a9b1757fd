//! Requests that wait for a place at an upstream that leaves the plan.

use super::Worker;
use super::exchange::{ExId, Stage};
use super::upstreams::Upstreams;
use crate::snapshot::Snapshot;

impl Upstreams {
    /// Takes the requests that wait at upstreams which the changed slots of a snapshot no longer have.
    pub(super) fn take_stranded(&mut self, snapshot: &Snapshot, changed: &[usize]) -> Vec<ExId> {
        let mut stranded = Vec::new();
        for &slot in changed {
            let now = snapshot.upstreams.get(slot).and_then(Option::as_ref);
            let old = self.get_mut(slot);
            if let Some(old) = old.filter(|old| now.is_none_or(|now| now.name != old.entry.name)) {
                stranded.extend(old.waiting.drain(..));
                old.counters.waiting.set(0);
            }
        }
        stranded
    }
}

impl Worker {
    /// Answers requests that nobody will give a place.
    pub(super) fn end_stranded(&mut self, stranded: Vec<ExId>) {
        for x in stranded {
            if let Some(e) = self.exchanges.get_mut(x)
                && e.stage == Stage::Queued
                && !e.answered
            {
                e.stage = Stage::Connecting;
                self.dispatch(x);
            }
        }
    }
}
