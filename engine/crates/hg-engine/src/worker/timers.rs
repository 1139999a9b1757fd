//! Deadlines: one per connection, set by whoever changes its state.

mod entry;

pub(crate) use entry::{Entry, Fired};

use super::accept::deadline_after;
use super::answer::own;
use super::client::{Client, Phase};
use super::exchange::{ExId, Exchange, Stage, pair};
use super::{KIND_CLIENT, KIND_EXCHANGE, KIND_HOUSE, KIND_LEAVING, KIND_UP, Worker, tcp};
use crate::counters::Timeout;
use crate::snapshot::ListenerEntry;
use hg_net::{Ticks, Token};

/// The interval at which the worker passes the log on and continues to leave.
const HOUSE_MS: u64 = 200;

impl Worker {
    /// Returns the listener of a client, as it is now or last was.
    pub(super) fn listener(&self, ci: usize) -> Option<&ListenerEntry> {
        let c = self.clients.get(ci)?;
        let held = c.pinned.as_ref().unwrap_or(&self.held);
        held.listeners.get(usize::from(c.listener))?.as_deref()
    }

    /// Makes sure that the wheel fires no later than the client's deadline.
    pub(super) fn arm_client(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        if c.timer.moves_to(c.deadline) {
            let (token, at) = (Token::new(KIND_CLIENT, c.generation, ci), c.deadline);
            self.enter(token, at);
        }
    }

    /// Has the wheel fire at a tick.
    pub(super) fn enter(&mut self, token: Token, at: Ticks) {
        self.wheel.insert(token.raw(), at);
        self.wheel_next = self.wheel_next.min(at);
    }

    pub(super) fn arm_up(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if up.timer.moves_to(up.deadline) {
            let (token, at) = (Token::new(KIND_UP, up.generation, ui), up.deadline);
            self.enter(token, at);
        }
    }

    /// Notes that an exchange has made progress.
    pub(super) fn progress(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let idle_ms = e.route().map_or(0, |r| r.terms.timeouts.stream_idle_ms);
        e.due.idle = deadline_after(self.now_us, idle_ms);
        let (ci, deadline) = (e.client, e.deadline());
        if e.has_own_timer() {
            e.stream.deadline = deadline;
            return self.arm_stream(x);
        }
        c.deadline = deadline;
        self.arm_client(ci);
    }

    /// Makes sure that the wheel fires no later than the deadline of an exchange that has a timer of
    /// its own.
    fn arm_stream(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let s = &mut e.stream;
        if s.timer.moves_to(s.deadline) {
            let at = s.deadline;
            self.enter(x.token(KIND_EXCHANGE), at);
        }
    }

    fn fire_stream(&mut self, token: Token, at: Ticks) {
        let Some(x) = self.exchanges.named(token) else {
            return;
        };
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        match e.stream.timer.fires(at, e.stream.deadline, self.now) {
            Fired::Stale => {}
            Fired::Early => self.arm_stream(x),
            Fired::Due => self.expire_exchange(x),
        }
    }

    pub(super) fn start_head_timer(&mut self, ci: usize) {
        let ms = self.listener(ci).map_or(0, |l| l.plan.head_timeout_ms);
        let at = deadline_after(self.now_us, ms);
        if let Some(c) = self.clients.get_mut(ci) {
            c.deadline = at;
        }
        self.arm_client(ci);
    }

    pub(super) fn run_timers(&mut self) {
        if self.now < self.wheel_next {
            return;
        }
        let mut fired = std::mem::take(&mut self.fired);
        self.wheel.advance(self.now, &mut fired);
        for (raw, at) in fired.drain(..) {
            let token = Token::from_raw(raw);
            match token.kind() {
                KIND_CLIENT => self.fire_client(token, at),
                KIND_UP => self.fire_up(token, at),
                KIND_EXCHANGE => self.fire_stream(token, at),
                tcp::KIND_SESSION => self.fire_session(token, at),
                KIND_LEAVING => self.go_on_leaving(),
                KIND_HOUSE => self.house_keeping(),
                _ => {}
            }
        }
        self.fired = fired;
        self.wheel_next =
            self.wheel.until_next().map_or(Ticks::MAX, |d| self.now.saturating_add(d));
    }

    pub(super) fn fire_client(&mut self, token: Token, at: Ticks) {
        let ci = token.index();
        let found = self.clients.get_mut(ci);
        let Some(c) = found.filter(|c| c.generation == token.generation()) else {
            return;
        };
        match c.timer.fires(at, c.deadline, self.now) {
            Fired::Stale => {}
            Fired::Early => self.arm_client(ci),
            Fired::Due => self.expire_client(ci),
        }
    }

    pub(super) fn fire_up(&mut self, token: Token, at: Ticks) {
        let ui = token.index();
        let found = self.ups.get_mut(ui);
        let Some(up) = found.filter(|up| up.generation == token.generation()) else {
            return;
        };
        match up.timer.fires(at, up.deadline, self.now) {
            Fired::Stale => {}
            Fired::Early => self.arm_up(ui),
            Fired::Due => self.expire_up(ui),
        }
    }

