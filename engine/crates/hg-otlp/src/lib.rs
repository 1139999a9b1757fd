//! The way to a collector: what workers say in OTLP, sent over HTTP from a thread of its own.
//!
//! Owns the path from a worker to the collector, the same for every signal. A worker writes items (a
//! span, a log record) into a buffer of its own ([`ExportWriter`]) and hands it over when it is full
//! or when its timer fires; one thread for each signal sends. The buffers are a bounded pool: if the
//! collector is slower than the workers, items are dropped and counted, and nobody waits. What an item
//! says is for others: they have [`wire`] and [`Attributes`] to write it. Reads no clock on a worker's
//! path.

mod attributes;
mod buffers;
mod exporter;
mod hand_over;
mod post;
mod request;
mod signal;
mod target;
mod verdict;
mod waiting;
pub mod wire;

pub use attributes::Attributes;
pub use buffers::{BUFFER_BYTES, Buffers, MIN_BUFFERS};
pub use exporter::{Exporter, News};
pub use hand_over::{ExportStats, ExportWriter};
pub use signal::Signal;
pub use target::{Endpoint, check};
