//! The sinks of lines. Everything here runs on the sink's thread, or checks a configuration.

mod stream;
mod syslog;

use hg_plan::LogSink;
use std::io;
use stream::Stream;
use syslog::Syslog;

/// Counts of lines that were written and lost.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Written {
    pub(crate) lines: u64,
    pub(crate) dropped: u64,
    pub(crate) bytes: u64,
    pub(crate) errors: u64,
    /// The reason, if the sink does not work.
    pub(crate) failure: Option<String>,
}

/// One sink; it opens itself at the first write, and again after a failure.
#[derive(Debug)]
pub(crate) enum Sink {
    Stream(Stream),
    Syslog(Syslog),
}

impl Sink {
    pub(crate) fn new(spec: &LogSink) -> Self {
        match spec {
            LogSink::Stdout {} => Self::Stream(Stream::stdout()),
            LogSink::File { path } => Self::Stream(Stream::file(path)),
            LogSink::Syslog { address } => Self::Syslog(Syslog::new(address)),
        }
    }

    /// Returns what people call it.
    pub(crate) fn name(&self) -> &str {
        match self {
            Self::Stream(stream) => stream.name(),
            Self::Syslog(syslog) => syslog.address(),
        }
    }

    /// Opens it now.
    ///
    /// # Errors
    /// Returns why that is not possible; writing tries again.
    pub(crate) fn open(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.open(),
            Self::Syslog(syslog) => syslog.open(),
        }
    }

    /// Writes `count` whole lines.
    pub(crate) fn write(&mut self, bytes: &[u8], count: u64) -> Written {
        match self {
            Self::Stream(stream) => stream.write(bytes, count),
            Self::Syslog(syslog) => syslog.write(bytes),
        }
    }

    /// Reopens a file after it was renamed, or connects to a receiver anew. If that fails, continues to
    /// write to the old one.
    ///
    /// # Errors
    /// Returns why it could not be opened.
    pub(crate) fn reopen(&mut self) -> io::Result<()> {
        match self {
            Self::Stream(stream) => stream.reopen(),
            Self::Syslog(syslog) => syslog.reopen(),
        }
    }
}
