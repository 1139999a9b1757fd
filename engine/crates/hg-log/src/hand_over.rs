//! From workers to the sink's thread: filled buffers in one direction, empty ones back.

use crate::clock::TimeCache;
use crate::record::AccessRecord;
use crate::{format_combined, format_json};
use crossbeam_queue::ArrayQueue;
use hg_plan::LogFormat;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::thread::Thread;

/// Size of one buffer.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// A worker hands a buffer over when less than this is free, so that a usual line never grows it.
const SPARE_BYTES: usize = 4 * 1024;
/// Least number of buffers in total.
const MIN_BUFFERS: usize = 64;
/// Buffers per worker, when there are many workers.
const BUFFERS_PER_WORKER: usize = 4;

/// Counts of the lines so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LogStats {
    /// Lines written.
    pub lines: u64,
    /// Lines lost, because no buffer was free or the sink failed.
    pub dropped: u64,
    /// Bytes written.
    pub bytes: u64,
    /// Writes (or attempts to open) that failed.
    pub write_errors: u64,
}

/// Formatted lines for the sink.
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
    /// The mode under which they were formatted.
    pub(crate) mode: Mode,
}

/// Which lines to make, and under which configuration; one word that workers read for each record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mode(u64);

impl Mode {
    /// Makes the mode of the configuration numbered `epoch`.
    pub(crate) fn new(epoch: u64, format: Option<LogFormat>) -> Self {
        let format = match format {
            None => 0,
            Some(LogFormat::Json) => 1,
            Some(LogFormat::Combined) => 2,
        };
        Self(epoch << 2 | format)
    }

    /// Returns the number of the configuration, which grows by one with each.
    pub(crate) fn epoch(self) -> u64 {
        self.0 >> 2
    }

    fn format(self) -> Option<LogFormat> {
        match self.0 & 3 {
            1 => Some(LogFormat::Json),
            2 => Some(LogFormat::Combined),
            _ => None,
        }
    }
}

/// What workers and the sink's thread share.
pub(crate) struct Shared {
    pub(crate) full: ArrayQueue<Filled>,
    free: ArrayQueue<Vec<u8>>,
    allocated: AtomicUsize,
    mode: AtomicU64,
    pub(crate) reopen: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) lines: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) write_errors: AtomicU64,
}

impl Shared {
    pub(crate) fn new(workers: usize, mode: Mode) -> Self {
        let buffers = MIN_BUFFERS.max(workers.saturating_mul(BUFFERS_PER_WORKER));
        Self {
            full: ArrayQueue::new(buffers),
            free: ArrayQueue::new(buffers),
            allocated: AtomicUsize::new(0),
            mode: AtomicU64::new(mode.0),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lines: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
        }
    }

    pub(crate) fn stats(&self) -> LogStats {
        LogStats {
            lines: self.lines.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            write_errors: self.write_errors.load(Ordering::Relaxed),
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode.0, Ordering::Release);
    }

    fn mode(&self) -> Mode {
        Mode(self.mode.load(Ordering::Acquire))
    }

    /// Returns an empty buffer, unless all are in use.
    fn take(&self) -> Option<Vec<u8>> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        let more = |n: usize| (n < self.free.capacity()).then_some(n + 1);
        self.allocated.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Vec::with_capacity(BUFFER_BYTES))
    }

    /// Takes a buffer back.
    pub(crate) fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES);
        // There is room for as many buffers as exist.
        let _ = self.free.push(buffer);
    }
}

/// A worker's end: formats records and hands them over. Never waits.
pub struct LogWriter {
    shared: Arc<Shared>,
    sink: Thread,
    /// Without capacity while the writer has no buffer.
    buffer: Vec<u8>,
    lines: u64,
    mode: Mode,
    time: TimeCache,
}

impl LogWriter {
    pub(crate) fn new(shared: Arc<Shared>, sink: Thread) -> Self {
        let mode = shared.mode();
        Self { shared, sink, buffer: Vec::new(), lines: 0, mode, time: TimeCache::new() }
    }

    /// Reports whether records are wanted at all; if not, there is no need to make one.
    pub fn is_on(&self) -> bool {
        self.shared.mode().format().is_some()
    }

    /// Formats a record into the worker's buffer, and hands the buffer over when it is full. If no
    /// buffer is free, drops and counts the line.
    pub fn write(&mut self, record: &AccessRecord<'_>) {
        let mode = self.shared.mode();
        if mode != self.mode {
            self.flush();
            self.mode = mode;
        }
        let Some(format) = mode.format() else { return };
        if self.buffer.capacity() == 0 {
            match self.shared.take() {
                Some(buffer) => self.buffer = buffer,
                None => {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        match format {
            LogFormat::Json => format_json(record, &mut self.time, &mut self.buffer),
            LogFormat::Combined => format_combined(record, &mut self.time, &mut self.buffer),
        }
        self.lines += 1;
        if self.buffer.len() > BUFFER_BYTES - SPARE_BYTES {
            self.flush();
        }
    }

    /// Hands over the lines in the buffer. The worker's timer calls it at least every 200 ms, so
    /// that lines appear soon. Costs a comparison if there are none.
    pub fn flush(&mut self) {
        if self.lines == 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.buffer);
        let lines = std::mem::take(&mut self.lines);
        // There is room for as many buffers as exist; if it were full, the lines would be counted.
        if let Err(back) = self.shared.full.push(Filled { bytes, lines, mode: self.mode }) {
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
            self.shared.give_back(back.bytes);
        }
        // This is a system call only if the thread sleeps.
        self.sink.unpark();
    }
}

impl Drop for LogWriter {
    fn drop(&mut self) {
        self.flush();
    }
}

#[cfg(test)]
#[path = "hand_over_tests.rs"]
mod tests;
