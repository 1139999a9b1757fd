//! The assignment of a stream to a request: of a connection that has room, of one that is being
//! made, or of a new one.

use super::{FIRST_STREAMS, Shared};
use crate::snapshot::UpstreamEntry;
use crate::worker::answer::own;
use crate::worker::conn::Session;
use crate::worker::exchange::{ExId, Exchange, Stage};
use crate::worker::up::UpPhase;
use crate::worker::upstreams::EndpointState;
use crate::worker::{Turn, Worker};
use hg_h2::{BlockLimits, Limits, Times};
use hg_net::{Clock, Ticks};
use hg_plan::UpstreamProtocol;
use hg_proto::Reject;
use hg_tls::Offer;

fn limits(entry: &UpstreamEntry) -> Limits {
    let head_bytes = entry.limits.head_bytes;
    Limits {
        block_bytes: head_bytes,
        head: BlockLimits { fields: entry.limits.header_count, bytes: head_bytes },
        ..Limits::client()
    }
}

fn times(entry: &UpstreamEntry) -> Times {
    Times {
        greeting_ms: entry.plan.connect_timeout_ms,
        idle_ms: entry.plan.pool.idle_timeout_ms.max(1),
        // What waits for the endpoint is in the connection's buffer: see `stalled_at`.
        write_ms: 0,
        ..Times::default()
    }
}

/// Returns what a TLS session for an exchange offers to an endpoint. A WebSocket goes over HTTP/1.1
/// where the endpoint may choose: few take it over HTTP/2.
pub(crate) fn offer(entry: &UpstreamEntry, e: &Exchange) -> Offer {
    match entry.plan.protocol {
        UpstreamProtocol::Auto if e.upgrade.is_some() => Offer::Http1,
        UpstreamProtocol::H2 => Offer::Http2,
        UpstreamProtocol::Auto => Offer::Either,
        UpstreamProtocol::Http1 | UpstreamProtocol::H2c => Offer::Http1,
    }
}

impl Worker {
    /// Sends a request whose endpoint may speak HTTP/2, or has it wait for a connection.
    pub(crate) fn join(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.next_address = 0;
        let max_age = e.entry().map_or(0, |u| u.plan.pool.max_age_ms);
        let Some(endpoint) = e.endpoint.clone() else {
            return;
        };
        let is_alone = self.needs_http1(x);
        let shared = if is_alone { None } else { self.with_room(&endpoint, max_age) };
        if let Some(ui) = shared {
            return self.attach_stream(x, ui, true);
        }
        let is_grpc = self.exchanges.get(x).is_some_and(|e| e.stream.is_grpc);
        if !is_grpc && let Some(ui) = self.take_idle(x, &endpoint) {
            return self.attach(x, ui, true);
        }
        let Some(pool) = self.pools.get(endpoint.pool).filter(|p| !p.is_http1 && !is_alone) else {
            return self.open_next(x);
        };
        let leader = pool.leader.filter(|leader| {
            let stream = self.exchanges.get(*leader).and_then(|e| e.link.stream.as_deref());
            stream.is_some_and(|s| s.leads && s.followers.len() < FIRST_STREAMS)
        });
        match leader {
            Some(leader) => self.follow(x, leader),
            None => {
                pool.leader = Some(x);
                if let Some(e) = self.exchanges.get_mut(x) {
                    e.up_stream().leads = true;
                }
                self.open_next(x);
            }
        }
    }

    /// Reports whether a request goes over HTTP/1.1 although its upstream may speak HTTP/2.
    fn needs_http1(&self, x: ExId) -> bool {
        let is_auto = |u: &UpstreamEntry| u.plan.protocol == UpstreamProtocol::Auto;
        self.exchanges.get(x).is_some_and(|e| e.upgrade.is_some() && e.entry().is_some_and(is_auto))
    }

