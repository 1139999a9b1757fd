//! From workers to the exporter's thread: filled buffers in one direction, empty ones back.

use crate::span::{self, Attributes, Span};
use hg_dial::{Reason, Reasons};
use hg_log::{BUFFER_BYTES, Buffers};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::thread::Thread;

/// A worker hands a buffer over when less than this is free, so that a usual span never grows it.
const SPARE_BYTES: usize = 8 * 1024;

/// Counts of spans so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TraceStats {
    /// Spans that the collector took.
    pub exported: u64,
    /// Spans lost because workers made more than were sent.
    pub queue_full: u64,
    /// Spans lost because the collector could not be reached, or wanted none, for a minute.
    pub unreachable: u64,
    /// Spans that the collector refused.
    pub refused: u64,
    /// Exports that failed, those that were tried again included, in the order of [`Reason::ALL`].
    pub failures: [u64; Reason::ALL.len()],
    /// Whether the last export failed.
    pub is_failing: bool,
}

/// Spans for the exporter.
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) spans: u64,
}

/// What workers and the exporter's thread share.
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

    pub(crate) fn stats(&self) -> TraceStats {
        TraceStats {
            exported: self.exported.load(Relaxed),
            queue_full: self.queue_full.load(Relaxed),
            unreachable: self.unreachable.load(Relaxed),
            refused: self.refused.load(Relaxed),
            failures: self.failures.counts(),
            is_failing: self.is_failing.load(Relaxed),
        }
    }
}

/// A worker's end: writes spans and hands them over. Never waits.
pub struct TraceWriter {
    shared: Arc<Shared>,
    exporter: Thread,
    /// Without capacity while the writer has no buffer.
    buffer: Vec<u8>,
    spans: u64,
}

impl TraceWriter {
    pub(crate) fn new(shared: Arc<Shared>, exporter: Thread) -> Self {
        Self { shared, exporter, buffer: Vec::new(), spans: 0 }
    }

    /// Writes a span into the worker's buffer, and hands the buffer over when it is full. If no
    /// buffer is free, drops and counts the span.
    pub fn write(&mut self, span: &Span<'_>, more: impl FnOnce(&mut Attributes<'_>)) {
        if self.buffer.capacity() == 0 {
            match self.shared.buffers.take() {
                Some(buffer) => self.buffer = buffer,
                None => return self.lose(1),
            }
        }
        span::write(&mut self.buffer, span, more);
        self.spans += 1;
        if self.buffer.len() > BUFFER_BYTES - SPARE_BYTES {
            self.flush();
        }
    }

    /// Counts spans that could not be made.
    pub fn lose(&self, spans: u64) {
        self.shared.queue_full.fetch_add(spans, Relaxed);
    }

    /// Hands over what is in the buffer. Costs a comparison if nothing is.
    pub fn flush(&mut self) {
        if self.spans == 0 {
            return;
        }
        let filled = Filled {
            bytes: std::mem::take(&mut self.buffer),
            spans: std::mem::take(&mut self.spans),
        };
        // There is room for as many buffers as exist; if it were full, the spans would be counted.
        if let Err(back) = self.shared.buffers.push(filled) {
            self.lose(back.spans);
            self.shared.buffers.give_back(back.bytes);
        }
        self.exporter.unpark();
    }
}

impl Drop for TraceWriter {
    fn drop(&mut self) {
        self.flush();
    }
}
