//! From a route to a connection to an endpoint: another address of the endpoint, or another
//! endpoint, takes the place of one that fails, within the time to connect.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::affinity::Wanted;
use super::super::buffers::BufferPool;
use super::super::claim::{Left, release_limits};
use super::super::conn::Conn;
use super::super::exchange::TryTimes;
use super::super::upstreams::NoPick;
use super::KIND_SESSION_UP;
use super::acceptance::Acceptance;
use super::session::{Phase, Session, SessionId};
use crate::counters::{Close, Retry, Timeout};
use hg_net::{Event, Fd, Ticks, Token};
use hg_policy::{KeySource, Tried};
use hg_resilience::Outcome;

/// After this long a second address is tried as well, in parallel with a slow first one (RFC 8305
/// §5).
const ATTEMPT_DELAY_MS: u64 = 250;

/// A connection in the making.
struct Attempt {
    fd: Fd,
    generation: u32,
    /// The index of its address.
    at: usize,
}

/// The way to an endpoint.
pub(crate) struct Dial {
    tried: Tried,
    attempts: Vec<Attempt>,
    /// The connection on which a TLS handshake with the endpoint goes on.
    securing: Option<Conn>,
    /// The number of the endpoint's addresses that were tried.
    next_address: usize,
    /// No endpoint is tried after this.
    connect_until: Ticks,
    /// Until then the endpoint at hand has time; never later than `connect_until`.
    endpoint_until: Ticks,
    address_until: Ticks,
    /// The reason why the last attempt failed.
    why: Close,
    /// The end of its wait in the queue from which it comes.
    pub(super) waited_until: Option<Ticks>,
}

impl Default for Dial {
    fn default() -> Self {
        Self {
            tried: Tried::new(),
            attempts: Vec::new(),
            securing: None,
            next_address: 0,
            connect_until: Ticks::MAX,
            endpoint_until: Ticks::MAX,
            address_until: Ticks::MAX,
            why: Close::ConnectRefused,
            waited_until: None,
        }
    }
}

impl Dial {
    /// Returns when something is due.
    pub(crate) fn due(&self) -> Ticks {
        self.endpoint_until.min(self.address_until)
    }

    /// Reports whether a handshake with the endpoint goes on.
    pub(super) fn is_securing(&self) -> bool {
        self.securing.is_some()
    }

    /// Returns the connection of that handshake.
    pub(super) fn securing(&mut self) -> &mut Option<Conn> {
        &mut self.securing
    }

    /// Tries no other address while there is a connection.
    pub(super) fn wait_for_endpoint(&mut self) {
        self.address_until = Ticks::MAX;
    }

    /// Notes why the endpoint at hand cannot be used.
    pub(super) fn failed(&mut self, why: Close) {
        self.why = why;
    }

    /// Gives up every connection in the making. One that its endpoint has accepted ends with a reset:
    /// an end of stream would look like a client that had nothing to say.
    pub(super) fn forget_attempts(&mut self, pool: &mut BufferPool) {
        self.attempts.drain(..).for_each(|attempt| hg_net::close_with_reset(attempt.fd));
        if let Some(mut up) = self.securing.take() {
            up.out.release(pool);
        }
    }
}

pub(super) fn dialing(s: &mut Session) -> Option<&mut Dial> {
    match &mut s.phase {
        Phase::Dialing(dial) => Some(dial),
        _ => None,
    }
}

impl Worker {
    /// Begins to connect: the time to connect begins now.
    pub(super) fn begin_dial(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let found = self.upstreams.get_mut(s.target.upstream.0);
        let Some(u) = found.filter(|u| Some(&u.entry.name) == s.target.upstream_name.as_ref())
        else {
            return self.close_session(id, Close::NoUpstream);
        };
        s.target.upstream.1 = u.id;
        let connect_until = deadline_after(self.now_us, u.entry.plan.connect_timeout_ms);
        let waited_until = match s.phase {
            Phase::Queued { until, .. } => Some(until),
            _ => None,
        };
        let dial = Dial { connect_until, waited_until, ..Dial::default() };
        s.phase = Phase::Dialing(Box::new(dial));
        self.dial(id);
    }

