//! The end of exchanges and connections: counts, the log line, and what follows.

use super::Worker;
use super::accept::deadline_after;
use super::claim::{Left, release_limits};
use super::client::Phase;
use super::exchange::{ExId, Exchange};
use super::http2::StreamEnd;
use hg_middleware::{Ended, Failure};
use hg_resilience::Outcome;

/// The bytes that a client may still send after an answer that closes its connection.
pub(super) const LINGER_BYTES: u32 = 64 * 1024;
/// The time for which it may do so.
pub(super) const LINGER_MS: u64 = 2_000;
/// Status in the log of requests whose client did not wait (nginx's code).
const CLIENT_GONE: u16 = 499;

impl Worker {
    /// Ends an exchange whose answer is written: counts it, then waits for the next request, or
    /// closes.
    pub(super) fn finish(&mut self, x: ExId) {
        self.detach(x, None, "");
        if self.end_sub(x, None) {
            return;
        }
        let Some(e) = self.end_exchange(x) else {
            return;
        };
        let (ci, close, unread) = (e.client, e.close_after, !e.request.done);
        if e.stream.is_http2() {
            let is_malformed = e.stream.is_malformed;
            let how = if is_malformed { StreamEnd::Malformed } else { StreamEnd::Finished };
            self.end_stream(&e, how);
            return self.account(e);
        }
        self.account(e);
        if close {
            return self.close_politely(ci, unread);
        }
        let idle_ms = self.listener(ci).map_or(0, |l| l.plan.idle_timeout_ms);
        let deadline = deadline_after(self.now_us, idle_ms);
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        c.phase = Phase::Idle;
        c.deadline = self.leaving.idle_deadline().min(deadline);
        let more = c.conn.readable || !c.input.is_empty();
        self.arm_client(ci);
        if more {
            self.enqueue(ci);
        }
    }

    /// Takes an exchange from its client: it has ended.
    fn end_exchange(&mut self, x: ExId) -> Option<Box<Exchange>> {
        let e = self.exchanges.take(x)?;
        self.io.pool.collected -= e.body.collected;
        if let Some(c) = self.clients.get_mut(e.client) {
            c.exchange = None;
            if e.status == 101 && c.phase != Phase::Tunnel {
                self.counters.tunnels.closed();
            }
        }
        Some(e)
    }

    /// Counts and logs an exchange that has ended.
    fn account(&mut self, mut e: Box<Exchange>) {
        let total = self.now_us.saturating_sub(e.start_us);
        if let Some(mut later) = e.chained.later.take() {
            later.end(&Ended { status: e.status, took_us: total });
            e.end_paces(self.now_us);
        }
        self.counters.requests.add(1);
        self.counters.duration.record(total);
        let method = u8::try_from(e.method.index()).unwrap_or(9);
        let status = e.status;
        match self.upstreams.same(e.upstream, e.upstream_id) {
            Some(u) => u.counters.ended(method, status, total),
            None => match e.entry() {
                Some(entry) => self.counters.upstream(&entry.name).ended(method, status, total),
                None => self.counters.own.add(method, status),
            },
        }
        if e.log.trace.is_recorded() {
            self.write_spans(&e);
        }
        self.log_exchange(&e, total);
        self.exchanges.give_back(e);
    }