    /// Waits for the connection that another exchange opens.
    fn follow(&mut self, x: ExId, leader: ExId) {
        let Some(e) = self.exchanges.get_mut(leader) else {
            return;
        };
        e.up_stream().followers.push(x);
        if let Some(e) = self.exchanges.get_mut(x) {
            e.up_stream().follows = Some(leader);
            e.stage = Stage::Connecting;
            e.due.next_address = Ticks::MAX;
        }
        self.progress(x);
    }

    /// Returns a connection to the endpoint that has room for one more request.
    fn with_room(&mut self, endpoint: &EndpointState, max_age_ms: u64) -> Option<usize> {
        let mut old = None;
        let shared = &self.pools.get(endpoint.pool)?.shared;
        let found = shared.iter().copied().find(|ui| {
            let Some(up) = self.ups.get(*ui) else { return false };
            let age_ms = self.now.saturating_sub(up.opened) * Clock::TICK_MS;
            if max_age_ms > 0 && age_ms >= max_age_ms {
                old = Some(*ui);
                return false;
            }
            up.http2.as_deref().is_some_and(Shared::has_room)
        });
        if let Some(ui) = old {
            self.retire_shared(ui);
        }
        found
    }

    /// Reports whether a connection that was just made speaks HTTP/2; `None` if it speaks what its
    /// upstream does not.
    fn speaks_http2(&self, x: ExId, ui: usize) -> Option<bool> {
        let protocol = self.exchanges.get(x)?.entry()?.plan.protocol;
        let agreed = match self.ups.get(ui)?.conn.session() {
            Some(Session::Client(session)) => session.alpn() == Some(b"h2"),
            _ => false,
        };
        match protocol {
            UpstreamProtocol::Http1 => Some(false),
            UpstreamProtocol::H2c => Some(true),
            UpstreamProtocol::Auto => Some(agreed),
            UpstreamProtocol::H2 => agreed.then_some(true),
        }
    }

    /// Begins to use a connection that was just made for an upstream that may speak HTTP/2. Returns
    /// false if it is to be used for HTTP/1.
    pub(crate) fn connected_shared(&mut self, x: ExId, ui: usize) -> bool {
        let http2 = self.speaks_http2(x, ui);
        if !self.needs_http1(x)
            && let Some(up) = self.ups.get(ui).filter(|up| up.conn.is_tls())
        {
            up.endpoint.counters.negotiated.count(http2 == Some(true));
        }
        match http2 {
            Some(true) => self.share(x, ui),
            Some(false) if self.needs_http1(x) => return false,
            Some(false) => {
                let pool = self.ups.get(ui).map(|up| up.pool);
                if let Some(pool) = pool.and_then(|pool| self.pools.get(pool)) {
                    pool.is_http1 = true;
                }
                self.end_lead(x);
                return false;
            }
            None => {
                let why = "the endpoint did not agree on HTTP/2 in the TLS handshake";
                if let Some(up) = self.ups.get(ui) {
                    up.endpoint.counters.connect_failures.add(1);
                }
                self.drop_up(ui);
                self.endpoint_failed(x, &own::NO_HTTP2, Some(why));
            }
        }
        true
    }

    /// Begins HTTP/2 on a connection, and sends the request for which it was made.
    fn share(&mut self, x: ExId, ui: usize) {
        let now_ms = self.now_us / 1000;
        let entry = self.exchanges.get(x).and_then(Exchange::entry);
        let Some(entry) = entry else { return };
        let most_idle = entry.plan.pool.max_idle as usize;
        let mut shared = Shared::new((limits(entry), times(entry)), most_idle, now_ms);
        let Some(up) = self.ups.get_mut(ui) else {
            return;
        };
        if let Some(pool) = self.pools.get(up.pool) {
            pool.shared.push(ui);
            pool.is_http1 = false;
            // It may well allow as many as before; with none, the request would wait for nothing.
            let before = pool.streams.map(|n| n.clamp(1, FIRST_STREAMS));
            shared.first_streams = before.unwrap_or(FIRST_STREAMS);
        }
        up.phase = UpPhase::Shared;
        up.exchange = None;
        up.http2 = Some(Box::new(shared));
        // The endpoint may have sent its SETTINGS with the end of the handshake.
        let has_input = !up.input.is_empty();
        let generation = up.generation;
        self.counters.http2.upstream.connections.opened();
        // An endpoint may wait for our preface, and a request for what the endpoint offers.
        self.mark_shared(ui);
        self.attach_stream(x, ui, false);
        self.end_lead(x);
        if self.ups.get(ui).is_none_or(|up| up.generation != generation) {
            return;
        }
        if has_input {
            self.on_shared_frames(ui, &[], 0..0);
            self.pump_ready(ui);
        }
        self.enqueue_shared(ui);
        self.rearm_shared(ui, false);
    }

