//! From workers to the sink's thread: filled buffers in one direction, empty ones back.

use crate::buffers::{BUFFER_BYTES, Buffers};
use crate::clock::TimeCache;
use crate::combined::{
    format_combined, format_common, format_connection_combined, format_connection_common,
};
use crate::flow::{FlowRecord, format_flow_combined, format_flow_common, format_flow_json};
use crate::json::{format_connection_json, format_json};
use crate::layout::{Layout, Values};
use crate::record::{AccessRecord, ConnectionRecord};
use crate::tap::{TapStats, TapWants, TapWriter, Taps};
use hg_plan::LogFormat;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// A worker hands a buffer over when less than this is free, so that a usual line never grows it.
const SPARE_BYTES: usize = 4 * 1024;

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
    /// What taps were shown.
    pub taps: TapStats,
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

/// Bits below the number of the configuration.
const FORM_BITS: u32 = 3;
const FORM_MASK: u64 = (1 << FORM_BITS) - 1;
const LAID_OUT: u64 = 4;

impl Mode {
    /// Makes the mode of the configuration numbered `epoch`.
    pub(crate) fn new(epoch: u64, format: Option<LogFormat>) -> Self {
        let format = match format {
            None => 0,
            Some(LogFormat::Json) => 1,
            Some(LogFormat::Combined) => 2,
            Some(LogFormat::Common) => 3,
        };
        Self(epoch << FORM_BITS | format)
    }

    /// Makes the mode of a configuration whose lines have a layout of their own.
    fn laid_out(epoch: u64) -> Self {
        Self(epoch << FORM_BITS | LAID_OUT)
    }

    fn is_laid_out(self) -> bool {
        self.0 & FORM_MASK == LAID_OUT
    }

    fn is_on(self) -> bool {
        self.0 & FORM_MASK != 0
    }

    /// Returns the number of the configuration, which grows by one with each.
    pub(crate) fn epoch(self) -> u64 {
        self.0 >> FORM_BITS
    }

    fn format(self) -> Option<LogFormat> {
        match self.0 & FORM_MASK {
            1 => Some(LogFormat::Json),
            2 => Some(LogFormat::Combined),
            3 => Some(LogFormat::Common),
            _ => None,
        }
    }
}

/// What workers and the sink's thread share.
pub(crate) struct Shared {
    pub(crate) buffers: Buffers<Filled>,
    mode: AtomicU64,
    /// The newest layout, and the mode that it belongs to; read when the mode changes.
    layout: Mutex<Option<(Mode, Arc<Layout>)>>,
    pub(crate) reopen: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) lines: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) write_errors: AtomicU64,
    pub(crate) taps: Arc<Taps>,
}

impl Shared {
    pub(crate) fn new(workers: usize, mode: Mode) -> Self {
        Self {
            buffers: Buffers::new(workers),
            mode: AtomicU64::new(mode.0),
            layout: Mutex::default(),
            reopen: AtomicBool::new(false),
            stop: AtomicBool::new(false),
            lines: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            write_errors: AtomicU64::new(0),
            taps: Arc::default(),
        }
    }

    pub(crate) fn stats(&self) -> LogStats {
        LogStats {
            lines: self.lines.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            write_errors: self.write_errors.load(Ordering::Relaxed),
            taps: self.taps.stats(),
        }
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode.0, Ordering::Release);
    }

    /// Has lines be laid out so from now on.
    pub(crate) fn set_layout(&self, epoch: u64, layout: Layout) {
        let mode = Mode::laid_out(epoch);
        *self.layout() = Some((mode, Arc::new(layout)));
        self.set_mode(mode);
    }

    fn layout(&self) -> MutexGuard<'_, Option<(Mode, Arc<Layout>)>> {
        self.layout.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn mode(&self) -> Mode {
        Mode(self.mode.load(Ordering::Acquire))
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
    /// The layout of the mode, if it has one.
    layout: Option<Arc<Layout>>,
    time: TimeCache,
    taps: TapWriter,
}

impl LogWriter {
    pub(crate) fn new(shared: Arc<Shared>, sink: Thread) -> Self {
        let taps = TapWriter::new(Arc::clone(&shared.taps));
        let (buffer, time, mode) = (Vec::new(), TimeCache::new(), Mode::new(0, None));
        Self { shared, sink, buffer, lines: 0, mode, layout: None, time, taps }
    }

    /// Reports whether the log wants records; if not, there is no need to make one for it.
    pub fn is_on(&self) -> bool {
        self.shared.mode().is_on()
    }

    /// Returns what taps want of a request that begins now; costs one load.
    pub fn taps(&self) -> TapWants {
        self.taps.wants()
    }

    /// Shows a record to the taps that want it; `headers` come from
    /// [`push_headers`](crate::push_headers) and are empty if they were not kept.
    pub fn show(&mut self, record: &AccessRecord<'_>, headers: &[u8]) {
        self.taps.show(record, headers, &mut self.time);
    }

    /// Formats a record into the worker's buffer, and hands the buffer over when it is full. If no
    /// buffer is free, drops and counts the line.
    pub fn write(&mut self, record: &AccessRecord<'_>) {
        self.append(record, |format, time, out| match format {
            LogFormat::Json => format_json(record, time, out),
            LogFormat::Combined => format_combined(record, time, out),
            LogFormat::Common => format_common(record, time, out),
        });
    }

    /// Does the same with a TCP connection.
    pub fn write_connection(&mut self, record: &ConnectionRecord<'_>) {
        self.append(record, |format, time, out| match format {
            LogFormat::Json => format_connection_json(record, time, out),
            LogFormat::Combined => format_connection_combined(record, time, out),
            LogFormat::Common => format_connection_common(record, time, out),
        });
    }

    /// Does the same with a UDP flow.
    pub fn write_flow(&mut self, record: &FlowRecord<'_>) {
        self.append(record, |format, time, out| match format {
            LogFormat::Json => format_flow_json(record, time, out),
            LogFormat::Combined => format_flow_combined(record, time, out),
            LogFormat::Common => format_flow_common(record, time, out),
        });
    }

    fn append(
        &mut self,
        record: &impl Values,
        write: impl FnOnce(LogFormat, &mut TimeCache, &mut Vec<u8>),
    ) {
        let mode = self.shared.mode();
        if mode != self.mode {
            self.flush();
            self.follow(mode);
        }
        if !self.mode.is_on() {
            return;
        }
        if self.buffer.capacity() == 0 {
            match self.shared.buffers.take() {
                Some(buffer) => self.buffer = buffer,
                None => {
                    self.shared.dropped.fetch_add(1, Ordering::Relaxed);
                    return;
                }
            }
        }
        match (self.mode.format(), &self.layout) {
            (Some(format), _) => write(format, &mut self.time, &mut self.buffer),
            (None, Some(layout)) => layout.push(record, &mut self.time, &mut self.buffer),
            (None, None) => return,
        }
        self.lines += 1;
        if self.buffer.len() > BUFFER_BYTES - SPARE_BYTES {
            self.flush();
        }
    }

    /// Takes a new mode; with a layout, that of the newest one there is, whose sink is there before it.
    fn follow(&mut self, mode: Mode) {
        (self.mode, self.layout) = (mode, None);
        if mode.is_laid_out()
            && let Some((mode, layout)) = &*self.shared.layout()
        {
            (self.mode, self.layout) = (*mode, Some(Arc::clone(layout)));
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
        if let Err(back) = self.shared.buffers.push(Filled { bytes, lines, mode: self.mode }) {
            self.shared.dropped.fetch_add(lines, Ordering::Relaxed);
            self.shared.buffers.give_back(back.bytes);
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
