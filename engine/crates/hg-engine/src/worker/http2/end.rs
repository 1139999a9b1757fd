//! The ends of streams and sessions: GOAWAY when the worker leaves or a limit is reached, and what
//! a peer that breaks the protocol gets.

use super::{Ending, Http2, in_order};
use crate::worker::Worker;
use crate::worker::exchange::Exchange;
use hg_h2::{Close, Code};

/// The number of exchanges of a lost connection that are ended before others have their turn.
const PIECE: usize = 8;

/// The end of a stream that its peer does not end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum StreamEnd {
    /// The answer is complete.
    Finished,
    /// The request was malformed, and was answered.
    Malformed,
    /// The answer breaks off.
    Cut,
    /// Nobody waits for the answer.
    Gone,
}

impl Worker {
    /// Ends the stream of an exchange that has ended.
    pub(crate) fn end_stream(&mut self, e: &Exchange, how: StreamEnd) {
        let now_us = self.now_us;
        let Some(h) = self.clients.get_mut(e.client).and_then(|c| c.http2.as_deref_mut()) else {
            return;
        };
        h.streams.remove(&e.stream.id);
        let held = e.stream.held.memory() + e.stream.counted;
        h.held.note(&mut self.io.pool, (held, 0), now_us);
        match how {
            // After a whole answer the rest of the request is not wanted (RFC 9113 §8.1).
            StreamEnd::Finished if e.stream.has_ended => {}
            StreamEnd::Finished => h.session.dismiss(e.stream.id),
            StreamEnd::Malformed => h.session.refuse(e.stream.id, Code::PROTOCOL_ERROR),
            StreamEnd::Cut => h.session.reset(e.stream.id, Code::INTERNAL_ERROR),
            StreamEnd::Gone => h.session.reset(e.stream.id, Code::CANCEL),
        }
        h.places.leave(e.stream.id);
        self.mark_dirty(e.client);
        self.use_places(e.client);
        self.rearm_http2(e.client, false);
    }

    /// Ends every exchange of a connection that is lost.
    pub(crate) fn drop_streams(&mut self, ci: usize) {
        let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) else {
            return;
        };
        for (_, x) in in_order(&std::mem::take(&mut h.streams)) {
            self.client_gone(x);
        }
    }

    /// Closes a connection whose session has failed; its GOAWAY is sent first, unless the connection
    /// failed before. What it holds is free at once: that may be why it is closed.
    pub(crate) fn http2_failed(&mut self, ci: usize, close: Close) {
        if let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            if h.ending == Ending::Failed {
                return self.connection_lost(ci);
            }
            h.ending = h.ending.max(Ending::Failed);
        }
        self.counters.http2.end(close.reason);
        self.drop_streams(ci);
        if let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) {
            h.session.abort(close.code, close.reason);
        }
        self.flush_http2(ci);
    }

    /// Begins to close a connection that is lost; reports whether it has HTTP/2.
    pub(crate) fn lose_http2(&mut self, ci: usize) -> bool {
        let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) else {
            return false;
        };
        h.ending = Ending::Lost;
        self.go_on_losing(ci);
        true
    }

    /// Ends some exchanges of a connection that is lost, and after the last one the connection. Each
    /// may have a connection to an endpoint to close, and a client may leave a hundred at once.
    pub(super) fn go_on_losing(&mut self, ci: usize) {
        let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) else {
            return;
        };
        let mut some = in_order(&h.streams);
        some.truncate(PIECE);
        for (id, _) in &some {
            h.streams.remove(id);
        }
        let is_last = h.streams.is_empty();
        for (_, x) in some {
            self.client_gone(x);
        }
        match is_last {
            true => self.close_client(ci),
            false => self.enqueue(ci),
        }
    }

    /// Says that no more streams should come; those on their way are served.
    pub(crate) fn announce_http2(&mut self, ci: usize) {
        let Some(h) = self.clients.get_mut(ci).and_then(|c| c.http2.as_deref_mut()) else {
            return;
        };
        if h.session.is_ending() {
            return;
        }
        h.session.shutdown();
        self.mark_dirty(ci);
        self.rearm_http2(ci, false);
    }

    /// Says on every connection that no more streams should come.
    pub(crate) fn announce_all_http2(&mut self) {
        let is_open = |h: &Http2| !h.session.is_ending();
        let all: Vec<usize> = self
            .clients
            .iter()
            .filter(|(_, c)| c.http2.as_deref().is_some_and(is_open))
            .map(|(ci, _)| ci)
            .collect();
        for ci in all {
            self.announce_http2(ci);
        }
    }
}

#[cfg(test)]
mod tests;