    /// Ends the wait of those that wait for the connection of an exchange: they look again in the next
    /// turn.
    pub(crate) fn end_lead(&mut self, x: ExId) {
        for y in self.take_followers(x) {
            self.agenda.add(Turn::Join(y));
        }
    }

    /// Ends an exchange's part in the opening of a connection, as one that opens it or one that waits
    /// for it. Those that waited look again in the next turn.
    pub(crate) fn leave_lead(&mut self, x: ExId) {
        if let Some(s) = self.exchanges.get_mut(x).and_then(|e| e.link.stream.as_deref_mut()) {
            s.follows = None;
        }
        self.end_lead(x);
    }

    /// Tells those that wait for the connection of an exchange that its endpoint has failed.
    pub(crate) fn fail_followers(&mut self, x: ExId, reject: &Reject) {
        for y in self.take_followers(x) {
            self.endpoint_failed(y, reject, None);
        }
    }

    fn take_followers(&mut self, x: ExId) -> Vec<ExId> {
        let Some(e) = self.exchanges.get_mut(x) else {
            return Vec::new();
        };
        let Some(s) = e.link.stream.as_deref_mut().filter(|s| s.leads) else {
            return Vec::new();
        };
        s.leads = false;
        let all = std::mem::take(&mut s.followers);
        let pool = e.endpoint.as_ref().map(|p| p.pool);
        if let Some(pool) = pool.and_then(|pool| self.pools.get(pool))
            && pool.leader == Some(x)
        {
            pool.leader = None;
        }
        let mut still = Vec::with_capacity(all.len());
        for y in all {
            let s = self.exchanges.get_mut(y).and_then(|e| e.link.stream.as_deref_mut());
            if let Some(s) = s.filter(|s| s.follows == Some(x)) {
                s.follows = None;
                still.push(y);
            }
        }
        still
    }

    /// Looks again for a connection for a request that waited for one.
    pub(crate) fn join_again(&mut self, x: ExId) {
        if !self.waits_to_join(x) {
            return;
        }
        match self.greeted(x) {
            Some(ui) => self.attach_stream(x, ui, false),
            None => self.join(x),
        }
    }

    /// Returns the connection whose greeting a request has waited for, if it has room. Its endpoint may
    /// have left the plan meanwhile: no pool knows of it then.
    fn greeted(&mut self, x: ExId) -> Option<usize> {
        let s = self.exchanges.get_mut(x)?.link.stream.as_deref_mut()?;
        let (ui, generation) = s.awaited.take()?;
        let up = self.ups.get(ui).filter(|up| up.generation == generation)?;
        up.http2.as_deref().is_some_and(|h| h.is_greeted() && h.has_room()).then_some(ui)
    }

    /// Reports whether an exchange still waits for a connection that another one opens.
    pub(super) fn waits_to_join(&self, x: ExId) -> bool {
        let waits = |e: &Exchange| {
            let free = |s: &super::UpStream| s.id == 0 && !s.leads && s.follows.is_none();
            e.stage == Stage::Connecting
                && e.up.is_none()
                && e.attempts.is_empty()
                && e.link.stream.as_deref().is_some_and(free)
        };
        self.exchanges.get(x).is_some_and(waits)
    }
}

#[cfg(test)]
mod tests;