    /// Picks an endpoint that was not tried and connects to it.
    fn dial(&mut self, id: SessionId) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let (slot, upstream) = s.target.upstream;
        let Some(u) = self.upstreams.same(slot, upstream) else {
            return self.close_session(id, Close::NoUpstream);
        };
        let ip = s.origin.peer.ip();
        let Some(dial) = dialing(s) else { return };
        let by_client = matches!(u.entry.key, Some(KeySource::ClientIp));
        let key = by_client.then(|| hg_policy::hash_client(ip));
        let wanted = Wanted { key, ..Wanted::default() };
        match u.pick(&dial.tried, wanted, (self.now_us, &mut self.rng), &self.shared) {
            Ok((endpoint, claim)) => {
                // An endpoint that swallows SYNs must leave time for others.
                let others = u.endpoints.len().saturating_sub(dial.tried.len()).clamp(1, 3);
                let left = dial.connect_until.saturating_sub(self.now);
                dial.endpoint_until = self.now.saturating_add(left / others as u64);
                dial.next_address = 0;
                s.target.endpoint = Some(endpoint);
                s.target.is_counted = true;
                s.target.claim = claim;
                s.target.tells = u.entry.plan.pool.proxy_protocol;
                s.target.times = TryTimes { began_us: self.now_us, ..TryTimes::default() };
                self.dial_next(id);
            }
            Err(NoPick::Full) if dial.tried.is_empty() => self.queue_session(id),
            Err(why) => {
                let unresolved = u.endpoints.iter().all(|e| e.targets.is_empty());
                let why = match why {
                    NoPick::Broken => Close::BreakerOpen,
                    _ if !dial.tried.is_empty() => dial.why,
                    NoPick::None if unresolved => Close::Unresolved,
                    _ => Close::NoEndpoint,
                };
                self.close_session(id, why);
            }
        }
    }

    /// Begins to connect to the next address of the endpoint.
    pub(super) fn dial_next(&mut self, id: SessionId) {
        loop {
            let generation = self.next_generation();
            let Some(s) = self.tcp.get_mut(id) else {
                return;
            };
            let Some(endpoint) = s.target.endpoint.clone() else {
                return;
            };
            let Some(dial) = dialing(s) else { return };
            let n = endpoint.targets.len();
            if dial.next_address >= n {
                if dial.attempts.is_empty() {
                    self.endpoint_unreachable(id, None);
                }
                return;
            }
            let at = (endpoint.preferred.get() + dial.next_address) % n;
            dial.next_address += 1;
            let more = dial.next_address < n;
            dial.address_until =
                if more { deadline_after(self.now_us, ATTEMPT_DELAY_MS) } else { Ticks::MAX };
            let Some(address) = endpoint.targets.get(at) else {
                return;
            };
            endpoint.counters.connects.add(1);
            let token = Token::new(KIND_SESSION_UP, generation, id.index);
            let watched = |fd: Fd| match self.poller.add_stream(&fd, token) {
                Ok(()) => Ok(fd),
                Err(e) => {
                    hg_net::close_with_reset(fd);
                    Err(e)
                }
            };
            let made = hg_net::connect(address).and_then(watched);
            match made {
                Ok(fd) => {
                    dial.attempts.push(Attempt { fd, generation, at });
                    return self.arm_session(id);
                }
                Err(error) => {
                    endpoint.counters.connect_failures.add(1);
                    endpoint.remember(&error.to_string());
                }
            }
        }
    }

    /// Takes the end of an attempt to connect, good or not.
    pub(super) fn on_dialed(&mut self, id: SessionId, generation: u32, event: Event) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let Some(endpoint) = s.target.endpoint.clone() else {
            return;
        };
        let Some(dial) = dialing(s) else { return };
        let Some(i) = dial.attempts.iter().position(|a| a.generation == generation) else {
            return;
        };
        let attempt = dial.attempts.swap_remove(i);
        if let Err(error) = hg_net::take_error(&attempt.fd) {
            endpoint.counters.connect_failures.add(1);
            endpoint.remember(&error.to_string());
            dial.why = Close::ConnectRefused;
            return self.dial_next(id);
        }
        endpoint.preferred.set(attempt.at);
        let mut up = Conn::new(attempt.fd);
        // No event repeats what came together with the connection.
        up.readable = false;
        up.note_event(&event);
        dial.forget_attempts(&mut self.io.pool);
        s.up_generation = generation;
        if !self.tell_session(id, &mut up) {
            return self.close_session(id, Close::EndpointReset);
        }
        match self.tls_towards(id) {
            Some(tls) => self.begin_originating(id, up, &tls),
            None => self.begin_relaying(id, up, &[]),
        }
    }

    /// Begins to pass bytes; `first` are those that the endpoint has sent already.
    pub(super) fn begin_relaying(&mut self, id: SessionId, up: Conn, first: &[u8]) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let until = dialing(s).map_or(Ticks::MAX, |dial| dial.connect_until);
        s.phase = Phase::Relaying(up);
        s.times.active_at = self.now;
        s.target.times.first_byte_us = self.now_us;
        self.pace_session(id);
        self.note_connected(id, until);
        if !self.hand_over_early(id) {
            return self.close_session(id, Close::EndpointReset);
        }
        if !self.send_first(id, first) {
            return self.close_session(id, Close::ClientReset);
        }
        self.pump_session(id);
    }

    /// Continues what an attempt to connect took too long for.
    pub(super) fn expire_dial(&mut self, id: SessionId) {
        let now = self.now;
        let Some(dial) = self.tcp.get_mut(id).and_then(dialing) else {
            return;
        };
        if dial.endpoint_until <= now {
            dial.why = Close::ConnectTimeout;
            self.counters.timeout(Timeout::Connect);
            let why = match dial.is_securing() {
                true => "no TLS handshake in time",
                false => "no connection in time",
            };
            self.note_unsecured(id);
            return self.endpoint_unreachable(id, Some(why));
        }
        dial.address_until = Ticks::MAX;
        self.dial_next(id);
        self.arm_session(id);
    }

    /// Leaves an endpoint that could not be connected to for another one, if there is one and time.
    fn endpoint_unreachable(&mut self, id: SessionId, why: Option<&str>) {
        let now = self.now;
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        let endpoint = s.target.endpoint.clone();
        let (slot, upstream) = s.target.upstream;
        let Some(dial) = dialing(s) else { return };
        dial.forget_attempts(&mut self.io.pool);
        let place = endpoint.as_ref().map_or(usize::MAX, |e| e.slot.get());
        let room = dial.tried.insert(place.min(u32::MAX as usize));
        let (tried, reason) = (dial.tried.len(), dial.why);
        let in_time = now < dial.connect_until;
        if let Some(endpoint) = &endpoint {
            endpoint.counters.failures.add(1);
            why.into_iter().for_each(|why| endpoint.remember(why));
        }
        self.leave_target(id, Outcome::Connect);
        let known = self.upstreams.same(slot, upstream);
        let others = known.is_some_and(|u| u.endpoints.len() > tried);
        if room && in_time && others {
            self.counters.retry(Retry::ConnectFailure);
            if let Some(u) = self.upstreams.same(slot, upstream) {
                u.counters.retries.add(1);
            }
            self.dial(id);
        } else {
            self.close_session(id, reason);
        }
    }

    /// Gives back what a session holds of its upstream.
    pub(super) fn leave_target(&mut self, id: SessionId, outcome: Outcome) {
        let Some(s) = self.tcp.get_mut(id) else {
            return;
        };
        if !std::mem::take(&mut s.target.is_counted) {
            return;
        }
        let Some(endpoint) = s.target.endpoint.clone() else {
            return;
        };
        let claim = std::mem::take(&mut s.target.claim);
        let (times, now_us) = (s.target.times, self.now_us);
        endpoint.counters.active.sub(1);
        let (slot, upstream) = s.target.upstream;
        if let Some(u) = self.upstreams.same(slot, upstream) {
            let left = Left { outcome, admission: claim.admission, times, now_us };
            if s.target.acceptance == Acceptance::Told {
                u.gone(&endpoint, &left);
            } else {
                u.left(&endpoint, &left, &self.shared);
            }
        }
        if let Some(entry) = claim.limits {
            release_limits(&entry, &endpoint.address);
        }
    }

    /// Returns how long the connection to an endpoint took, if there is one.
    pub(super) fn connect_us(s: &Session) -> Option<u64> {
        let times = s.target.times;
        (times.first_byte_us > 0).then(|| times.first_byte_us.saturating_sub(times.began_us))
    }
}

#[cfg(test)]
mod tests;
