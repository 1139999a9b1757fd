//! From a prepared request to a connection that carries it: endpoint, pool or connect, send.

use super::accept::deadline_after;
use super::answer::own;
use super::claim::Claim;
use super::conn::{Conn, Session};
use super::exchange::{ConnectTime, ExId, Exchange, Stage, TryTimes};
use super::timers::Entry;
use super::up::{Up, UpPhase};
use super::upstreams::{EndpointState, NoPick, UpstreamState};
use super::{KIND_UP, Worker, multiplex, room};
use crate::counters::Retry;
use hg_net::{Address, Event, Ticks, Token};
use hg_policy::Random as _;
use hg_proto::Reject;
use hg_resilience::Outcome;
use std::rc::Rc;

/// After this long the worker also tries a second address, in parallel with a slow first one (RFC
/// 8305 §5).
const ATTEMPT_DELAY_MS: u64 = 250;

impl Exchange {
    /// Returns how many endpoints share the time to connect: one that swallows SYNs must leave time
    /// for others.
    fn shares(&self, u: &UpstreamState) -> u64 {
        u.endpoints.len().saturating_sub(self.tried.len()).clamp(1, 3) as u64
    }

    /// Gives its endpoint one of so many shares of the time that is left to connect.
    fn limit_endpoint(&mut self, now: Ticks, shares: u64) {
        let left = self.due.connect.saturating_sub(now);
        self.due.endpoint = now.saturating_add(left / shares);
    }
}

impl Worker {
    /// Picks an endpoint and sends the request, or queues it, or answers why neither is possible.
    pub(super) fn dispatch(&mut self, x: ExId) {
        if !self.dispatch_now(x) {
            self.queue_up(x);
        }
    }

    /// Does the same, but leaves a request that has to wait to the caller: the result is false.
    pub(super) fn dispatch_now(&mut self, x: ExId) -> bool {
        let Some(e) = self.exchanges.get_mut(x) else {
            return true;
        };
        let Some(u) = self.upstreams.same(e.upstream, e.upstream_id) else {
            self.refuse(x, &own::NO_UPSTREAM);
            return true;
        };
        if e.stream.is_grpc && !e.may_multiplex() {
            self.refuse(x, &own::NO_GRPC);
            return true;
        }
        match e.pick(u, (self.now_us, &mut self.rng), &self.shared) {
            Ok(picked) => {
                let shares = e.shares(u);
                self.go_to(x, picked, shares);
            }
            Err(NoPick::Full) => return false,
            Err(NoPick::Broken) => {
                let until_ms = u.entry.broken_until_ms().unwrap_or_default();
                let left_ms = until_ms.saturating_sub(self.now_us / 1_000);
                self.refuse_for(x, &own::BREAKER_OPEN, Some(left_ms.div_ceil(1_000).max(1)));
            }
            Err(NoPick::None) if e.is_sub() && u.keeps_some_back(&e.tried) => {
                // The service is not away: it is the node that does not ask it.
                self.refuse(x, &own::BREAKER_OPEN);
            }
            Err(NoPick::None) => {
                let unresolved = u.endpoints.iter().all(|e| e.targets.is_empty());
                let reject = if !e.tried.is_empty() {
                    own::CONNECT_REFUSED
                } else if unresolved {
                    own::UNRESOLVED
                } else {
                    own::NO_ENDPOINT
                };
                self.refuse(x, &reject);
            }
        }
        true
    }

    /// Gives a request that is sent again to the same endpoint its time to connect.
    pub(super) fn renew_connect(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let connect_ms = e.entry().map_or(0, |u| u.plan.connect_timeout_ms);
        e.due.connect = deadline_after(self.now_us, connect_ms);
        let shares = self.upstreams.same(e.upstream, e.upstream_id).map_or(1, |u| e.shares(u));
        e.limit_endpoint(self.now, shares);
    }

