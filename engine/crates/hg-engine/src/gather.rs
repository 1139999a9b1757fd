//! Reports: sums the workers' counters on demand.

use crate::counters::{
    AffinityCounters, Bound, Close, Counter, Denied, Detection, Dropped, Ended, EndpointCounters,
    Hedged, Hello, OverloadCounters, Refused, Retry, Timeout, UpstreamCounters, Withheld,
    WorkerCounters, lock,
};
use crate::engine::{Engine, Inner};
use crate::histogram::Histogram;
use crate::negotiated::Negotiated;
use crate::place::Place;
use crate::report::{
    BreakerReport, EndpointReport, EngineMetrics, EngineStatus, HandshakeCount, HealthReport,
    Http2Metrics, ListenerReport, NegotiatedReport, OpenCount, OverloadReport, ReasonCount,
    RequestCount, RetryMetrics, ServedReport, TcpMetrics, UdpMetrics, UpstreamReport, WorkerReport,
};
use crate::snapshot::{EndpointEntry, Snapshot};
use hg_proto::METHOD_NAMES;
use hg_resilience::Level;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

impl Engine {
    /// Returns the state of listeners, endpoints and workers now.
    pub fn status(&self) -> EngineStatus {
        let inner = &*self.inner;
        let serving = lock(&inner.serving).clone();
        EngineStatus {
            plan_digest: serving.digest.clone(),
            generation: inner.config.generation,
            uptime: inner.started.elapsed(),
            draining: inner.draining.load(Relaxed),
            workers: workers(inner),
            listeners: listeners(inner, &serving),
            upstreams: upstreams(inner, &serving),
            overload: overload(inner),
            traces_fail: inner.records.traces.stats().is_failing,
            log_records_fail: inner.records.log.stats().export.is_failing,
            log_failure: inner.records.log.failure(),
            limit_store: inner.records.limits.stats(),
        }
    }

    /// Returns every counter.
    pub fn metrics(&self) -> EngineMetrics {
        let inner = &*self.inner;
        let serving = lock(&inner.serving).clone();
        let mut m = of_plan(inner, &serving);
        note_records(&mut m, inner);
        let mut requests: BTreeMap<(Arc<str>, u8, u16), u64> = BTreeMap::new();
        let mut rejects: BTreeMap<&'static str, u64> = BTreeMap::new();
        let mut handshakes: BTreeMap<_, u64> = BTreeMap::new();
        let none: Arc<str> = "".into();
        for worker in &inner.workers {
            let c = &worker.counters;
            add_sums(&mut m, c);
            for (method, status, n) in c.own.entries() {
                *requests.entry((none.clone(), method, status)).or_default() += n;
            }
            for (name, u) in c.upstreams() {
                for (method, status, n) in u.requests.entries() {
                    *requests.entry((name.clone(), method, status)).or_default() += n;
                }
            }
            for (reason, n) in c.rejects() {
                *rejects.entry(reason).or_default() += n;
            }
            for (which, n) in c.handshakes() {
                *handshakes.entry(which).or_default() += n;
            }
        }
        m.requests = requests
            .into_iter()
            .map(|((upstream, method, status), count)| RequestCount {
                upstream,
                method: METHOD_NAMES.get(usize::from(method)).copied().unwrap_or("OTHER"),
                status,
                count,
            })
            .collect();
        (m.rejects, m.middlewares) = (by_reason(rejects), inner.shared.keep.results());
        (m.http2, m.tcp, m.udp) = (http2(inner), tcp(inner), udp(inner));
        m.handshakes = handshakes
            .into_iter()
            .map(|((side, version, kind), count)| HandshakeCount { side, version, kind, count })
            .collect();
        m.refused_connections = reasons(inner, Refused::ALL, |c, w| c.refused.get(w as usize));
        m.withheld_headers = reasons(inner, Withheld::ALL, |c, w| c.withheld.get(w as usize));
        m.retries = retries(inner);
        m.timeouts = reasons(inner, Timeout::ALL, |c, w| c.timeouts.get(w as usize));
        m
    }
}

