//! What must hold of any input: one function a fuzz target, which panics when it does not.
//!
//! The same functions are replayed on the committed corpora, and on mutations of them, by
//! `engine/crates/hg-proto/tests/fuzz_replay.rs` on a stable toolchain.

mod bodies;
mod heads;
mod paths;
mod plans;
mod texts;
mod tls;

pub use bodies::chunked;
pub use heads::{request_head, response_head};
pub use paths::path;
pub use plans::plan;
pub use texts::text;
pub use tls::tls_hello;

/// A check of one input.
pub type Check = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Check); 7] = [
    ("request_head", request_head),
    ("response_head", response_head),
    ("chunked", chunked),
    ("text", text),
    ("plan", plan),
    ("path", path),
    ("tls_hello", tls_hello),
];

/// Where an input is cut to see that the pieces mean the same: everywhere when it is short.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by((len / 16).max(1))
}