    /// Sends the request to an endpoint that was picked for it, which may take one of so many shares
    /// of the time to connect.
    pub(super) fn go_to(
        &mut self,
        x: ExId,
        (endpoint, claim): (Rc<EndpointState>, Claim),
        shares: u64,
    ) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        (e.counted, e.claim, e.next_address) = (true, claim, 0);
        e.times = TryTimes { began_us: self.now_us, ..TryTimes::default() };
        let per_try = e.route().map_or(0, |r| r.terms.timeouts.per_try_ms);
        e.due.one_try = deadline_after(self.now_us, per_try);
        e.limit_endpoint(self.now, shares);
        e.endpoint = Some(endpoint.clone());
        if e.log.trace.is_recorded() {
            e.begin_try(self.rng.next_u64().max(1));
        }
        if e.may_multiplex() {
            return self.join(x);
        }
        match self.take_idle(x, &endpoint) {
            Some(ui) => self.attach(x, ui, true),
            None => self.open_next(x),
        }
    }

    /// Takes the freshest usable idle connection from the endpoint's pool.
    pub(super) fn take_idle(&mut self, x: ExId, endpoint: &Rc<EndpointState>) -> Option<usize> {
        let e = self.exchanges.get(x)?;
        let idempotent = e.method.is_idempotent();
        if !idempotent && self.now < endpoint.distrusted_until.get() {
            return None;
        }
        let max_age = e.entry().map_or(0, |u| u.plan.pool.max_age_ms);
        let told = self.would_tell(x);
        loop {
            let ui = self.next_idle(endpoint.pool, told.as_deref())?;
            let Some(up) = self.ups.get(ui) else { continue };
            up.endpoint.counters.idle.sub(1);
            let too_old = max_age > 0
                && self.now.saturating_sub(up.opened) * hg_net::Clock::TICK_MS >= max_age;
            // A request that cannot be sent twice uses only a connection that the upstream has not
            // closed.
            let stale = !idempotent && hg_net::is_readable_or_closed(&up.conn.fd);
            if too_old || stale {
                self.drop_up(ui);
                continue;
            }
            return Some(ui);
        }
    }

    /// Begins to connect to the endpoint's next address; the first address that fails is not yet a
    /// failure of the endpoint.
    pub(super) fn open_next(&mut self, x: ExId) {
        loop {
            let Some(e) = self.exchanges.get_mut(x) else {
                return;
            };
            let Some(endpoint) = e.endpoint.clone() else {
                return;
            };
            let addresses = endpoint.targets.clone();
            let n = addresses.len();
            if e.next_address >= n {
                if e.attempts.is_empty() {
                    self.endpoint_failed(x, &own::CONNECT_REFUSED, None);
                }
                return;
            }
            if e.next_address == 0 {
                e.connect = ConnectTime { began_us: self.now_us, took_us: None };
            }
            let at = (endpoint.preferred.get() + e.next_address) % n;
            e.next_address += 1;
            e.stage = Stage::Connecting;
            e.due.next_address = if e.next_address < n {
                deadline_after(self.now_us, ATTEMPT_DELAY_MS)
            } else {
                Ticks::MAX
            };
            let Some(address) = addresses.get(at) else {
                return;
            };
            endpoint.counters.connects.add(1);
            match hg_net::connect(address) {
                Ok(fd) => match self.add_up(x, Conn::new(fd), &endpoint, address) {
                    Ok(ui) => {
                        if let Some(e) = self.exchanges.get_mut(x) {
                            e.attempts.push(ui);
                        }
                        return self.progress(x);
                    }
                    Err(error) => self.connect_failed(&endpoint, &error),
                },
                Err(error) => self.connect_failed(&endpoint, &error),
            }
        }
    }

    fn connect_failed(&mut self, endpoint: &EndpointState, error: &std::io::Error) {
        endpoint.counters.connect_failures.add(1);
        endpoint.remember(&error.to_string());
    }

    fn add_up(
        &mut self,
        x: ExId,
        conn: Conn,
        endpoint: &Rc<EndpointState>,
        target: &Address,
    ) -> std::io::Result<usize> {
        let generation = self.next_generation();
        let vacant = room::vacant_entry(&mut self.ups);
        let ui = vacant.key();
        self.poller.add_stream(&conn.fd, Token::new(KIND_UP, generation, ui))?;
        vacant.insert(Up {
            conn,
            generation,
            phase: UpPhase::Connecting,
            exchange: Some(x),
            pool: endpoint.pool,
            endpoint: endpoint.clone(),
            target: target.clone(),
            deadline: Ticks::MAX,
            timer: Entry::NONE,
            opened: self.now,
            input: Vec::new(),
            http2: None,
        });
        Ok(ui)
    }

    pub(super) fn on_up_event(&mut self, ui: usize, event: Event) {
        if self.upstreams.hedged > 0 {
            self.face(ui);
        }
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        match up.phase {
            UpPhase::Connecting => {
                if event.writable || event.closed {
                    // No event repeats what came together with the connection.
                    up.conn.readable = false;
                    up.conn.note_event(&event);
                    self.on_connected(ui);
                }
            }
            UpPhase::Idle => {
                // The event may concern bytes that were read after it was fetched.
                let is_told = event.readable || event.read_closed || event.closed;
                if is_told && hg_net::is_readable_or_closed(&up.conn.fd) {
                    self.forget_idle(ui);
                }
            }
            UpPhase::Handshake => {
                up.conn.note_event(&event);
                self.drive_up_handshake(ui);
            }
            UpPhase::Shared => self.on_shared_event(ui, event),
            UpPhase::Busy => {
                up.conn.note_event(&event);
                let Some(x) = up.exchange else { return };
                if event.writable && !up.conn.out.is_empty() && !self.flush_up(x, ui) {
                    return;
                }
                if self.ups.get(ui).is_some_and(|u| u.conn.readable && u.exchange == Some(x)) {
                    self.on_up_readable(x, ui);
                }
            }
        }
    }

    fn on_connected(&mut self, ui: usize) {
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let Some(x) = up.exchange else { return };
        if let Err(error) = hg_net::take_error(&up.conn.fd) {
            let endpoint = up.endpoint.clone();
            self.connect_failed(&endpoint, &error);
            return self.attempt_failed(x, ui, &own::CONNECT_REFUSED);
        }
        let at = up.endpoint.targets.iter().position(|a| *a == up.target);
        up.endpoint.preferred.set(at.unwrap_or(0));
        if self.tell_client(x, ui).is_err() {
            return self.attempt_failed(x, ui, &own::CONNECT_REFUSED);
        }
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        let exchange = self.exchanges.get(x);
        let entry = exchange.and_then(|e| Some((e, e.entry()?)));
        let tls = entry.and_then(|(e, u)| Some((u.tls.clone()?, multiplex::offer(u, e))));
        let Some((tls, offer)) = tls else {
            return self.connected(x, ui);
        };
        let host =
            crate::snapshot::host_of(&up.endpoint.address).trim_matches(['[', ']']).to_owned();
        match tls.session_offering(&host, offer) {
            Ok(session) => {
                up.phase = UpPhase::Handshake;
                up.conn.start_tls(Session::Client(session), Vec::new());
                if up.conn.hello(&mut self.io).is_err() {
                    return self.attempt_failed(x, ui, &own::TLS_FAILED);
                }
                self.drive_up_handshake(ui);
            }
            Err(e) => {
                up.endpoint.remember(&e.to_string());
                self.attempt_failed(x, ui, &own::TLS_FAILED);
            }
        }
    }

    /// Uses the connection that is ready and gives up the other attempts.
    pub(super) fn connected(&mut self, x: ExId, ui: usize) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return self.drop_up(ui);
        };
        let others: Vec<usize> = e.attempts.drain(..).filter(|a| *a != ui).collect();
        e.connect.took_us = Some(self.now_us.saturating_sub(e.connect.began_us));
        let is_shared = e.may_multiplex();
        for other in others {
            self.abandon_up(other);
        }
        if is_shared && self.connected_shared(x, ui) {
            return;
        }
        self.attach(x, ui, false);
    }

    /// Handles one failed attempt to connect; others may be in progress or follow.
    pub(super) fn attempt_failed(&mut self, x: ExId, ui: usize, reject: &Reject) {
        // In order: it may have an alert for the endpoint.
        self.drop_up(ui);
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.attempts.retain(|a| *a != ui);
        let more = e.endpoint.as_ref().is_some_and(|p| e.next_address < p.targets.len());
        if more {
            self.open_next(x);
        } else if e.attempts.is_empty() {
            self.endpoint_failed(x, reject, None);
        }
    }

    /// Handles an endpoint that could not be connected to: tries the next one within the connect
    /// timeout.
    pub(super) fn endpoint_failed(&mut self, x: ExId, reject: &Reject, why: Option<&str>) {
        let now_us = self.now_us;
        if self.exchanges.get(x).is_some_and(|e| e.link.stream.is_some()) {
            self.fail_followers(x, reject);
            self.leave_lead(x);
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let slot = e.endpoint.as_ref().map_or(usize::MAX, |p| p.slot.get());
        let room = e.tried.insert(slot.min(u32::MAX as usize));
        if let Some(p) = &e.endpoint {
            p.counters.failures.add(1);
            why.into_iter().for_each(|why| p.remember(why));
        }
        let in_time = self.now < e.due.connect;
        self.leave_endpoint(x, now_us, Outcome::Connect);
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let others = self
            .upstreams
            .same(e.upstream, e.upstream_id)
            .is_some_and(|u| u.endpoints.len() > e.tried.len());
        // While another try is under way, this one ends alone.
        let is_alone = e.tries.side.is_none();
        if room && in_time && others && is_alone {
            self.count_retry(x, Retry::ConnectFailure);
            self.dispatch(x);
        } else {
            self.refuse(x, reject);
        }
    }

    /// Sends the request on this connection.
    pub(super) fn attach(&mut self, x: ExId, ui: usize, reused: bool) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return self.drop_up(ui);
        };
        if e.stream.is_grpc {
            // Its trailers would be lost. Another connection may agree on HTTP/2.
            self.drop_up(ui);
            return self.refuse(x, &own::NO_GRPC);
        }
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        up.phase = UpPhase::Busy;
        up.exchange = Some(x);
        up.deadline = Ticks::MAX;
        if let Some(endpoint) = &e.endpoint {
            // Several upstreams may share a pool; each counts its own requests.
            up.endpoint = endpoint.clone();
        }
        up.endpoint.counters.requests.add(1);
        if reused {
            up.endpoint.counters.reuses.add(1);
            e.connect = ConnectTime::default();
        }
        e.count_sending(&mut self.upstreams, self.now_us);
        e.name_endpoint();
        e.up = Some(ui);
        e.on_reused = reused;
        e.stage = Stage::Waiting;
        if e.request.done {
            e.start_waiting(self.now_us);
        } else {
            e.start_upload(self.now_us);
        }
        if up.conn.send(&mut self.io, &e.head, &mut Vec::new(), 0..0).is_err() {
            return self.upstream_lost(x, ui, "connection lost while sending");
        }
        self.go_on_sending(x);
        if self.ups.get(ui).is_some_and(|up| up.exchange == Some(x) && up.conn.readable) {
            self.enqueue_exchange(x);
        }
    }

    /// Closes an idle connection that received bytes or ended: it is of no use any more.
    pub(super) fn forget_idle(&mut self, ui: usize) {
        let Some(up) = self.ups.get(ui) else { return };
        if let Some(pool) = self.pools.get(up.pool) {
            pool.idle.retain(|i| *i != ui);
        }
        up.endpoint.counters.idle.sub(1);
        self.drop_up(ui);
    }

    /// Closes a connection that waited in a pool that is gone.
    pub(super) fn close_up(&mut self, ui: usize) {
        if let Some(up) = self.ups.get(ui) {
            if up.phase == UpPhase::Shared {
                return self.retire_shared(ui);
            }
            up.endpoint.counters.idle.sub(1);
        }
        self.drop_up(ui);
    }

    /// Closes an idle connection whose time has run out.
    pub(super) fn expire_up(&mut self, ui: usize) {
        match self.ups.get(ui).map(|up| up.phase) {
            Some(UpPhase::Idle) => self.forget_idle(ui),
            Some(UpPhase::Shared) => self.expire_shared(ui),
            _ => {}
        }
    }

    /// Handles an endpoint to which no connection was made within its share of the connect timeout.
    pub(super) fn attempts_too_slow(&mut self, x: ExId) {
        let exchange = self.exchanges.get_mut(x);
        let attempts = exchange.map(|e| std::mem::take(&mut e.attempts)).unwrap_or_default();
        for ui in attempts {
            self.abandon_up(ui);
        }
        self.endpoint_failed(x, &own::CONNECT_TIMEOUT, Some("no connection in time"));
    }
}
