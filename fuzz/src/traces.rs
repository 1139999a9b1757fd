//! What a request says of the trace that it belongs to.

use hg_trace::{Context, PARENT_BYTES, is_state};

/// A `traceparent` and a `tracestate`: what is read is written with the same ids and read again, and
/// a list that passes means the same on one line and on many.
pub fn trace(data: &[u8]) {
    if let Some(context) = Context::parse(data) {
        let text = context.text();
        assert_eq!(Context::parse(&text), Some(context));
        assert_eq!(text.get(3..52), data.get(3..52), "other ids");
        assert!(data.len() == PARENT_BYTES || !data.starts_with(b"00"), "more than version 00 has");
    }
    let lines = || data.split(|b| *b == b',');
    // Commas between lines count as bytes of one of them alone.
    assert!(!is_state([data]) || is_state(lines()), "one line passes, and many do not");
}
