//! The access log: the record of a request, the three line formats, and the way to a file, standard
//! output, syslog or a collector.
//!
//! Owns the path from a worker to the sink. A worker formats into a buffer of its own
//! ([`LogWriter`]) and hands it over when it is full or when its timer fires; one thread writes.
//! The buffers are a bounded pool: if the sink is slower than the workers, lines are dropped and
//! counted, and nobody waits. Taps show the same records to those who watch. Reads no clock on a worker's path: records bring their time.

mod claims;
mod clock;
mod combined;
mod escape;
mod flow;
mod hand_over;
mod headers;
mod health;
mod json;
mod layout;
mod mode;
mod notes;
mod otlp;
mod outlets;
mod record;
mod sink;
mod tap;
mod tap_filter;
#[cfg(test)]
mod testing;
mod veil;

pub use claims::LoggedClaims;
pub use clock::TimeCache;
pub use combined::{
    format_combined, format_common, format_connection_combined, format_connection_common,
};
pub use flow::{Datagrams, FlowRecord, format_flow_combined, format_flow_common, format_flow_json};
pub use hand_over::{LogStats, LogWriter};
pub use json::{format_connection_json, format_json};
pub use notes::{Kept, Noted, Notes};
pub use outlets::AccessLog;
pub use record::{
    AccessRecord, CertificateRecord, ConnectionRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES,
    ReachedRecord, SecuredRecord, SentRecord, TlsRecord, TraceRecord,
};
pub use tap::{MAX_TAPS, TapReader, TapStats, TapWants, Taps, push_headers};
pub use tap_filter::TapFilter;
pub use veil::{HIDDEN, Veil};
