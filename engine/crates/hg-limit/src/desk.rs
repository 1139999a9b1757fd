//! The desk where workers leave what they admitted, for the thread that tells the store.

use crate::Key;
use crate::common::Common;
use crate::flights::Permit;
use crossbeam_queue::ArrayQueue;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering, fence};
use std::sync::{Arc, OnceLock};

/// Most reports that wait; further requests are refused, so that the bound of a limit holds.
const REPORTS: usize = 65_536;

/// An admission that the store does not know yet. As long as it exists, it counts as unsaid.
#[derive(Debug)]
pub struct Report {
    pub(crate) limit: Arc<Common>,
    pub(crate) key: Key,
    pub(crate) common: Key,
    pub(crate) cost: u32,
    pub(crate) burst: u32,
    pub(crate) permit: Option<Permit>,
}

impl Report {
    /// Returns the limit.
    pub fn limit(&self) -> &Arc<Common> {
        &self.limit
    }

    /// Returns the key as every node hashes it.
    pub fn common(&self) -> Key {
        self.common
    }

    /// Returns the key as this process hashes it.
    pub fn key(&self) -> Key {
        self.key
    }

    /// Returns what was admitted.
    pub fn cost(&self) -> u32 {
        self.cost
    }

    /// Returns the burst of the limit.
    pub fn burst(&self) -> u32 {
        self.burst
    }
}

impl Drop for Report {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.limit.said(permit);
        }
    }
}

type Wake = Box<dyn Fn() + Send + Sync>;

/// The store's side of all limits of a process that several nodes share. Until it was opened, the
/// store is away.
#[derive(Default)]
pub struct Desk {
    reports: OnceLock<ArrayQueue<Report>>,
    wake: OnceLock<Wake>,
    is_asleep: AtomicBool,
    is_ready: AtomicBool,
    /// 0 = not told yet, which counts as 1.
    nodes: AtomicU32,
}

impl fmt::Debug for Desk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Desk").field("is_ready", &self.is_ready).finish_non_exhaustive()
    }
}

impl Desk {
    /// Makes room for reports; `wake` is called when one comes while the thread sleeps. The first
    /// call counts.
    pub fn open(&self, wake: Wake) {
        self.reports.get_or_init(|| ArrayQueue::new(REPORTS));
        self.wake.get_or_init(|| wake);
    }

    /// Says how many nodes share the limits: 1 or more.
    pub fn set_nodes(&self, nodes: u32) {
        self.nodes.store(nodes, Ordering::Relaxed);
    }

    /// Returns how many nodes share the limits.
    pub fn nodes(&self) -> u32 {
        self.nodes.load(Ordering::Relaxed).max(1)
    }

    /// Says whether the store counts.
    pub fn set_ready(&self, is_ready: bool) {
        self.is_ready.store(is_ready, Ordering::Release);
    }

    /// Reports whether the store counts.
    pub fn is_ready(&self) -> bool {
        self.is_ready.load(Ordering::Acquire)
    }

    /// Leaves a report.
    ///
    /// # Errors
    /// Gives it back if there is no room.
    pub(crate) fn leave(&self, report: Report) -> Result<(), Report> {
        let Some(reports) = self.reports.get() else { return Err(report) };
        reports.push(report)?;
        fence(Ordering::SeqCst);
        if self.is_asleep.load(Ordering::Relaxed)
            && self.is_asleep.swap(false, Ordering::Relaxed)
            && let Some(wake) = self.wake.get()
        {
            wake();
        }
        Ok(())
    }

    /// Takes the oldest report.
    pub fn take(&self) -> Option<Report> {
        self.reports.get()?.pop()
    }

    /// Says that the thread is about to sleep; returns false if there is something to do.
    pub fn may_sleep(&self) -> bool {
        self.is_asleep.store(true, Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let is_empty = self.reports.get().is_none_or(ArrayQueue::is_empty);
        if !is_empty {
            self.woke();
        }
        is_empty
    }

    /// Says that the thread sleeps no longer.
    pub fn woke(&self) {
        self.is_asleep.store(false, Ordering::Relaxed);
    }
}
