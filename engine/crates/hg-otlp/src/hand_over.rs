//! From workers to the exporter's thread: filled buffers in one direction, empty ones back.

use crate::buffers::{BUFFER_BYTES, Buffers};
use hg_dial::{Reason, Reasons};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Thread;

/// A worker hands a buffer over when less than this is free, so that a usual item never grows it.
const SPARE_BYTES: usize = 8 * 1024;

/// Counts of items so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ExportStats {
    /// Items that the collector took.
    pub exported: u64,
    /// Items lost because workers made more than were sent.
    pub queue_full: u64,
    /// Items lost because the collector could not be reached, or wanted none, for a minute.
    pub unreachable: u64,
    /// Items that the collector refused.
    pub refused: u64,
    /// Exports that failed, those that were tried again included, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// True if the last export failed.
    pub is_failing: bool,
}

/// Items for the exporter.
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) items: u64,
}

/// The state that workers and the exporter's thread share.
pub(crate) struct Shared {
    pub(crate) buffers: Buffers<Filled>,
    pub(crate) stop: AtomicBool,
    pub(crate) has_ended: AtomicBool,
    pub(crate) exported: AtomicU64,
    pub(crate) queue_full: AtomicU64,
    pub(crate) unreachable: AtomicU64,
    pub(crate) refused: AtomicU64,
    pub(crate) failures: Reasons,
    pub(crate) is_failing: AtomicBool,
}

impl Shared {
    pub(crate) fn new(workers: usize) -> Self {
        Self {
            buffers: Buffers::new(workers),
            stop: AtomicBool::new(false),
            has_ended: AtomicBool::new(false),
            exported: AtomicU64::new(0),
            queue_full: AtomicU64::new(0),
            unreachable: AtomicU64::new(0),
            refused: AtomicU64::new(0),
            failures: Reasons::default(),
            is_failing: AtomicBool::new(false),
        }
    }

    pub(crate) fn stats(&self) -> ExportStats {
        ExportStats {
            exported: self.exported.load(Relaxed),
            queue_full: self.queue_full.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failures: self.failures.counts(),
            is_failing: self.is_failing.load(Relaxed),
        }
    }
}

/// A worker's end: writes items and hands them over. Never waits.
pub struct ExportWriter {
    shared: Arc<Shared>,
    exporter: Thread,
    /// Without capacity while the writer has no buffer.
    buffer: Vec<u8>,
    items: u64,
}

impl ExportWriter {
    pub(crate) fn new(shared: Arc<Shared>, exporter: Thread) -> Self {
        Self { shared, exporter, buffer: Vec::new(), items: 0 }
    }

    /// Has an item written into the worker's buffer, with its tag as field 2 of its scope, and hands
    /// the buffer over when it is full. If no buffer is free, drops and counts the item.
    pub fn append(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        if self.buffer.capacity() == 0 {
            match self.shared.buffers.take() {
                Some(buffer) => self.buffer = buffer,
                None => return self.lose(1),
            }
        }
        write(&mut self.buffer);
        self.items += 1;
        if self.buffer.len() > BUFFER_BYTES - SPARE_BYTES {
            self.flush();
        }
    }

    fn lose(&self, items: u64) {
        self.shared.queue_full.fetch_add(items, Relaxed);
    }

    /// Hands over what is in the buffer. Costs a comparison if nothing is.
    pub fn flush(&mut self) {
        if self.items == 0 {
            return;
        }
        let filled = Filled {
            bytes: std::mem::take(&mut self.buffer),
            items: std::mem::take(&mut self.items),
        };
        // There is room for as many buffers as exist; if it were full, the items would be counted.
        if let Err(back) = self.shared.buffers.push(filled) {
            self.lose(back.items);
            self.shared.buffers.give_back(back.bytes);
        }
        self.exporter.unpark();
    }
}

impl Drop for ExportWriter {
    fn drop(&mut self) {
        self.flush();
    }
}
