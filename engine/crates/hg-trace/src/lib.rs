//! Traces: the context that a request brings and takes along (W3C Trace Context), which requests are
//! recorded, spans, and their way to a collector (OTLP over HTTP).
//!
//! Owns the path of a span from a worker to the collector. A worker writes spans into a buffer of its
//! own ([`TraceWriter`]) and hands it over when it is full or when its timer fires; one thread sends.
//! The buffers are a bounded pool: if the collector is slower than the workers, spans are dropped and
//! counted, and nobody waits. Reads no clock and draws no number on a worker's path: both come in.

mod context;
mod exporter;
mod hand_over;
mod post;
mod sampling;
mod span;
mod state;
mod target;
mod verdict;
mod wire;

pub use context::{Context, PARENT_BYTES, RANDOM, SAMPLED};
pub use exporter::{Exporter, News};
pub use hand_over::{TraceStats, TraceWriter};
pub use sampling::Sampling;
pub use span::{Attributes, Kind, Span};
pub use state::is_state;
pub use target::{Endpoint, check};
