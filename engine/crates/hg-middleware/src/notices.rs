//! The notices of steps for the events of a node: rare, and bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Most notices that wait; the oldest ones go.
const MOST: usize = 64;

/// Something that a step found, for the events of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// A dotted kind: `jwt.unknown_key`.
    pub kind: &'static str,
    /// A sentence; nothing of it comes from a client.
    pub message: String,
}

/// The notices of all steps of a process that nobody has taken yet.
#[derive(Debug, Default)]
pub struct Notices(Mutex<VecDeque<Notice>>);

impl Notices {
    pub(crate) fn add(&self, kind: &'static str, message: String) {
        let mut waiting = self.lock();
        if waiting.len() >= MOST {
            waiting.pop_front();
        }
        waiting.push_back(Notice { kind, message });
    }

    /// Returns them, the oldest first; then there is none.
    pub fn take(&self) -> Vec<Notice> {
        self.lock().drain(..).collect()
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Notice>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets one through, and the next one only after a time, whatever clients do.
#[derive(Debug, Default)]
pub(crate) struct Pause(AtomicU64);

impl Pause {
    /// Reports whether nothing passed for `pause_us` microseconds before `now_us`; then it passes.
    pub(crate) fn passes(&self, now_us: u64, pause_us: u64) -> bool {
        let after = self.0.load(Relaxed);
        // 0 = nothing has passed yet.
        now_us >= after
            && self
                .0
                .compare_exchange(after, now_us.saturating_add(pause_us), Relaxed, Relaxed)
                .is_ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_go_and_all_are_told_once() {
        let notices = Notices::default();
        for number in 0..=MOST {
            notices.add("a.b", number.to_string());
        }
        let told = notices.take();
        assert_eq!(told.len(), MOST);
        assert_eq!(told.first().map(|one| one.message.as_str()), Some("1"));
        assert!(notices.take().is_empty());
    }

    #[test]
    fn one_passes_in_a_time() {
        let pause = Pause::default();
        let passed: Vec<u64> = (5..40).filter(|now| pause.passes(*now, 10)).collect();
        assert_eq!(passed, [5, 15, 25, 35]);
    }
}
