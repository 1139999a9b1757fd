//! The access log: the record of a request, the two line formats, and the way to a file, standard
//! output or syslog.
//!
//! Owns the path from a worker to the sink. A worker formats into a buffer of its own
//! ([`LogWriter`]) and hands it over when it is full or when its timer fires; one thread writes.
//! The buffers are a bounded pool: if the sink is slower than the workers, lines are dropped and
//! counted, and nobody waits. Reads no clock on a worker's path: records bring their time.

mod clock;
mod combined;
mod escape;
mod hand_over;
mod json;
mod outlets;
mod record;
mod sink;
#[cfg(test)]
mod testing;

pub use clock::TimeCache;
pub use combined::format_combined;
pub use hand_over::{BUFFER_BYTES, LogStats, LogWriter};
pub use json::format_json;
pub use outlets::AccessLog;
pub use record::{AccessRecord, MAX_TARGET_BYTES, MAX_VALUE_BYTES, SentRecord, TlsRecord};
