//! Answers that the worker collects for clients that take them slowly (`limits.response_buffer`), so
//! that the endpoint is done with them sooner. What a client takes passes at once.

use super::Worker;
use super::accept::deadline_after;
use super::buffers::BufferPool;
use super::client::{Client, Phase};
use super::exchange::{Exchange, pair};
use super::http2::STREAM_READ_LEAST;

impl Exchange {
    /// Returns how many bytes of its answer may wait for its client; 0 = one read.
    pub(super) fn most_collected(&self) -> usize {
        // What passes through a tunnel has no end that could come sooner.
        match self.route() {
            Some(route) if self.status != 101 => route.terms.bodies.response_buffer,
            _ => 0,
        }
    }

    /// Notes that its client, over HTTP/2, has taken some of what waits for it.
    pub(super) fn taken_from(&mut self, now_us: u64) {
        let idle_ms = self.route().map_or(0, |r| r.terms.timeouts.stream_idle_ms);
        self.due.idle = deadline_after(now_us, idle_ms);
        self.stream.deadline = self.deadline();
    }

    /// Reports whether so much was taken of what waits that it is worth to read on.
    pub(super) fn goes_on_collecting(&self, before: usize, after: usize) -> bool {
        let half = self.most_collected() / 2;
        after <= half && half < before
    }
}

impl Client {
    /// Returns how many bytes more of its answer may be read now.
    #[inline]
    pub(super) fn room(&self, e: &Exchange, pool: &BufferPool) -> usize {
        if self.has_taken_all(e) { usize::MAX } else { self.room_to_collect(e, pool) }
    }

    fn room_to_collect(&self, e: &Exchange, pool: &BufferPool) -> usize {
        let most = e.most_collected();
        if most == 0 || !pool.may_collect_answers() {
            return 0;
        }
        let waiting = match self.http2.as_deref() {
            None => self.conn.out.waiting(),
            Some(h) => h.may_collect(most).then(|| e.stream.held.len()),
        };
        match waiting {
            Some(bytes) if bytes < most => (most - bytes).max(STREAM_READ_LEAST),
            _ => 0,
        }
    }
}

impl Worker {
    /// Notes how much waits for peers.
    pub(super) fn note_pending(&self) {
        let pool = &self.io.pool;
        self.counters.pending.bytes.set((pool.kept + pool.pending + pool.uploads) as u64);
    }

    /// Reads on for a client that has taken some of what waits for it, of which there was so much.
    pub(super) fn collect_on(&mut self, ci: usize, before: Option<usize>) {
        let exchange = self.clients.get(ci).filter(|c| c.phase == Phase::Exchange);
        let Some(x) = exchange.and_then(|c| c.exchange) else {
            return;
        };
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let waiting = before.zip(c.conn.out.waiting());
        if waiting.is_some_and(|(before, after)| e.goes_on_collecting(before, after)) {
            self.proceed_exchange(x);
        }
    }
}
