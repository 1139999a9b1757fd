//! Traces: the context that a request brings and takes along (W3C Trace Context), which requests are
//! recorded, and their spans in OTLP, which go to a collector through `hg-otlp`. Reads no clock and
//! draws no number on a worker's path: both come in.

mod context;
mod sampling;
mod span;
mod state;

pub use context::{Context, PARENT_BYTES, RANDOM, SAMPLED};
pub use sampling::Sampling;
pub use span::{Kind, Span};
pub use state::is_state;
