//! The ends of streams and connections to endpoints, and what becomes of the requests on them.

use super::{DETACHED, PROBE_MS};
use crate::counters::Retry;
use crate::worker::accept::deadline_after;
use crate::worker::answer::own;
use crate::worker::exchange::{ExId, Stage};
use crate::worker::http2::in_order;
use crate::worker::{Turn, Worker};
use hg_h2::{Code, Due};
use hg_net::{Clock, Ticks};
use hg_resilience::Outcome;

/// The most resends of a request after an endpoint has said that it did not process it.
const MOST_REFUSED: u8 = 3;
/// The PING that asks an endpoint whether it is still there.
const PROBE: [u8; 8] = *b"hg-probe";

/// The reason why a stream ended before its answer did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Loss {
    /// The endpoint ends the connection and says that it processed nothing: the request may be
    /// sent again.
    Unprocessed,
    /// The endpoint refused the stream: the request may be sent again, better to another one.
    Refused,
    /// The endpoint ended the stream.
    Reset,
    /// The endpoint broke the rules of HTTP/2.
    Protocol,
    /// The connection is gone.
    Broken,
}

impl Worker {
    /// Takes an exchange's stream from it, whose work is over or not wanted any more: a stream that
    /// still runs is cancelled. `asks` says to find out whether the endpoint is still there.
    pub(crate) fn leave_stream(&mut self, x: ExId, asks: bool) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(s) = e.link.stream.as_deref_mut().filter(|s| s.id != 0) else {
            return;
        };
        let id = std::mem::take(&mut s.id);
        // The head of a handshake does not end its stream.
        let ends = e.upgrade.is_none() || e.status == 101;
        let sent = e.request.done && s.held.is_empty() && ends;
        let ended = s.has_ended;
        self.io.pool.note_upload(s.held.memory(), 0);
        s.held = s.held.recycle();
        // Without a connection the stream ended before.
        let Some(ui) = e.up.take() else { return };
        let probed_until = deadline_after(self.now_us, PROBE_MS);
        let Some(h) = self.shared_at(ui) else {
            return;
        };
        if h.streams.remove(&id).is_none() {
            return;
        }
        if !ended || !sent {
            h.session.reset(id, Code::CANCEL);
        }
        if asks && h.probed_until == Ticks::MAX {
            h.session.ping(PROBE);
            h.probed_until = probed_until;
        }
        self.counters.http2.upstream.streams.closed();
        self.after_stream(ui);
    }

    /// Handles a connection that has one stream less.
    fn after_stream(&mut self, ui: usize) {
        self.mark_shared(ui);
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut().filter(|h| h.streams.is_empty()) else {
            return;
        };
        debug_assert_eq!(h.session.streams(), 0, "streams without an exchange");
        if h.session.is_ending() {
            // The flush at the end of the turn closes it.
            return;
        }
        match self.pools.get(up.pool).map(|pool| pool.shared.len()) {
            Some(connections) if connections <= h.most_idle => {
                h.noted.idle = true;
                up.endpoint.counters.idle.add(1);
                self.rearm_shared(ui, false);
            }
            _ => self.retire_shared(ui),
        }
    }

    /// Gives a connection no further request; it closes once its streams have ended.
    pub(crate) fn retire_shared(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        h.session.finish();
        if let Some(pool) = self.pools.get(up.pool) {
            pool.shared.retain(|one| *one != ui);
        }
        self.mark_shared(ui);
    }

    /// Closes a connection that nothing uses any more.
    pub(crate) fn close_shared(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if let Some(pool) = self.pools.get(up.pool) {
            pool.shared.retain(|one| *one != ui);
        }
        let Some(h) = up.http2.take() else {
            return;
        };
        if h.noted.idle {
            up.endpoint.counters.idle.sub(1);
        }
        // Those that waited for its greeting look for another one.
        self.agenda.extend(h.late.into_iter().map(Turn::Join));
        self.counters.http2.upstream.connections.closed();
        self.drop_up(ui);
    }

    /// Ends a connection that broke, and every stream on it.
    pub(super) fn lose_shared(&mut self, ui: usize, loss: Loss, why: &str) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        let all = in_order(&std::mem::take(&mut h.streams));
        let late = std::mem::take(&mut h.late);
        // Its last words tell the endpoint what it did wrong; it may be gone.
        let _ = up.conn.send(&mut self.io, h.session.output(), &mut Vec::new(), 0..0);
        self.close_shared(ui);
        for (_, x) in all {
            self.counters.http2.upstream.streams.closed();
            self.on_stream_lost(x, loss, why);
        }
        for x in late {
            if self.waits_to_join(x) {
                self.endpoint_failed(x, &own::LOST, Some(why));
            }
        }
    }

    /// Handles a stream that was cut off.
    pub(super) fn on_up_reset(&mut self, ui: usize, stream: u32, loss: Loss, why: &str) {
        let Some(h) = self.shared_at(ui) else {
            return;
        };
        h.session.release(stream);
        let Some(x) = h.streams.remove(&stream) else {
            return;
        };
        self.counters.http2.upstream.streams.closed();
        self.on_stream_lost(x, loss, why);
        self.after_stream(ui);
    }

    /// Handles a GOAWAY: streams above the last one were not processed, the others go on.
    pub(super) fn on_up_away(&mut self, ui: usize, last: u32) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if let Some(pool) = self.pools.get(up.pool) {
            pool.shared.retain(|one| *one != ui);
        }
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        let mut above = in_order(&h.streams);
        above.retain(|(id, _)| *id > last);
        for (id, _) in &above {
            h.streams.remove(id);
            h.session.reset(*id, Code::CANCEL);
        }
        for (_, x) in above {
            self.counters.http2.upstream.streams.closed();
            self.on_stream_lost(x, Loss::Unprocessed, "the endpoint closes the connection");
        }
        self.mark_shared(ui);
    }

    /// Handles the loss of a stream that is no longer on its connection: sends the request again if
    /// that is safe.
    pub(super) fn on_stream_lost(&mut self, x: ExId, loss: Loss, why: &str) {
        // What came before reaches the client.
        self.pump_answer(x);
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(s) = e.link.stream.as_deref_mut() else {
            return;
        };
        e.up = None;
        self.io.pool.note_upload(s.held.memory(), 0);
        s.held = s.held.recycle();
        if s.has_ended {
            // The answer is whole; its client may not have taken all of it.
            s.id = DETACHED;
            return self.end_if_over(x);
        }
        s.id = 0;
        if e.answered || e.stage != Stage::Waiting {
            return self.truncated(x, why);
        }
        let is_stale = loss == Loss::Broken && e.on_reused && e.times.first_byte_us == 0;
        let may_repeat = match loss {
            Loss::Unprocessed | Loss::Refused => s.refused < MOST_REFUSED,
            _ => is_stale && !e.tries.stale && e.method.is_idempotent(),
        };
        if !may_repeat || !e.replayable {
            if let Some(p) = &e.endpoint {
                p.remember(why);
            }
            let reject = match loss {
                Loss::Unprocessed | Loss::Refused => own::REFUSED,
                Loss::Protocol => own::PROTOCOL,
                Loss::Reset | Loss::Broken => own::LOST,
            };
            return self.refuse(x, &reject);
        }
        if matches!(loss, Loss::Unprocessed | Loss::Refused) {
            s.refused += 1;
            self.count_retry(x, Retry::RefusedStream);
        } else {
            e.tries.stale = true;
            self.count_retry(x, Retry::StaleConnection);
        }
        if loss == Loss::Refused {
            return self.ask_another(x);
        }
        self.renew_connect(x);
        self.join(x);
    }

    /// Sends a request that its endpoint refused to another one, or to the same if no other is
    /// usable. No budget pays for that: the endpoint did nothing.
    fn ask_another(&mut self, x: ExId) {
        self.leave_endpoint(x, self.now_us, Outcome::Refused);
        self.choose_again(x);
    }

    /// Sets a connection's deadline by what it waits for.
    pub(super) fn rearm_shared(&mut self, ui: usize, wrote: bool) {
        let now_ms = self.now_us / 1000;
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(h) = up.http2.as_deref_mut() else {
            return;
        };
        h.watch.turn(&h.session, wrote, now_ms);
        let due = [h.watch.deadline_ms(&h.times), h.pace.due_ms()].into_iter().flatten().min();
        let due = due.map_or(Ticks::MAX, |ms| Clock::after(ms * 1000, 0));
        up.deadline = due.min(h.stalled_at).min(h.probed_until);
        self.arm_up(ui);
    }

    /// Handles a deadline of [`Worker::rearm_shared`].
    pub(crate) fn expire_shared(&mut self, ui: usize) {
        let (now, now_ms) = (self.now, self.now_us / 1000);
        let Some(h) = self.shared_at(ui) else {
            return;
        };
        if h.stalled_at <= now {
            self.counters.http2.upstream.end(hg_h2::Reason::WriteTimeout);
            return self.lose_shared(ui, Loss::Broken, "the endpoint took nothing for too long");
        }
        if h.probed_until <= now {
            self.counters.http2.upstream.end(hg_h2::Reason::PingTimeout);
            return self.lose_shared(ui, Loss::Broken, "the endpoint did not answer a PING");
        }
        let is_paced = h.pace.due_ms().is_some_and(|ms| ms <= now_ms);
        match h.watch.due(&h.times, now_ms) {
            Due::Nothing | Due::Ping if is_paced => self.take_paced_turns(ui),
            // An endpoint gets a PING in doubt only: see `probed_until`.
            Due::Nothing | Due::Ping => self.rearm_shared(ui, false),
            Due::Finish | Due::Shutdown => self.retire_shared(ui),
            Due::Abort(close) => {
                h.session.abort(close.code, close.reason);
                self.counters.http2.upstream.end(close.reason);
                self.lose_shared(ui, Loss::Broken, close.reason.text());
            }
        }
    }
}

#[cfg(test)]
mod tests;