    /// Closes after an answer in a way that lets the client read it (RFC 9112 §9.6).
    pub(super) fn close_politely(&mut self, ci: usize, unread: bool) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        c.conn.end_tls(&mut self.io);
        if !c.conn.out.is_empty() {
            c.phase = Phase::Closing { unread };
            c.deadline = deadline_after(self.now_us, LINGER_MS);
            return self.arm_client(ci);
        }
        // Unread bytes would turn the close into a reset that may overtake the answer.
        if !unread && !c.conn.readable && c.input.is_empty() {
            return self.close_client(ci);
        }
        hg_net::shutdown_write(&c.conn.fd);
        c.phase = Phase::Lingering;
        c.requests = LINGER_BYTES;
        c.input = Vec::new();
        c.deadline = deadline_after(self.now_us, LINGER_MS);
        self.arm_client(ci);
        self.discard_input(ci);
    }

    /// Ends an exchange whose client is gone or cannot be reached, and the client's connection.
    pub(super) fn client_gone(&mut self, x: ExId) {
        self.detach(x, None, "");
        if self.end_sub(x, Some(Failure::NotAsked)) {
            return;
        }
        let Some(mut e) = self.end_exchange(x) else {
            return;
        };
        let ci = e.client;
        let complete = e.is_answer_complete() && e.reason.is_empty();
        if !complete {
            e.status = if e.answered { e.status } else { CLIENT_GONE };
            e.reason = "client-gone";
            self.counters.reject("client-gone");
        }
        if e.stream.is_http2() {
            self.end_stream(&e, StreamEnd::Gone);
            return self.account(e);
        }
        self.account(e);
        self.close_client(ci);
    }

    /// Ends a connection in the middle of an answer, so that nobody takes the part for a whole
    /// answer.
    pub(super) fn cut(&mut self, x: ExId) {
        self.detach(x, None, "");
        if self.end_sub(x, Some(Failure::Invalid)) {
            return;
        }
        let Some(e) = self.end_exchange(x) else {
            return;
        };
        let ci = e.client;
        if e.stream.is_http2() {
            self.end_stream(&e, StreamEnd::Cut);
            return self.account(e);
        }
        self.account(e);
        self.reset_client(ci);
    }

    /// Closes a connection without an exchange so that nobody takes the end for an answer.
    pub(super) fn reset_client(&mut self, ci: usize) {
        if let Some(c) = self.forget_client(ci) {
            hg_net::close_with_reset(c.conn.fd);
        }
    }

    /// Closes a connection that its client has left or that failed.
    pub(super) fn connection_lost(&mut self, ci: usize) {
        if self.lose_http2(ci) {
            return;
        }
        match self.clients.get(ci).and_then(|c| c.exchange) {
            Some(x) => self.client_gone(x),
            None => self.close_client(ci),
        }
    }

    /// Closes a client's connection in whatever state it is.
    pub(super) fn close_client(&mut self, ci: usize) {
        self.drop_streams(ci);
        self.end_exchange_of(ci);
        self.forget_client(ci);
    }

    /// Ends and counts the exchange that a client has over HTTP/1, whatever state it is in.
    pub(super) fn end_exchange_of(&mut self, ci: usize) {
        let Some(x) = self.clients.get(ci).and_then(|c| c.exchange) else {
            return;
        };
        self.detach(x, None, "");
        match self.end_exchange(x) {
            Some(e) if e.status > 0 => self.account(e),
            Some(mut e) => {
                e.end_paces(self.now_us);
                self.exchanges.give_back(e);
            }
            None => {}
        }
    }

    fn forget_client(&mut self, ci: usize) -> Option<super::client::Client> {
        let mut c = self.clients.try_remove(ci)?;
        c.conn.out.release(&mut self.io.pool);
        self.agenda.leave(&c.standing);
        self.counters.connections.sub(1);
        c.counters.connections.sub(1);
        if c.phase == Phase::Tunnel {
            self.counters.tunnels.closed();
        }
        if c.http2.is_some() {
            self.counters.http2.connections.closed();
        }
        self.shared.leave(&c.seat.open, c.peer.ip(), c.seat.counted);
        if self.accept_paused {
            self.resume_accepting();
        }
        Some(c)
    }

    /// Releases every connection to an endpoint that the exchange has.
    /// `failed` says that the request failed there, and what that says of the endpoint.
    pub(super) fn detach(&mut self, x: ExId, failed: Option<Outcome>, why: &str) {
        self.leave_waiting(x);
        if self.upstreams.hedged > 0 {
            self.drop_side(x);
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.chained.paused.is_some() {
            self.drop_sub(x, None);
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.link.stream.is_some() {
            self.leave_lead(x);
            self.leave_stream(x, failed == Some(Outcome::Timeout));
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        // What a tunnel has passed on may still be unread; a reset would discard it.
        let is_tunnel = e.status == 101;
        let up = e.up.take();
        let attempts = std::mem::take(&mut e.attempts);
        if failed.is_some()
            && e.counted
            && let Some(endpoint) = &e.endpoint
        {
            endpoint.failed(why);
        }
        for ui in attempts.iter().copied().chain(up) {
            match is_tunnel {
                true => self.drop_up(ui),
                false => self.abandon_up(ui),
            }
        }
        self.leave_endpoint(x, self.now_us, failed.unwrap_or(Outcome::Cancelled));
        if let Some(e) = self.exchanges.get_mut(x) {
            e.attempts = attempts;
            e.attempts.clear();
        }
    }

    /// Closes a connection to an endpoint that no exchange and no pool uses any more.
    pub(super) fn drop_up(&mut self, ui: usize) {
        if let Some(mut up) = self.ups.try_remove(ui) {
            up.conn.end_tls(&mut self.io);
            up.conn.out.release(&mut self.io.pool);
        }
    }

    /// Closes a connection to an endpoint before what was asked of it has ended: with a reset, which
    /// says so, and leaves no port in TIME-WAIT (RFC 9293 §3.6.1). Else a client that begins requests
    /// and gives them up takes all local ports within seconds.
    pub(super) fn abandon_up(&mut self, ui: usize) {
        if let Some(mut up) = self.ups.try_remove(ui) {
            up.conn.out.release(&mut self.io.pool);
            self.agenda.close(up.conn.fd);
        }
    }

    /// Counts the request as no longer in flight at its endpoint.
    pub(super) fn leave_endpoint(&mut self, x: ExId, now_us: u64, outcome: Outcome) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if !std::mem::take(&mut e.counted) {
            return;
        }
        e.end_try(now_us, outcome);
        let claim = std::mem::take(&mut e.claim);
        let Some(endpoint) = &e.endpoint else { return };
        endpoint.counters.active.sub(1);
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) {
            let left = Left { outcome, admission: claim.admission, times: e.times, now_us };
            u.left(endpoint, &left, &self.shared);
        }
        if let Some(entry) = claim.limits {
            release_limits(&entry, &endpoint.address);
        }
    }
}

#[cfg(test)]
mod tests;
