//! Taps: people who watch requests as they end. Each tap has a filter and a bounded queue of lines,
//! which workers fill from the records of the log and one reader empties. Nobody waits: a line that
//! finds no room is counted and lost.

use crate::clock::TimeCache;
use crate::escape::push_json;
use crate::json::format_json;
use crate::record::{AccessRecord, MAX_VALUE_BYTES};
use crate::tap_filter::TapFilter;
use crossbeam_queue::ArrayQueue;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Most taps at once.
pub const MAX_TAPS: usize = 8;
/// Most lines that wait for one reader.
const MAX_LINES: usize = 1024;
/// A line is lost if so many bytes wait already.
const MAX_BYTES: usize = 1024 * 1024;
/// No line of a header is kept beyond so many bytes.
const MAX_HEADER_BYTES: usize = 16 * 1024;
/// Bits of [`Taps::state`]: a tap is open, and one of them wants headers.
const OPEN: u64 = 1;
const HEADERS: u64 = 2;
/// Bits below the number of changes.
const FLAG_BITS: u32 = 2;

/// The parts of a request that taps want.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapWants {
    /// Its record: a tap is open.
    pub record: bool,
    /// The lines of its head, too.
    pub headers: bool,
}

/// Figures of all taps.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TapStats {
    /// Taps that are open.
    pub open: u64,
    /// Lines queued for their readers.
    pub lines: u64,
    /// Lines lost, because a reader was slow.
    pub dropped: u64,
}

/// The taps of a process; workers and readers share them.
#[derive(Debug, Default)]
pub struct Taps {
    /// Flags, and how often the taps have changed; one word that workers read for each request.
    state: AtomicU64,
    open: Mutex<Arc<[Arc<Tap>]>>,
    lines: AtomicU64,
    dropped: AtomicU64,
}

#[derive(Debug)]
struct Tap {
    filter: TapFilter,
    lines: ArrayQueue<Vec<u8>>,
    /// Bytes that wait; above the most once the reader is gone.
    bytes: AtomicUsize,
    /// Lines lost since the reader last asked.
    lost: AtomicU64,
}

impl Taps {
    /// Opens a tap: shows the requests that begin from now on, as they end; `None` if [`MAX_TAPS`] are open.
    pub fn open(self: &Arc<Self>, filter: TapFilter) -> Option<TapReader> {
        let mut open = self.lock();
        if open.len() >= MAX_TAPS {
            return None;
        }
        let (lines, bytes, lost) =
            (ArrayQueue::new(MAX_LINES), AtomicUsize::new(0), AtomicU64::new(0));
        let tap = Arc::new(Tap { filter, lines, bytes, lost });
        *open = open.iter().cloned().chain([tap.clone()]).collect();
        self.publish(&open);
        Some(TapReader { taps: self.clone(), tap })
    }

    /// Returns the figures since the start.
    pub fn stats(&self) -> TapStats {
        TapStats {
            open: self.lock().len() as u64,
            lines: self.lines.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
        }
    }

    fn close(&self, tap: &Arc<Tap>) {
        let mut open = self.lock();
        *open = open.iter().filter(|one| !Arc::ptr_eq(one, tap)).cloned().collect();
        self.publish(&open);
    }

    /// Tells workers of a change, under the lock.
    fn publish(&self, open: &[Arc<Tap>]) {
        let changes = (self.state.load(Ordering::Relaxed) >> FLAG_BITS) + 1;
        let is_open = if open.is_empty() { 0 } else { OPEN };
        let headers = if open.iter().any(|tap| tap.filter.headers) { HEADERS } else { 0 };
        self.state.store(changes << FLAG_BITS | headers | is_open, Ordering::Release);
    }

