//! The sink's thread and its configuration.

use crate::hand_over::{Filled, LogStats, LogWriter, Shared};
use crate::health::Health;
use crate::layout::Layout;
use crate::mode::Mode;
use crate::sink::Sink;
use crate::tap::TapReader;
use crate::tap_filter::TapFilter;
use hg_otlp::{Exporter, News};
use hg_plan::AccessLog as Config;
use std::collections::VecDeque;
use std::io;
use std::sync::atomic::Ordering;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// The time for which a replaced sink still takes lines that were formatted for it: workers hand
/// over every 200 ms.
const RETIREMENT: Duration = Duration::from_secs(5);
/// The time that the thread has to write the last lines.
const LAST: Duration = Duration::from_secs(5);
/// Most replaced sinks kept at once.
const MAX_RETIRED: usize = 4;

type Tell = Box<dyn Fn(News) + Send>;

/// The access log of a process: its sink's thread and its configuration. When it is dropped, the
/// thread writes what it has and ends.
pub struct AccessLog {
    shared: Arc<Shared>,
    sink: JoinHandle<()>,
    current: Mutex<Current>,
    exporter: Exporter,
    /// The time of [`Self::stop`].
    stopped: OnceLock<Instant>,
}

struct Current {
    epoch: u64,
    config: Option<Config>,
    changes: Sender<Change>,
}

/// A new configuration for the thread.
struct Change {
    epoch: u64,
    sink: Option<Sink>,
}

impl AccessLog {
    /// Starts the sink's thread; `None` logs nothing. The thread tries again with every buffer to
    /// open a sink that cannot be opened: use [`Self::check`] first to refuse it. `workers` sizes
    /// the buffer pool (64 KiB each, allocated on demand, at least 64 of them). `exporter` is where
    /// records go that a collector is to get; its collector is for the caller to configure, before
    /// the log. `tell` hears when the sink stops working, and when it works again.
    ///
    /// # Errors
    /// If the thread cannot be started.
    pub fn start(
        config: Option<&Config>,
        workers: usize,
        exporter: Exporter,
        tell: Tell,
    ) -> io::Result<Self> {
        let (changes, incoming) = channel();
        let shared = Arc::new(Shared::new(workers, Mode::off(0)));
        let theirs = Arc::clone(&shared);
        let sink = std::thread::Builder::new().name("hg-log".into()).spawn(move || {
            Outlets { incoming, outlets: VecDeque::new(), tell }.run(&theirs);
        })?;
        let current = Mutex::new(Current { epoch: 0, config: None, changes });
        let log = Self { shared, sink, current, exporter, stopped: OnceLock::new() };
        log.configure(config);
        Ok(log)
    }

    /// Checks that lines can be laid out.
    ///
    /// # Errors
    /// Returns what is wrong with the configuration.
    pub fn check(config: &Config) -> Result<(), String> {
        Layout::of(config).map(drop)
    }

    /// Opens the sink to check that this is possible now (which creates a file), and closes it.
    ///
    /// # Errors
    /// Returns why it is not, fit for the config's path `access_log.sink`.
    pub fn check_sink(config: &Config) -> Result<(), String> {
        let Some(sink) = &config.sink else {
            return Ok(());
        };
        let mut sink = Sink::new(sink);
        sink.open().map_err(|e| format!("cannot open {}: {e}", sink.name()))
    }

    /// Changes format and sink while lines flow. No line is lost, and no sink gets lines in two
    /// formats: lines made before the change go to the old sink. The same configuration again
    /// changes nothing.
    pub fn configure(&self, config: Option<&Config>) {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.epoch > 0 && current.config.as_ref() == config {
            return;
        }
        current.epoch += 1;
        current.config = config.cloned();
        let epoch = current.epoch;
        let sink = config.and_then(|c| c.sink.as_ref()).map(Sink::new);
        // The thread ends only after this handle's sender. The mode follows the change, so that no
        // line under it comes before it.
        let _ = current.changes.send(Change { epoch, sink });
        // One that cannot be laid out was refused by the check.
        match config.map(|config| (config, Layout::of(config))) {
            None => self.shared.set_mode(Mode::off(epoch)),
            Some((config, Ok(Some(layout)))) => {
                self.shared.set_layout(Mode::new(epoch, config, true), layout);
            }
            Some((config, _)) => self.shared.set_mode(Mode::new(epoch, config, false)),
        }
        self.sink.thread().unpark();
    }

    /// Returns a worker's end.
    pub fn writer(&self) -> LogWriter {
        LogWriter::new(Arc::clone(&self.shared), self.sink.thread().clone(), self.exporter.writer())
    }

    /// Opens a tap, which the log's configuration does not concern; `None` if too many are open.
    pub fn tap(&self, filter: TapFilter) -> Option<TapReader> {
        self.shared.taps.open(filter)
    }

