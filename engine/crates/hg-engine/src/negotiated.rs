//! The protocols that TLS handshakes with endpoints agreed on.

use crate::counters::Counter;

/// The protocols that TLS handshakes with an endpoint agreed on, where they may agree on HTTP/2.
#[derive(Debug, Default)]
pub(crate) struct Negotiated {
    pub(crate) h2: Counter,
    pub(crate) http1: Counter,
    /// The protocol of the last connection that took a request: a bit of [`Self::WORDS`].
    last: Counter,
}

impl Negotiated {
    /// The words for what was agreed on, by its bits.
    pub(crate) const WORDS: [&'static str; 4] = ["", "http/1.1", "h2", "h2 and http/1.1"];

    /// Counts a handshake, whether it agreed on HTTP/2.
    pub(crate) fn count(&self, http2: bool) {
        if http2 {
            self.h2.add(1)
        } else {
            self.http1.add(1)
        }
        self.use_now(http2);
    }

    /// Notes that a connection is used on which this was agreed.
    #[inline]
    pub(crate) fn use_now(&self, http2: bool) {
        self.last.set(if http2 { 2 } else { 1 });
    }

    /// Returns what the workers use now, of the counters of all.
    pub(crate) fn word<'a>(all: impl Iterator<Item = &'a Self>) -> &'static str {
        let bits = all.fold(0, |bits, one| bits | one.last.get());
        usize::try_from(bits).ok().and_then(|at| Self::WORDS.get(at)).copied().unwrap_or_default()
    }
}
