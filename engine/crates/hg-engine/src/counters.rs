//! The counters of one worker. Only the worker writes and any thread may read, so plain loads and
//! stores on atomics do; the request path has no locked instruction. The counters are keyed by
//! identity, so they survive swaps and the replacement of a worker.

macro_rules! reasons {
    ($(#[$doc:meta])* $name:ident { $($variant:ident = $word:literal,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum $name { $($variant,)* }
        impl $name {
            pub(crate) const ALL: &'static [($name, &'static str)] = &[$(($name::$variant, $word),)*];
        }
    };
}

mod affinity;
mod detected;
mod http2;
mod overload;
mod pending;
mod statuses;
mod tcp;
mod udp;

pub(crate) use detected::Detection;
pub(crate) use http2::{Bound, Http2Counters};
pub(crate) use overload::OverloadCounters;
pub(crate) use pending::PendingCounters;
pub(crate) use statuses::StatusTable;
pub(crate) use tcp::{Close, TcpCounters};
pub(crate) use udp::{Dropped, Ended, Hello, UdpCounters};

use crate::histogram::HistogramCounter;
use crate::report::OpenCount;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
pub(crate) use affinity::AffinityCounters;
use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Locks even after a holder has panicked: the data are counters and handles, which are always
/// whole.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A number with one writer.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_add(n), Relaxed);
    }

    pub(crate) fn sub(&self, n: u64) {
        self.0.store(self.0.load(Relaxed).wrapping_sub(n), Relaxed);
    }

    pub(crate) fn set(&self, n: u64) {
        self.0.store(n, Relaxed);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

/// Counters of one upstream on one worker.
#[derive(Debug, Default)]
pub(crate) struct UpstreamCounters {
    pub(crate) requests: StatusTable,
    /// The time from the head of a request to the last byte of its answer.
    pub(crate) duration: HistogramCounter,
    /// Tries after the first, and connections after one that failed.
    pub(crate) retries: Counter,
    pub(crate) waiting: Counter,
    /// TCP connections that wait for a place.
    pub(crate) sessions_waiting: Counter,
    pub(crate) queued: Counter,
    pub(crate) queue_wait_us: Counter,
    pub(crate) queue_full: Counter,
    pub(crate) affinity: AffinityCounters,
    endpoints: Mutex<HashMap<Arc<str>, Arc<EndpointCounters>>>,
}

impl UpstreamCounters {
    /// Counts a request that has ended.
    pub(crate) fn ended(&self, method: u8, status: u16, took_us: u64) {
        self.requests.add(method, status);
        self.duration.record(took_us);
    }

    /// Returns the counters of an endpoint by its configured address; makes them at the first call.
    pub(crate) fn endpoint(&self, address: &Arc<str>) -> Arc<EndpointCounters> {
        lock(&self.endpoints).entry(address.clone()).or_default().clone()
    }

    /// Returns the counters of an endpoint if they exist.
    pub(crate) fn known_endpoint(&self, address: &str) -> Option<Arc<EndpointCounters>> {
        lock(&self.endpoints).get(address).cloned()
    }

    /// Frees the counters of endpoints that are not among `served` and that nobody holds. Reports
    /// whether only counters of `served` are left.
    fn keep(&self, served: &[EndpointEntry]) -> bool {
        let mut endpoints = lock(&self.endpoints);
        let mut is_done = true;
        endpoints.retain(|address, counters| {
            let is_served = served.iter().any(|e| e.address == *address);
            let stays = is_served || Arc::strong_count(counters) > 1;
            is_done &= is_served || !stays;
            stays
        });
        is_done
    }
}

/// Counters of one endpoint on one worker.
#[derive(Debug, Default)]
pub(crate) struct EndpointCounters {
    pub(crate) active: Counter,
    pub(crate) idle: Counter,
    pub(crate) requests: Counter,
    pub(crate) failures: Counter,
    pub(crate) connects: Counter,
    pub(crate) connect_failures: Counter,
    pub(crate) reuses: Counter,
    pub(crate) negotiated: crate::negotiated::Negotiated,
    pub(crate) last_error: Mutex<String>,
}

/// Counters of one listener on one worker.
#[derive(Debug, Default)]
pub(crate) struct ListenerCounters {
    pub(crate) connections: Counter,
    pub(crate) accepted: Counter,
}

reasons! {
    /// The reason why a connection was closed before its first request.
    Refused {
        Process = "process", Listener = "listener", Client = "client", AcceptError = "accept_error",
        ProxyUntrusted = "proxy_untrusted", ProxyMissing = "proxy_missing",
        ProxyMalformed = "proxy_malformed", ProxyTooLong = "proxy_too_long",
        ProxyChecksum = "proxy_checksum", ProxyIncomplete = "proxy_incomplete",
        ProxyTimeout = "proxy_timeout",
    }
}
reasons! {
    /// The reason why there was another attempt.
    Retry {
        ConnectFailure = "connect_failure", StaleConnection = "stale_connection", Timeout = "timeout",
        Reset = "reset", Status = "status", RefusedStream = "refused_stream",
    }
}
reasons! {
    /// The reason why there was no other attempt although the route wants one.
    Denied {
        Budget = "budget", Spent = "spent", Time = "time", Body = "body", Method = "method",
        Client = "client",
    }
}
reasons! {
    /// The timeout that ran out.
    Timeout {
        Head = "head", Idle = "idle", Handshake = "handshake", Connect = "connect", Request = "request",
        PerTry = "per_try", FirstByte = "first_byte", StreamIdle = "stream_idle", Body = "body", Queue = "queue",
    }
}

reasons! {
    /// The reason why a request's header line was dropped.
    Withheld { Claim = "client_claim", Lookalike = "lookalike", Underscore = "underscore", }
}

reasons! {
    /// The outcome of second tries beside the first: all are sent, some win.
    Hedged { Sent = "sent", Won = "won", }
}

/// Attempts after the first, and those that there were not.
#[derive(Debug, Default)]
pub(crate) struct RetryCounters {
    pub(crate) sent: [Counter; Retry::ALL.len()],
    pub(crate) denied: [Counter; Denied::ALL.len()],
    pub(crate) hedges: [Counter; Hedged::ALL.len()],
}

/// The number of things of one kind that are open, and that were opened.
#[derive(Debug, Default)]
pub(crate) struct OpenCounter {
    pub(crate) active: Counter,
    pub(crate) total: Counter,
}

impl OpenCounter {
    pub(crate) fn opened(&self) {
        self.active.add(1);
        self.total.add(1);
    }

    pub(crate) fn closed(&self) {
        self.active.sub(1);
    }

    pub(crate) fn add_to(&self, total: &mut OpenCount) {
        total.active += self.active.get();
        total.total += self.total.get();
    }
}

/// All counters of one worker.
#[derive(Debug, Default)]
pub(crate) struct WorkerCounters {
    pub(crate) connections: Counter,
    pub(crate) requests: Counter,
    /// CPU time of the worker's thread.
    pub(crate) cpu_us: Counter,
    pub(crate) bytes_received: Counter,
    pub(crate) bytes_sent: Counter,
    pub(crate) duration: HistogramCounter,
    /// Answers in which no upstream had a part.
    pub(crate) own: StatusTable,
    pub(crate) refused: [Counter; Refused::ALL.len()],
    pub(crate) retries: RetryCounters,
    pub(crate) timeouts: [Counter; Timeout::ALL.len()],
    pub(crate) ignored_nominations: Counter,
    pub(crate) withheld: [Counter; Withheld::ALL.len()],
    pub(crate) misdirected: Counter,
    pub(crate) tunnels: OpenCounter,
    pub(crate) http2: Http2Counters,
    pub(crate) overload: OverloadCounters,
    pub(crate) pending: PendingCounters,
    pub(crate) tcp: TcpCounters,
    pub(crate) udp: UdpCounters,
    /// Touched on the error path only.
    rejects: Mutex<Vec<(&'static str, u64)>>,
    /// (side, version, kind); touched on the handshake path only.
    handshakes: Mutex<Vec<(Handshake, u64)>>,
    upstreams: Mutex<HashMap<Arc<str>, Arc<UpstreamCounters>>>,
    listeners: Mutex<HashMap<Arc<str>, Arc<ListenerCounters>>>,
}

/// Side, version and kind of a handshake, as in `report::HandshakeCount`.
pub(crate) type Handshake = (&'static str, &'static str, &'static str);

impl WorkerCounters {
    /// Counts latencies by these bounds from now on. Only the worker calls it.
    pub(crate) fn set_bounds(&self, bounds_us: &[u64]) {
        if self.duration.set_bounds(bounds_us) {
            for one in lock(&self.upstreams).values() {
                one.duration.set_bounds(bounds_us);
            }
        }
    }

    pub(crate) fn refuse(&self, why: Refused) {
        if let Some(c) = self.refused.get(why as usize) {
            c.add(1);
        }
    }

    pub(crate) fn retry(&self, why: Retry) {
        if let Some(c) = self.retries.sent.get(why as usize) {
            c.add(1);
        }
    }

    pub(crate) fn hedge(&self, what: Hedged) {
        if let Some(c) = self.retries.hedges.get(what as usize) {
            c.add(1);
        }
    }

    pub(crate) fn deny_retry(&self, why: Denied) {
        if let Some(c) = self.retries.denied.get(why as usize) {
            c.add(1);
        }
    }

    pub(crate) fn timeout(&self, which: Timeout) {
        if let Some(c) = self.timeouts.get(which as usize) {
            c.add(1);
        }
    }

    /// Counts header lines that were dropped.
    pub(crate) fn withhold(&self, lines: hg_proto::Withheld) {
        for (counter, n) in
            self.withheld.iter().zip([lines.claims, lines.lookalikes, lines.underscores])
        {
            counter.add(u64::from(n));
        }
    }

    pub(crate) fn reject(&self, reason: &'static str) {
        bump(&mut lock(&self.rejects), reason);
    }

    pub(crate) fn handshake(&self, which: Handshake) {
        bump(&mut lock(&self.handshakes), which);
    }

    pub(crate) fn rejects(&self) -> Vec<(&'static str, u64)> {
        lock(&self.rejects).clone()
    }

    pub(crate) fn handshakes(&self) -> Vec<(Handshake, u64)> {
        lock(&self.handshakes).clone()
    }

    /// Returns the counters of an upstream by name; makes them at the first call.
    pub(crate) fn upstream(&self, name: &Arc<str>) -> Arc<UpstreamCounters> {
        let make = || UpstreamCounters { duration: self.duration.alike(), ..Default::default() };
        let mut upstreams = lock(&self.upstreams);
        upstreams.entry(name.clone()).or_insert_with(|| Arc::new(make())).clone()
    }

    /// Returns the counters of an upstream if they exist.
    pub(crate) fn known_upstream(&self, name: &str) -> Option<Arc<UpstreamCounters>> {
        lock(&self.upstreams).get(name).cloned()
    }

    /// Returns the counters of a listener by name; makes them at the first call.
    pub(crate) fn listener(&self, name: &Arc<str>) -> Arc<ListenerCounters> {
        lock(&self.listeners).entry(name.clone()).or_default().clone()
    }

    /// Returns the counters of a listener if they exist.
    pub(crate) fn known_listener(&self, name: &str) -> Option<Arc<ListenerCounters>> {
        lock(&self.listeners).get(name).cloned()
    }

    /// Frees what an upstream that changed or left no longer needs, unless a request in flight, a
    /// connection or a report holds it. Reports whether nothing is left to free.
    pub(crate) fn tidy_upstream(&self, name: &str, served: Option<&UpstreamEntry>) -> bool {
        let mut upstreams = lock(&self.upstreams);
        let Some(counters) = upstreams.get(name) else {
            return true;
        };
        let is_tidy = counters.keep(served.map_or(&[], |u| &u.endpoints));
        if served.is_some() || !is_tidy {
            return is_tidy;
        }
        let is_free = Arc::strong_count(counters) == 1;
        if is_free {
            upstreams.remove(name);
        }
        is_free
    }

    /// Frees the counters of a listener that left, unless one of its connections still holds them.
    /// Reports whether they are gone.
    pub(crate) fn forget_listener(&self, name: &str) -> bool {
        let mut listeners = lock(&self.listeners);
        let is_free = listeners.get(name).is_none_or(|c| Arc::strong_count(c) == 1);
        if is_free {
            listeners.remove(name);
        }
        is_free
    }

    /// Resets the counts of what is open now: it belonged to a worker that is gone.
    pub(crate) fn forget_open(&self) {
        self.connections.set(0);
        self.tunnels.active.set(0);
        self.tcp.sessions.active.set(0);
        self.udp.flows.active.set(0);
        self.http2.connections.active.set(0);
        self.http2.upstream.connections.active.set(0);
        self.http2.upstream.streams.active.set(0);
        for l in lock(&self.listeners).values() {
            l.connections.set(0);
        }
        for u in lock(&self.upstreams).values() {
            u.waiting.set(0);
            u.sessions_waiting.set(0);
            for e in lock(&u.endpoints).values() {
                e.active.set(0);
                e.idle.set(0);
            }
        }
    }

    /// Returns how many upstreams, endpoints and listeners have counters here.
    #[cfg(test)]
    pub(crate) fn held(&self) -> [usize; 3] {
        let upstreams = lock(&self.upstreams);
        let endpoints = upstreams.values().map(|u| lock(&u.endpoints).len()).sum();
        [upstreams.len(), endpoints, lock(&self.listeners).len()]
    }

    /// Returns every upstream that received requests, by name.
    pub(crate) fn upstreams(&self) -> Vec<(Arc<str>, Arc<UpstreamCounters>)> {
        lock(&self.upstreams).iter().map(|(n, c)| (n.clone(), c.clone())).collect()
    }
}

fn bump<K: PartialEq + Copy>(list: &mut Vec<(K, u64)>, key: K) {
    match list.iter_mut().find(|(k, _)| *k == key) {
        Some((_, n)) => *n += 1,
        None => list.push((key, 1)),
    }
}
