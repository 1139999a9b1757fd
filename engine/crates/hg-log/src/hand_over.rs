//! From workers to the sink's thread: filled buffers in one direction, empty ones back.

use crate::clock::TimeCache;
use crate::combined::{
    format_combined, format_common, format_connection_combined, format_connection_common,
};
use crate::flow::{FlowRecord, format_flow_combined, format_flow_common, format_flow_json};
use crate::health::Health;
use crate::json::{format_connection_json, format_json};
use crate::layout::{Field, Layout, Values};
use crate::mode::Mode;
use crate::otlp;
use crate::record::{AccessRecord, ConnectionRecord};
use crate::tap::{TapStats, TapWants, TapWriter, Taps};
use hg_otlp::{BUFFER_BYTES, Buffers, ExportStats, ExportWriter};
use hg_plan::LogFormat;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::Thread;

/// A worker hands a buffer over when less than this is free, so that a usual line never grows it.
const SPARE_BYTES: usize = 4 * 1024;

/// The failure of a sink that stands still, or that is too slow.
const BEHIND: &str = "lines are lost, because the sink takes them too slowly";

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
    /// True if the sink does not work, or takes lines too slowly.
    pub is_failing: bool,
    /// Records for a collector.
    pub export: ExportStats,
    /// Figures of all taps.
    pub taps: TapStats,
}

/// Formatted lines for the sink.
pub(crate) struct Filled {
    pub(crate) bytes: Vec<u8>,
    pub(crate) lines: u64,
    /// The mode under which they were formatted.
    pub(crate) mode: Mode,
}

/// The layout of the lines of a configuration, and the fields that they have.
struct LaidOut {
    layout: Layout,
    fields: Box<[Field]>,
}

/// The state that workers and the sink's thread share.
pub(crate) struct Shared {
    pub(crate) buffers: Buffers<Filled>,
    mode: AtomicU64,
    /// The newest layout, and the mode that it belongs to; read when the mode changes.
    layout: Mutex<Option<(Mode, Arc<LaidOut>)>>,
    pub(crate) reopen: AtomicBool,
    pub(crate) stop: AtomicBool,
    pub(crate) lines: AtomicU64,
    pub(crate) dropped: AtomicU64,
    pub(crate) bytes: AtomicU64,
    pub(crate) write_errors: AtomicU64,
    health: Mutex<Health>,
    /// True from a line that found no buffer until the sink takes the next one.
    pub(crate) is_behind: AtomicBool,
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
            health: Mutex::default(),
            is_behind: AtomicBool::new(false),
            taps: Arc::default(),
        }
    }

    pub(crate) fn stats(&self) -> LogStats {
        LogStats {
            lines: self.lines.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            write_errors: self.write_errors.load(Ordering::Relaxed),
            is_failing: !self.failure().is_empty(),
            export: ExportStats::default(),
            taps: self.taps.stats(),
        }
    }

    /// Counts lines for which the sink had no room.
    fn lose(&self, lines: u64) {
        self.dropped.fetch_add(lines, Ordering::Relaxed);
        self.is_behind.store(true, Ordering::Relaxed);
    }

    /// Returns why lines do not reach the sink; empty while they do.
    pub(crate) fn failure(&self) -> String {
        match self.health().why() {
            Some(why) => why.to_owned(),
            None if self.is_behind.load(Ordering::Relaxed) => BEHIND.to_owned(),
            None => String::new(),
        }
    }

    pub(crate) fn health(&self) -> MutexGuard<'_, Health> {
        self.health.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn set_mode(&self, mode: Mode) {
        self.mode.store(mode.0, Ordering::Release);
    }

    /// Has lines be laid out so from now on.
    pub(crate) fn set_layout(&self, mode: Mode, layout: Layout) {
        let fields = layout.fields();
        *self.layout() = Some((mode, Arc::new(LaidOut { layout, fields })));
        self.set_mode(mode);
    }

    fn layout(&self) -> MutexGuard<'_, Option<(Mode, Arc<LaidOut>)>> {
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
    layout: Option<Arc<LaidOut>>,
    exports: ExportWriter,
    time: TimeCache,
    taps: TapWriter,
}

impl LogWriter {
    pub(crate) fn new(shared: Arc<Shared>, sink: Thread, exports: ExportWriter) -> Self {
        let taps = TapWriter::new(Arc::clone(&shared.taps));
        let (buffer, time, mode) = (Vec::new(), TimeCache::new(), Mode::off(0));
        Self { shared, sink, buffer, lines: 0, mode, layout: None, exports, time, taps }
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

    /// Formats a record into the worker's buffers, for the sink, the collector or both, and hands a
    /// buffer over when it is full. If none is free, drops and counts the line.
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
        write: impl Fn(LogFormat, &mut TimeCache, &mut Vec<u8>),
    ) {
        let mode = self.shared.mode();
        if mode != self.mode {
            self.flush();
            self.follow(mode);
        }
        let Self { mode, layout, time, exports, .. } = self;
        let fields = match (mode.format(), &*layout) {
            (Some(_), _) => None,
            (None, Some(found)) => Some(&*found.fields),
            (None, None) => return,
        };
        let mut line = |out: &mut Vec<u8>| match (mode.format(), &*layout) {
            (Some(format), _) => write(format, time, out),
            (None, Some(found)) => found.layout.push(record, time, out),
            (None, None) => {}
        };
        if mode.has_collector() {
            exports.append(|out| otlp::push(record, fields, &mut line, out));
        }
        if !mode.has_sink() {
            return;
        }
        if self.buffer.capacity() == 0 {
            match self.shared.buffers.take() {
                Some(buffer) => self.buffer = buffer,
                None => {
                    self.shared.lose(1);
                    return;
                }
            }
        }
        line(&mut self.buffer);
        self.lines += 1;
        if self.buffer.len() > BUFFER_BYTES - SPARE_BYTES {
            self.flush_lines();
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

    /// Hands over what is in the buffers. The worker's timer calls it at least every 200 ms, so
    /// that lines appear soon. Costs two comparisons if they are empty.
    pub fn flush(&mut self) {
        self.flush_lines();
        self.exports.flush();
    }

    fn flush_lines(&mut self) {
        if self.lines == 0 {
            return;
        }
        let bytes = std::mem::take(&mut self.buffer);
        let lines = std::mem::take(&mut self.lines);
        // There is room for as many buffers as exist; if it were full, the lines would be counted.
        if let Err(back) = self.shared.buffers.push(Filled { bytes, lines, mode: self.mode }) {
            self.shared.lose(lines);
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