    fn lock(&self) -> MutexGuard<'_, Arc<[Arc<Tap>]>> {
        self.open.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tap {
    fn has_room(&self) -> bool {
        self.bytes.load(Ordering::Relaxed) < MAX_BYTES && !self.lines.is_full()
    }

    /// Queues a line; returns false if it is lost.
    fn offer(&self, line: Vec<u8>) -> bool {
        let size = line.len();
        self.bytes.fetch_add(size, Ordering::Relaxed);
        let is_queued = self.lines.push(line).is_ok();
        if !is_queued {
            self.bytes.fetch_sub(size, Ordering::Relaxed);
        }
        is_queued
    }
}

/// The reader of one tap, which ends with it.
#[derive(Debug)]
pub struct TapReader {
    taps: Arc<Taps>,
    tap: Arc<Tap>,
}

impl TapReader {
    /// Appends the lines that wait, until `out` has `most` bytes or more. Returns how many lines were
    /// lost since the last call.
    pub fn take(&self, most: usize, out: &mut Vec<u8>) -> u64 {
        while out.len() < most {
            let Some(line) = self.tap.lines.pop() else { break };
            self.tap.bytes.fetch_sub(line.len(), Ordering::Relaxed);
            out.extend_from_slice(&line);
        }
        self.tap.lost.swap(0, Ordering::Relaxed)
    }
}

impl Drop for TapReader {
    fn drop(&mut self) {
        self.taps.close(&self.tap);
        // A worker learns of the end with the next request that is shown to anybody. Until then it
        // finds no room, and the tap holds nothing.
        self.tap.bytes.fetch_add(MAX_BYTES, Ordering::Relaxed);
        while self.tap.lines.pop().is_some() {}
    }
}

/// A worker's end: shows records to the taps that want them. Never waits.
pub(crate) struct TapWriter {
    taps: Arc<Taps>,
    /// The state under which `open` was read.
    seen: u64,
    open: Arc<[Arc<Tap>]>,
    /// The line without headers.
    line: Vec<u8>,
}

impl TapWriter {
    pub(crate) fn new(taps: Arc<Taps>) -> Self {
        Self { taps, seen: 0, open: Arc::default(), line: Vec::new() }
    }

    /// Returns what taps want of a request that begins now; costs one load.
    pub(crate) fn wants(&self) -> TapWants {
        let state = self.taps.state.load(Ordering::Relaxed);
        TapWants { record: state & OPEN != 0, headers: state & HEADERS != 0 }
    }

    /// Shows a record; `headers` come from [`push_headers`].
    pub(crate) fn show(&mut self, record: &AccessRecord<'_>, headers: &[u8], time: &mut TimeCache) {
        self.refresh();
        self.line.clear();
        for tap in self.open.iter().filter(|tap| tap.filter.wants(record)) {
            if !tap.has_room() {
                self.lose(tap);
                continue;
            }
            if self.line.is_empty() {
                format_json(record, time, &mut self.line);
            }
            let headers = if tap.filter.headers { headers } else { b"" };
            if tap.offer(with_headers(&self.line, headers)) {
                self.taps.lines.fetch_add(1, Ordering::Relaxed);
            } else {
                self.lose(tap);
            }
        }
    }

    fn lose(&self, tap: &Tap) {
        tap.lost.fetch_add(1, Ordering::Relaxed);
        self.taps.dropped.fetch_add(1, Ordering::Relaxed);
    }

    /// Reads the taps anew if they have changed; while somebody changes them, with the next record.
    fn refresh(&mut self) {
        let state = self.taps.state.load(Ordering::Acquire);
        if state != self.seen
            && let Ok(open) = self.taps.open.try_lock()
        {
            self.open = open.clone();
            self.seen = state;
        }
    }
}

/// Returns a line with headers as its last key.
fn with_headers(line: &[u8], headers: &[u8]) -> Vec<u8> {
    const KEY: &[u8] = b",\"headers\":[";
    let mut whole = Vec::with_capacity(line.len() + headers.len() + KEY.len() + 1);
    match line.strip_suffix(b"}\n") {
        Some(object) if !headers.is_empty() => {
            for part in [object, KEY, headers, b"]}\n"] {
                whole.extend_from_slice(part);
            }
        }
        _ => whole.extend_from_slice(line),
    }
    whole
}

/// Appends header lines as `["name","value"]`, names in lower case, values cut like those of the log;
/// ends after 16 KiB. Redacts nothing.
pub fn push_headers<'a>(lines: impl Iterator<Item = (&'a str, &'a [u8])>, out: &mut Vec<u8>) {
    for (name, value) in lines {
        if out.len() >= MAX_HEADER_BYTES {
            return;
        }
        let first: &[u8] = if out.is_empty() { b"[\"" } else { b",[\"" };
        out.extend_from_slice(first);
        let at = out.len();
        push_json(name.as_bytes(), MAX_VALUE_BYTES, out);
        out.get_mut(at..).unwrap_or_default().make_ascii_lowercase();
        out.extend_from_slice(b"\",\"");
        push_json(value, MAX_VALUE_BYTES, out);
        out.extend_from_slice(b"\"]");
    }
}

#[cfg(test)]
#[path = "tap_tests.rs"]
mod tests;
