//! The counters of one worker for connections whose protocol is told by their first bytes.

use super::Counter;

reasons! {
    /// The kind of bytes that a connection began with.
    Detection {
        Http1 = "http1", Http2 = "http2", Tls = "tls", Other = "other", Silent = "silent",
    }
}

/// Connections by what they began with.
#[derive(Debug)]
pub(crate) struct DetectionCounters([Counter; Detection::ALL.len()]);

impl Default for DetectionCounters {
    fn default() -> Self {
        Self(std::array::from_fn(|_| Counter::default()))
    }
}

impl DetectionCounters {
    pub(crate) fn add(&self, what: Detection) {
        if let Some(c) = self.0.get(what as usize) {
            c.add(1);
        }
    }

    pub(crate) fn get(&self, what: Detection) -> Option<&Counter> {
        self.0.get(what as usize)
    }
}