    /// Reopens files, for rotation.
    pub fn reopen(&self) {
        self.shared.reopen.store(true, Ordering::Release);
        self.sink.thread().unpark();
    }

    /// Returns the counts since the start.
    pub fn stats(&self) -> LogStats {
        LogStats { export: self.exporter.stats(), ..self.shared.stats() }
    }

    /// Returns why lines do not reach the sink; empty while they do.
    pub fn failure(&self) -> String {
        self.shared.failure()
    }

    /// Returns the way to the collector.
    pub fn exporter(&self) -> &Exporter {
        &self.exporter
    }

    /// Has the thread write what was handed over, and end. Drop the writers before: what they hand
    /// over later is lost.
    pub fn stop(&self) {
        if self.stopped.set(Instant::now()).is_ok() {
            self.shared.stop.store(true, Ordering::Release);
            self.sink.thread().unpark();
        }
    }

    /// Reports whether the thread has ended since [`Self::stop`], or has had its time for that: a pipe
    /// may have no reader.
    pub fn is_over(&self) -> bool {
        self.sink.is_finished() || self.stopped.get().is_some_and(|since| since.elapsed() >= LAST)
    }
}

impl Drop for AccessLog {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A sink and the number of its configuration.
struct Outlet {
    epoch: u64,
    sink: Option<Sink>,
    /// The time at which it was replaced.
    retired: Option<Instant>,
}

/// The sinks of the thread, with the newest last.
struct Outlets {
    incoming: Receiver<Change>,
    outlets: VecDeque<Outlet>,
    tell: Tell,
}

impl Outlets {
    fn run(&mut self, shared: &Shared) {
        loop {
            // Read before the queue, so that what was handed over before the stop is found.
            let is_stopping = shared.stop.load(Ordering::Acquire);
            self.take_changes(shared);
            if shared.reopen.swap(false, Ordering::AcqRel) {
                self.reopen(shared);
            }
            while let Some(filled) = shared.buffers.pop() {
                shared.is_behind.store(false, Ordering::Relaxed);
                self.write(filled, shared);
            }
            if is_stopping {
                return;
            }
            self.retire();
            if self.outlets.len() > 1 {
                std::thread::park_timeout(RETIREMENT);
            } else {
                std::thread::park();
            }
        }
    }

    fn take_changes(&mut self, shared: &Shared) {
        while let Ok(Change { epoch, sink }) = self.incoming.try_recv() {
            if let Some(last) = self.outlets.back_mut() {
                last.retired = Some(Instant::now());
            }
            // The failures of a sink end with it.
            *shared.health() = Health::default();
            self.outlets.push_back(Outlet { epoch, sink, retired: None });
            if self.outlets.len() > MAX_RETIRED + 1 {
                self.outlets.pop_front();
            }
        }
    }

    fn retire(&mut self) {
        let is_over = |o: &Outlet| o.retired.is_some_and(|since| since.elapsed() >= RETIREMENT);
        self.outlets.retain(|o| !is_over(o));
    }

    fn reopen(&mut self, shared: &Shared) {
        for outlet in &mut self.outlets {
            let Some(sink) = &mut outlet.sink else { continue };
            let failure = sink.reopen().err().map(|error| {
                shared.write_errors.fetch_add(1, Ordering::Relaxed);
                format!("cannot open {} again: {error}", sink.name())
            });
            if outlet.retired.is_none() {
                let news = shared.health().reopened(failure);
                news.into_iter().for_each(&self.tell);
            }
        }
    }

    fn write(&mut self, filled: Filled, shared: &Shared) {
        let epoch = filled.mode.epoch();
        if self.outlets.back().is_none_or(|newest| newest.epoch < epoch) {
            self.take_changes(shared);
        }
        // Lines of a sink that is gone already go to the oldest sink left.
        let outlet = self.outlets.iter_mut().find(|o| o.epoch >= epoch);
        let is_newest = outlet.as_ref().is_some_and(|o| o.retired.is_none());
        match outlet.and_then(|o| o.sink.as_mut()) {
            Some(sink) => {
                let done = sink.write(&filled.bytes, filled.lines);
                shared.lines.fetch_add(done.lines, Ordering::Relaxed);
                shared.bytes.fetch_add(done.bytes, Ordering::Relaxed);
                shared.dropped.fetch_add(done.dropped, Ordering::Relaxed);
                shared.write_errors.fetch_add(done.errors, Ordering::Relaxed);
                let failure = done.failure.map(|why| format!("{}: {why}", sink.name()));
                if is_newest {
                    let news = shared.health().wrote(failure);
                    news.into_iter().for_each(&self.tell);
                }
            }
            None => {
                shared.dropped.fetch_add(filled.lines, Ordering::Relaxed);
            }
        }
        shared.buffers.give_back(filled.bytes);
    }
}

#[cfg(test)]
#[path = "outlets_tests.rs"]
mod tests;
