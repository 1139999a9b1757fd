//! The kinds of items that a collector gets.

/// A kind of items, each with an exporter of its own. On the wire they differ in what an item is, and
/// in nothing else: requests and answers have the same fields.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Signal {
    /// Spans.
    Traces,
    /// Log records.
    Logs,
}

impl Signal {
    /// Returns the path of a collector for it (OTLP 1.x, "OTLP/HTTP Request").
    pub(crate) fn path(self) -> &'static str {
        match self {
            Self::Traces => "/v1/traces",
            Self::Logs => "/v1/logs",
        }
    }

    /// Returns the name of the exporter's thread.
    pub(crate) fn thread(self) -> &'static str {
        match self {
            Self::Traces => "hg-trace",
            Self::Logs => "hg-log-export",
        }
    }
}