/// Returns the figures of a plan and its objects; the other counters are 0.
fn of_plan(inner: &Inner, serving: &Snapshot) -> EngineMetrics {
    EngineMetrics {
        plan_digest: serving.digest.clone(),
        plan_objects: serving.objects,
        plan_swaps: inner.swaps.load(Relaxed),
        plan_swap: Duration::from_micros(inner.swap_us.load(Relaxed)),
        draining: inner.draining.load(Relaxed),
        duration: Histogram::new(&serving.settings.latency_bounds_us),
        workers: workers(inner),
        listeners: listeners(inner, serving),
        upstreams: upstreams(inner, serving),
        overload: overload(inner),
        ..EngineMetrics::default()
    }
}

fn add_sums(m: &mut EngineMetrics, c: &WorkerCounters) {
    c.duration.add_to(&mut m.duration);
    m.bytes_received += c.bytes_received.get();
    m.bytes_sent += c.bytes_sent.get();
    m.ignored_nominations += c.ignored_nominations.get();
    m.misdirected += c.misdirected.get();
    c.tunnels.add_to(&mut m.tunnels);
    c.pending.add_to(&mut m.pending);
}

fn note_records(m: &mut EngineMetrics, inner: &Inner) {
    m.log = inner.records.log.stats();
    m.outlets.traces = inner.records.traces.stats();
    m.outlets.limit_store = inner.records.limits.stats();
}

fn overload(inner: &Inner) -> OverloadReport {
    let workers = || inner.workers.iter().map(|w| &w.counters.overload);
    let [queue, lag] = workers()
        .map(OverloadCounters::levels)
        .fold([0, 0], |most, one| [most[0].max(one[0]), most[1].max(one[1])]);
    let memory = u64::from(inner.shared.memory.level().number());
    let levels = [("memory", memory), ("queue", queue), ("lag", lag)];
    let shed_at = |level| workers().map(|c| c.shed_at(level)).sum();
    let count = |(reason, count)| ReasonCount { reason, count };
    let above_calm = Level::ALL.into_iter().skip(1);
    OverloadReport {
        levels: levels.map(count).to_vec(),
        shed: above_calm.map(|level| count((level.name(), shed_at(level)))).collect(),
        pauses: workers().map(|c| c.pauses.get()).sum(),
    }
}

fn retries(inner: &Inner) -> RetryMetrics {
    RetryMetrics {
        sent: reasons(inner, Retry::ALL, |c, w| c.retries.sent.get(w as usize)),
        denied: reasons(inner, Denied::ALL, |c, w| c.retries.denied.get(w as usize)),
        hedges: reasons(inner, Hedged::ALL, |c, w| c.retries.hedges.get(w as usize)),
    }
}

fn tcp(inner: &Inner) -> TcpMetrics {
    let mut connections = OpenCount::default();
    for worker in &inner.workers {
        worker.counters.tcp.sessions.add_to(&mut connections);
    }
    let closed = reasons(inner, Close::ALL, |c, w| c.tcp.closed.get(w as usize));
    let detected = reasons(inner, Detection::ALL, |c, w| c.tcp.detected.get(w));
    TcpMetrics { connections, closed, detected }
}