    pub(super) fn expire_client(&mut self, ci: usize) {
        let Some(c) = self.clients.get(ci) else {
            return;
        };
        match c.phase {
            Phase::ProxyHeader => self.expire_header(ci),
            Phase::Detect => self.expire_detection(ci),
            Phase::Hello(_) | Phase::Handshake => {
                self.counters.timeout(Timeout::Handshake);
                self.close_client(ci);
            }
            Phase::Idle => self.expire_idle(ci),
            Phase::Head => {
                self.counters.timeout(Timeout::Head);
                let head = c.input.clone();
                self.refuse_head(ci, &head, &own::HEAD_TIMEOUT);
            }
            Phase::Exchange => {
                if let Some(x) = c.exchange {
                    self.expire_exchange(x);
                }
            }
            Phase::Http2 => self.expire_http2(ci),
            Phase::Tunnel => {
                if c.exchange.is_some_and(|x| self.face_resume(x)) {
                    return;
                }
                self.counters.timeout(Timeout::StreamIdle);
                self.close_client(ci);
            }
            Phase::Lingering | Phase::Closing { .. } => self.close_client(ci),
        }
    }

    /// Closes an idle connection, unless a request that came in time is in the socket.
    fn expire_idle(&mut self, ci: usize) {
        let Some(c) = self.clients.get_mut(ci) else {
            return;
        };
        let generation = c.generation;
        if hg_net::is_readable_or_closed(&c.conn.fd) {
            c.conn.readable = true;
            self.on_client_readable(ci);
        }
        let still = |c: &&Client| c.generation == generation && c.phase == Phase::Idle;
        let Some(c) = self.clients.get(ci).filter(still) else {
            return;
        };
        if c.deadline > self.now {
            // The request was answered at once.
            return;
        }
        // On a new connection the head did not come in time.
        let which = if c.requests == 0 { Timeout::Head } else { Timeout::Idle };
        self.counters.timeout(which);
        self.close_politely(ci, false);
    }

    fn expire_exchange(&mut self, x: ExId) {
        let now = self.now;
        if self.face_due(x) || self.face_resume(x) {
            return;
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        if e.stage == Stage::Paused {
            return self.expire_pause(x);
        }
        if e.stage == Stage::Backoff && e.due.request > now {
            return if e.due.again <= now { self.try_again(x) } else { self.rearm(x) };
        }
        let (which, reject) = if e.due.request <= now {
            (Timeout::Request, own::REQUEST_TIMEOUT)
        } else if e.stage == Stage::Queued {
            (Timeout::Queue, own::QUEUE_TIMEOUT)
        } else if e.stage == Stage::Connecting && e.due.connect <= now {
            (Timeout::Connect, own::CONNECT_TIMEOUT)
        } else if e.stage == Stage::Connecting && e.due.endpoint <= now {
            self.count_timeout(x, Timeout::Connect);
            return self.attempts_too_slow(x);
        } else if e.stage == Stage::Connecting && e.due.next_address <= now {
            e.due.next_address = Ticks::MAX;
            return self.open_next(x);
        } else if e.body_deadline() <= now {
            return self.expire_body(x);
        } else if !e.answered && e.due.one_try <= now {
            (Timeout::PerTry, own::TRY_TIMEOUT)
        } else if e.stage == Stage::Waiting && e.due.first_byte <= now {
            (Timeout::FirstByte, own::FIRST_BYTE_TIMEOUT)
        } else if e.due.idle <= now {
            let client_is_slow = !e.request.done && !e.answered;
            (Timeout::StreamIdle, if client_is_slow { own::BODY_TIMEOUT } else { own::STREAM_IDLE })
        } else {
            // The deadline was moved after the entry was made.
            return self.rearm(x);
        };
        self.count_timeout(x, which);
        self.refuse(x, &reject);
    }

    /// Counts a timeout, unless nobody waited.
    fn count_timeout(&self, x: ExId, which: Timeout) {
        if !self.exchanges.get(x).is_some_and(Exchange::is_mirrored) {
            self.counters.timeout(which);
        }
    }

    pub(super) fn rearm(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let (ci, deadline) = (e.client, e.deadline());
        if e.has_own_timer() {
            e.stream.deadline = deadline;
            return self.arm_stream(x);
        }
        c.deadline = deadline;
        self.arm_client(ci);
    }

    /// Runs a few times a second, off the request path.
    pub(super) fn house_keeping(&mut self) {
        let next = deadline_after(self.now_us, HOUSE_MS);
        self.enter(Token::new(KIND_HOUSE, 0, 0), next);
        self.records.log.flush();
        self.records.traces.flush();
        self.counters.cpu_us.set(hg_net::thread_cpu_micros());
        self.resume_accepting();
        self.end_retired();
        self.sweep_flows();
        self.io.pool.endured = 0;
        self.relieve();
        self.go_on_leaving();
    }
}

#[cfg(test)]
mod tests;
