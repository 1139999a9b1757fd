//! Process-wide settings.

use super::defaults::max_connections;
use super::limit_store::LimitStore;
use super::otlp::OtlpExport;
use super::tracing::Tracing;
use serde::Deserialize;

/// The bounds of latency histograms where a plan has none of its own.
pub const LATENCY_BOUNDS_US: [u64; 24] = [
    100, 200, 300, 500, 750, 1_000, 2_000, 3_000, 5_000, 7_500, 10_000, 20_000, 30_000, 50_000,
    75_000, 100_000, 200_000, 300_000, 500_000, 1_000_000, 2_500_000, 5_000_000, 10_000_000,
    60_000_000,
];

/// Process-wide settings.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Settings {
    /// Most client connections open at once in the whole process; further ones are closed.
    pub max_connections: u32,
    /// Most client connections open at once from one address; 0 = no limit.
    pub max_connections_per_client: u32,
    /// Log level: `error`, `warn`, `info` or `debug`.
    pub log_level: String,
    /// Sink and format of access records; absent = none are written.
    pub access_log: Option<AccessLog>,
    /// The times of a drain.
    pub drain: Drain,
    /// The settings for the resolution of names.
    pub resolver: Resolver,
    /// The limits at which new requests are refused because there is too much to do; absent =
    /// never.
    pub shedding: Option<Shedding>,
    /// The tracing of requests; absent = their headers pass untouched.
    pub tracing: Option<Tracing>,
    /// The store that nodes share rate limits through.
    pub limit_store: Option<LimitStore>,
    /// The values that logs, taps and spans never show.
    pub redaction: Redaction,
    /// Upper bounds of the buckets of latency histograms, ascending; microseconds.
    pub latency_bounds_us: Vec<u64>,
}

/// The limits at which new requests are refused because there is too much to do; 0 = no limit.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Shedding {
    /// Resident memory of the process.
    pub memory_bytes: u64,
    /// Requests of one worker that wait for a place at an upstream.
    pub queued: u64,
    /// The time that a turn of a worker's loop takes, smoothed.
    pub lag_ms: u64,
    /// The percentage of a limit at which what matters little is refused; below 100.
    pub strained_percent: u64,
    /// The percentage of a limit at which everything new is refused; above 100.
    pub critical_percent: u64,
}

impl Default for Shedding {
    fn default() -> Self {
        Self {
            memory_bytes: 0,
            queued: 1_024,
            lag_ms: 100,
            strained_percent: 75,
            critical_percent: 150,
        }
    }
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            max_connections: max_connections(),
            max_connections_per_client: 0,
            log_level: "info".into(),
            access_log: None,
            drain: Drain::default(),
            resolver: Resolver::default(),
            shedding: None,
            tracing: None,
            limit_store: None,
            redaction: Redaction::default(),
            latency_bounds_us: LATENCY_BOUNDS_US.to_vec(),
        }
    }
}

/// The values that logs, taps and spans never show.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Redaction {
    /// Parameters of a query, in lower case.
    pub query: Vec<String>,
    /// Headers, in lower case: `referer` or `user-agent`.
    pub headers: Vec<String>,
}

/// Access log format and sink.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AccessLog {
    /// `json`, `combined` or `common`.
    pub format: LogFormat,
    /// Sink of the lines; absent = they go to a collector alone.
    #[serde(default)]
    pub sink: Option<LogSink>,
    /// The collector that gets them as log records, too.
    #[serde(default)]
    pub otlp: Option<OtlpExport>,
    /// The fields of JSON lines, in their order; none = all.
    #[serde(default)]
    pub fields: Vec<String>,
    /// The text of each line in place of a format, with variables such as `${status}`.
    #[serde(default)]
    pub template: Option<String>,
}

/// The line formats.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LogFormat {
    /// One JSON object per line.
    Json,
    /// The Apache combined format, then request time and our reason.
    Combined,
    /// The Apache common format.
    Common,
}

/// The three sinks.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum LogSink {
    /// Standard output of the data-plane process.
    Stdout {},
    /// A file, opened for appending, reopened on SIGUSR1.
    File {
        /// Absolute path.
        path: String,
    },
    /// RFC 5424 datagrams.
    Syslog {
        /// `unix:/dev/log` or `host:port` (UDP).
        address: String,
    },
}

/// The times of a drain.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Drain {
    /// The time that the node reports not ready and still accepts.
    pub delay_ms: u64,
    /// The time that idle connections stay open once listeners are closed.
    pub idle_grace_ms: u64,
    /// The time, from the start, after which the drain cuts what is left.
    pub deadline_ms: u64,
}

impl Default for Drain {
    fn default() -> Self {
        Self { delay_ms: 5_000, idle_grace_ms: 1_000, deadline_ms: 30_000 }
    }
}

/// Name resolution.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Resolver {
    /// `address:port` of name servers; empty = the system's.
    pub servers: Vec<String>,
    /// Lower bound of the time between two questions for a name.
    pub min_ttl_ms: u64,
    /// Upper bound of the time for which an answer counts.
    pub max_ttl_ms: u64,
    /// Timeout of one lookup.
    pub timeout_ms: u64,
}

impl Default for Resolver {
    fn default() -> Self {
        Self { servers: Vec::new(), min_ttl_ms: 1_000, max_ttl_ms: 60_000, timeout_ms: 5_000 }
    }
}
