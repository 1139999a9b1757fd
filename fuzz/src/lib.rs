//! Properties of any input: one function per fuzz target, which panics if its property does not
//! hold.
//!
//! `engine/crates/hg-proto/tests/fuzz_replay.rs` replays the same functions on the committed
//! corpora, and on mutations of them, on a stable toolchain.

mod access;
mod bodies;
mod codings;
mod h2;
mod heads;
mod paths;
mod plans;
mod relays;
mod texts;
mod tls;
mod traces;

pub use access::{credentials, token};
pub use bodies::chunked;
pub use codings::codings;
pub use h2::{h2_block, h2_forward, h2_session};
pub use heads::{request_head, response_head};
pub use paths::path;
pub use plans::plan;
pub use relays::{first_bytes, proxy_header};
pub use texts::text;
pub use tls::{quic_initials, tls_hello};
pub use traces::trace;

/// A check of one input.
pub type Check = fn(&[u8]);

/// Every target by name.
pub const TARGETS: [(&str, Check); 17] = [
    ("request_head", request_head),
    ("response_head", response_head),
    ("chunked", chunked),
    ("codings", codings),
    ("text", text),
    ("plan", plan),
    ("path", path),
    ("tls_hello", tls_hello),
    ("quic_initials", quic_initials),
    ("proxy_header", proxy_header),
    ("first_bytes", first_bytes),
    ("h2_session", h2_session),
    ("h2_block", h2_block),
    ("h2_forward", h2_forward),
    ("credentials", credentials),
    ("token", token),
    ("trace", trace),
];

/// Returns where to cut an input to check that the pieces mean the same: everywhere if it is short.
fn cuts(len: usize) -> impl Iterator<Item = usize> {
    (0..len).step_by((len / 16).max(1))
}