fn udp(inner: &Inner) -> UdpMetrics {
    let left_behind = inner.shared.flows.left_behind.load(Relaxed);
    let offload = inner.shared.flows.offload;
    let mut m = UdpMetrics { left_behind, offload, ..UdpMetrics::default() };
    for c in inner.workers.iter().map(|w| &w.counters.udp) {
        c.flows.add_to(&mut m.flows);
        m.taken_over += c.taken_over.get();
        for (total, one) in [(&mut m.received, &c.received), (&mut m.sent, &c.sent)] {
            total.0 += one.datagrams.get();
            total.1 += one.bytes.get();
        }
        m.strays += c.strays.get();
        m.joined.received += c.joined.received.get();
        m.joined.sent += c.joined.sent.get();
        m.joined.refused += c.joined.refused.get();
    }
    m.ended = reasons(inner, Ended::ALL, |c, w| c.udp.ended.get(w as usize));
    m.dropped = reasons(inner, Dropped::ALL, |c, w| c.udp.dropped.get(w as usize));
    m.hellos = reasons(inner, Hello::ALL, |c, w| c.udp.hellos.get(w as usize));
    m
}

fn http2(inner: &Inner) -> Http2Metrics {
    let mut m = Http2Metrics::default();
    let (mut ended, mut lost) = (BTreeMap::<&'static str, u64>::new(), BTreeMap::new());
    for c in inner.workers.iter().map(|w| &w.counters.http2) {
        c.connections.add_to(&mut m.connections);
        m.sends += c.sends.get();
        for (reason, n) in c.ended() {
            *ended.entry(reason).or_default() += n;
        }
        c.upstream.connections.add_to(&mut m.upstream_connections);
        c.upstream.streams.add_to(&mut m.upstream_streams);
        for (reason, n) in c.upstream.ended() {
            *lost.entry(reason).or_default() += n;
        }
    }
    m.limited = reasons(inner, Bound::ALL, |c, w| c.http2.bounds.get(w as usize));
    m.closed = by_reason(ended);
    m.upstream_closed = by_reason(lost);
    m
}

fn by_reason(counts: BTreeMap<&'static str, u64>) -> Vec<ReasonCount> {
    counts.into_iter().map(|(reason, count)| ReasonCount { reason, count }).collect()
}

/// Returns every reason of a list with its count on all workers.
fn reasons<W: Copy>(
    inner: &Inner,
    all: &[(W, &'static str)],
    counter: impl Fn(&WorkerCounters, W) -> Option<&Counter>,
) -> Vec<ReasonCount> {
    let of = |which| {
        let counts = inner.workers.iter().filter_map(|w| counter(&w.counters, which));
        counts.map(Counter::get).sum()
    };
    all.iter().map(|(which, reason)| ReasonCount { reason, count: of(*which) }).collect()
}

fn workers(inner: &Inner) -> Vec<WorkerReport> {
    inner
        .workers
        .iter()
        .enumerate()
        .map(|(index, w)| WorkerReport {
            index,
            connections: w.counters.connections.get(),
            requests: w.counters.requests.get(),
            restarts: w.restarts.load(Relaxed),
            cpu: Duration::from_micros(w.counters.cpu_us.get()),
        })
        .collect()
}

fn listeners(inner: &Inner, serving: &Snapshot) -> Vec<ListenerReport> {
    let sockets = lock(&inner.sockets);
    let mut all: Vec<ListenerReport> = serving
        .listeners
        .iter()
        .flatten()
        .map(|l| {
            let mut report = ListenerReport {
                name: l.name.clone(),
                addresses: l
                    .addresses
                    .iter()
                    .filter(|a| sockets.contains_key(&Place { address: **a, is_udp: l.is_udp() }))
                    .map(ToString::to_string)
                    .collect(),
                ..ListenerReport::default()
            };
            for c in inner.workers.iter().filter_map(|w| w.counters.known_listener(&l.name)) {
                report.connections += c.connections.get();
                report.accepted += c.accepted.get();
            }
            report
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

fn upstreams(inner: &Inner, serving: &Snapshot) -> Vec<UpstreamReport> {
    let now_ms = inner.shared.clock.micros() / 1_000;
    let mut all: Vec<UpstreamReport> = serving
        .upstreams
        .iter()
        .flatten()
        .map(|u| {
            let counters: Vec<Arc<UpstreamCounters>> =
                inner.workers.iter().filter_map(|w| w.counters.known_upstream(&u.name)).collect();
            let sum = |of: &dyn Fn(&UpstreamCounters) -> u64| counters.iter().map(|c| of(c)).sum();
            let limits = u.plan.health.concurrency.as_ref();
            let mut duration = Histogram::new(&serving.settings.latency_bounds_us);
            counters.iter().for_each(|c| c.duration.add_to(&mut duration));
            UpstreamReport {
                name: u.name.clone(),
                endpoints: configured(&u.endpoints)
                    .map(|(e, health)| {
                        endpoint(inner, e, &counters, u.health_report(health, now_ms))
                    })
                    .collect(),
                panic: u.health.panic.load(Relaxed),
                breaker: BreakerReport {
                    opened: u.health.opened.load(Relaxed),
                    states: u.breaker_states(),
                },
                served: ServedReport { duration, retries: sum(&|c| c.retries.get()) },
                outliers: u.health.verdicts.counts(),
                waiting: sum(&|c| c.waiting.get() + c.sessions_waiting.get()),
                queued: sum(&|c| c.queued.get()),
                queue_wait_us: sum(&|c| c.queue_wait_us.get()),
                queue_full: sum(&|c| c.queue_full.get()),
                affinity: match &u.affinity {
                    None => Vec::new(),
                    Some(_) => AffinityCounters::counts(
                        &counters.iter().map(|c| &c.affinity).collect::<Vec<_>>(),
                    ),
                },
                concurrency_limit: limits.map_or(0, |_| u.health.concurrency.limit().into()),
            }
        })
        .collect();
    all.sort_by(|a, b| a.name.cmp(&b.name));
    all
}

/// Returns one entry for each endpoint of the plan, with the places of its addresses; the addresses
/// of a name count under the name.
fn configured(entries: &[EndpointEntry]) -> impl Iterator<Item = (&EndpointEntry, Range<usize>)> {
    let mut next = 0;
    entries.chunk_by(|a, b| a.is_name && b.is_name && a.address == b.address).filter_map(
        move |chunk| {
            let places = next..next + chunk.len();
            next = places.end;
            chunk.first().map(|first| (first, places))
        },
    )
}

fn endpoint(
    inner: &Inner,
    entry: &EndpointEntry,
    counters: &[Arc<UpstreamCounters>],
    health: HealthReport,
) -> EndpointReport {
    let all: Vec<Arc<EndpointCounters>> =
        counters.iter().filter_map(|c| c.known_endpoint(&entry.address)).collect();
    let sum = |of: &dyn Fn(&EndpointCounters) -> u64| all.iter().map(|c| of(c)).sum();
    let mut error =
        all.iter().map(|c| lock(&c.last_error).clone()).find(|e| !e.is_empty()).unwrap_or_default();
    let mut resolved = entry.targets.to_vec();
    if entry.is_name {
        let names = lock(&inner.names);
        let name = names.get(&entry.address).cloned().unwrap_or_default();
        if !name.error.is_empty() {
            error = name.error;
        }
        resolved = name.addresses.to_vec();
    }
    EndpointReport {
        address: entry.address.to_string(),
        resolved: resolved.iter().map(ToString::to_string).collect(),
        active: sum(&|c| c.active.get()),
        idle: sum(&|c| c.idle.get()),
        requests: sum(&|c| c.requests.get()),
        failures: sum(&|c| c.failures.get()),
        connects: sum(&|c| c.connects.get()),
        connect_failures: sum(&|c| c.connect_failures.get()),
        reuses: sum(&|c| c.reuses.get()),
        negotiated: NegotiatedReport {
            now: Negotiated::word(all.iter().map(|c| &c.negotiated)),
            h2: sum(&|c| c.negotiated.h2.get()),
            http1: sum(&|c| c.negotiated.http1.get()),
        },
        last_error: error,
        health,
    }
}
