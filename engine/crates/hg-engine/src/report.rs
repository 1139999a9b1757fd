//! The reports of the engine about itself: plain data, summed over the workers on demand.
//!
//! Owns the shapes that cross from the workers to status, metrics and events; never counts anything
//! itself. Counters grow from the start of the process and survive plan swaps.

use crate::histogram::Histogram;
use hg_limit_store::LimitStoreStats;
use hg_log::LogStats;
use hg_net::{Joined, Offload};
use hg_otlp::ExportStats;
use hg_plan::Kind;
use hg_resilience::Level;
use std::sync::Arc;
use std::time::Duration;

/// The severity of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum EventLevel {
    /// Something was lost or refused.
    Error,
    /// Something works less well than it should.
    Warn,
    /// Something worth knowing.
    Info,
}

impl EventLevel {
    /// Returns `error`, `warn` or `info`.
    pub fn as_str(self) -> &'static str {
        match self {
            EventLevel::Error => "error",
            EventLevel::Warn => "warn",
            EventLevel::Info => "info",
        }
    }
}

/// Something that happened, for the engine's watchers.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EngineEvent {
    /// Its severity.
    pub level: EventLevel,
    /// A dotted word: `worker.lost`, `log.dropped`, `resolver.failed`.
    pub kind: &'static str,
    /// The object it concerns, if any.
    pub object: Option<(Kind, String)>,
    /// Text for a person; it contains no secrets.
    pub message: String,
}

/// The state of the engine now.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineStatus {
    /// Root digest of the plan every worker serves, hex.
    pub plan_digest: String,
    /// Counts data-plane processes of this node.
    pub generation: u64,
    /// Time since the engine was started.
    pub uptime: Duration,
    /// True if drain or hand-off has begun.
    pub draining: bool,
    /// Workers, by index.
    pub workers: Vec<WorkerReport>,
    /// Listeners, by name.
    pub listeners: Vec<ListenerReport>,
    /// Upstreams, by name.
    pub upstreams: Vec<UpstreamReport>,
    /// The degree of overload.
    pub overload: OverloadReport,
    /// True if spans do not reach the collector.
    pub traces_fail: bool,
    /// True if log records do not reach the collector.
    pub log_records_fail: bool,
    /// The reason for which lines do not reach the sink of the access log; empty while they do.
    pub log_failure: String,
    /// The store that limits are shared through.
    pub limit_store: LimitStoreStats,
}

/// The data that goes to other systems from separate threads.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutletMetrics {
    /// Spans.
    pub traces: ExportStats,
    /// The store that limits are shared through.
    pub limit_store: LimitStoreStats,
}

/// The data that waits for peers that take it slowly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PendingMetrics {
    /// Bytes that workers keep now for clients and endpoints.
    pub bytes: u64,
    /// Answers of routes with a response buffer that had come whole before their clients had taken
    /// them: the endpoint was done sooner.
    pub collected: u64,
}

/// The degree of overload.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OverloadReport {
    /// The level now by its cause (`memory`, `queue`, `lag`), of the worker with the highest: 0 calm,
    /// 1 strained, 2 overloaded, 3 critical.
    pub levels: Vec<ReasonCount>,
    /// Requests that were refused, by level (`strained`, `overloaded`, `critical`).
    pub shed: Vec<ReasonCount>,
    /// The number of times that a worker left new connections in the kernel's queue.
    pub pauses: u64,
}

impl OverloadReport {
    /// Returns the highest level and its cause as words; both are empty while all is calm.
    pub fn worst(&self) -> (&'static str, &'static str) {
        let worst = self.levels.iter().rev().max_by_key(|one| one.count);
        worst.filter(|one| one.count > 0).map_or(("", ""), |one| {
            let number = u8::try_from(one.count).unwrap_or(u8::MAX);
            (Level::of_number(number).name(), one.reason)
        })
    }
}

/// The number of things of one kind that are open, and that were opened since the start.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct OpenCount {
    /// Open now.
    pub active: u64,
    /// Opened since the start.
    pub total: u64,
}

/// The activity of HTTP/2 connections, of clients and to endpoints.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Http2Metrics {
    /// The connections.
    pub connections: OpenCount,
    /// Writes to their sockets.
    pub sends: u64,
    /// The number of times that a limit held back one of them, or a stream of it: `streams`,
    /// `dispatched`, `bodies`, `resets`, `output`, `answers`, `worker`, `uploads`.
    pub limited: Vec<ReasonCount>,
    /// Those that we ended because of what the client did, by reason.
    pub closed: Vec<ReasonCount>,
    /// Connections to endpoints.
    pub upstream_connections: OpenCount,
    /// Streams on these.
    pub upstream_streams: OpenCount,
    /// Connections to endpoints that we ended because of what the endpoint did, by reason.
    pub upstream_closed: Vec<ReasonCount>,
}

/// Attempts after the first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RetryMetrics {
    /// By reason (`connect_failure`, `stale_connection`, `timeout`, `reset`, `status`,
    /// `refused_stream`).
    pub sent: Vec<ReasonCount>,
    /// Second tries beside the first: those `sent`, and those that answered first (`won`).
    pub hedges: Vec<ReasonCount>,
    /// Those that a route wants and that were not made, by reason (`budget`, `spent`, `time`,
    /// `body`, `method`, `client`).
    pub denied: Vec<ReasonCount>,
}

/// Every counter of the engine.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EngineMetrics {
    /// Root digest of the plan every worker serves, hex.
    pub plan_digest: String,
    /// Objects in that plan.
    pub plan_objects: u64,
    /// Plans swapped in since the start.
    pub plan_swaps: u64,
    /// Time the last swap took on all workers.
    pub plan_swap: Duration,
    /// True if drain or hand-off has begun.
    pub draining: bool,
    /// Answered requests; only combinations that occurred have an entry.
    pub requests: Vec<RequestCount>,
    /// Time from a request's head to its answer's last byte.
    pub duration: Histogram,
    /// Bytes read from clients (without TLS framing).
    pub bytes_received: u64,
    /// Bytes written to clients (without TLS framing).
    pub bytes_sent: u64,
    /// Requests that the node answered itself because it could not accept or forward them, by the
    /// reason in `Proxy-Status`.
    pub rejects: Vec<ReasonCount>,
    /// Connections closed before their first request, by the limit that was reached (`process`,
    /// `listener`, `client`), `accept_error`, or what was wrong with a PROXY header (`proxy_…`).
    pub refused_connections: Vec<ReasonCount>,
    /// Names in `Connection` that were ignored because removing them would be unsafe.
    pub ignored_nominations: u64,
    /// Request header lines that were dropped, by reason (`client_claim`, `lookalike`,
    /// `underscore`).
    pub withheld_headers: Vec<ReasonCount>,
    /// Attempts after the first.
    pub retries: RetryMetrics,
    /// Timeouts by phase (`head`, `idle`, `handshake`, `connect`, `request`, `per_try`,
    /// `first_byte`, `stream_idle`, `queue`).
    pub timeouts: Vec<ReasonCount>,
    /// TLS handshakes that ended, well or not.
    pub handshakes: Vec<HandshakeCount>,
    /// Connections answered with 421.
    pub misdirected: u64,
    /// WebSocket tunnels.
    pub tunnels: OpenCount,
    /// HTTP/2 connections of clients.
    pub http2: Http2Metrics,
    /// Connections that TCP routes took.
    pub tcp: TcpMetrics,
    /// Flows of UDP routes, and their datagrams.
    pub udp: UdpMetrics,
    /// Lines of the access log.
    pub log: LogStats,
    /// The data that goes to other systems.
    pub outlets: OutletMetrics,
    /// Workers, by index.
    pub workers: Vec<WorkerReport>,
    /// Listeners, by name.
    pub listeners: Vec<ListenerReport>,
    /// Upstreams, by name.
    pub upstreams: Vec<UpstreamReport>,
    /// The degree of overload.
    pub overload: OverloadReport,
    /// The data that waits for peers that take it slowly.
    pub pending: PendingMetrics,
    /// The results of middlewares that count them; those of the kinds [`crate::SPLIT`] and
    /// [`crate::MIRROR`] are of routes with sticky splits, and of routes that mirror requests.
    pub middlewares: Vec<hg_middleware::ResultCount>,
}

/// Connections that TCP routes took.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TcpMetrics {
    /// Open now, and ever opened.
    pub connections: OpenCount,
    /// Connections that ended, and those that no route took, by the word in the access log.
    pub closed: Vec<ReasonCount>,
    /// Connections of HTTP listeners with TCP routes, by what they began with (`http1`, `http2`,
    /// `tls`, `other`), or `silent`.
    pub detected: Vec<ReasonCount>,
}

/// Flows of UDP routes, and their datagrams.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UdpMetrics {
    /// Open now, and ever opened.
    pub flows: OpenCount,
    /// Of those opened, the flows of a predecessor that this process went on with.
    pub taken_over: u64,
    /// Flows of a predecessor that stayed with it.
    pub left_behind: u64,
    /// Flows that ended, by the word in the access log.
    pub ended: Vec<ReasonCount>,
    /// Datagrams that were not passed on, by why.
    pub dropped: Vec<ReasonCount>,
    /// New flows where routes ask for a name, by what was found.
    pub hellos: Vec<ReasonCount>,
    /// Datagrams of clients that were sent to endpoints, and their bytes.
    pub received: (u64, u64),
    /// Datagrams of endpoints that were sent to clients, and their bytes.
    pub sent: (u64, u64),
    /// Datagrams that came to another worker than their flow has, and were passed to it.
    pub strays: u64,
    /// The kernel's handling of several datagrams of a flow at once.
    pub offload: Offload,
    /// Datagrams that passed together with others.
    pub joined: Joined,
}

/// The number of requests with one upstream, method and status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestCount {
    /// Upstream's name; empty if none was chosen (own answers, rejects).
    pub upstream: Arc<str>,
    /// Upper case; all unknown methods count as `OTHER`.
    pub method: &'static str,
    /// The status that the client received; its class (below 10) if it is none that is registered.
    pub status: u16,
    /// The number of requests.
    pub count: u64,
}

/// The count of one reason from a closed list.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReasonCount {
    /// A word in snake case.
    pub reason: &'static str,
    /// The number of occurrences.
    pub count: u64,
}

/// The number of TLS handshakes of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HandshakeCount {
    /// `client` (towards us) or `upstream` (from us).
    pub side: &'static str,
    /// `1.2`, `1.3`; empty if the handshake failed before the peers agreed on one.
    pub version: &'static str,
    /// `full`, `resumed` or `failed`.
    pub kind: &'static str,
    /// The number of handshakes.
    pub count: u64,
}

/// The state of one worker.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct WorkerReport {
    /// Its number, from 0.
    pub index: usize,
    /// Client connections open now.
    pub connections: u64,
    /// Requests answered.
    pub requests: u64,
    /// The number of times that the engine replaced it after a panic.
    pub restarts: u64,
    /// CPU time that its thread used.
    pub cpu: Duration,
}

/// The state of one listener.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ListenerReport {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Addresses where it accepts now; a subset of the plan's until all sockets have arrived.
    pub addresses: Vec<String>,
    /// Client connections open now.
    pub connections: u64,
    /// Client connections accepted since the start.
    pub accepted: u64,
}

/// The state of one upstream.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UpstreamReport {
    /// Its name in the plan.
    pub name: Arc<str>,
    /// Its endpoints, in the plan's order.
    pub endpoints: Vec<EndpointReport>,
    /// Requests waiting for a connection now.
    pub waiting: u64,
    /// Requests that had to wait, since the start.
    pub queued: u64,
    /// Sum of the times that they waited, microseconds.
    pub queue_wait_us: u64,
    /// Requests refused because the queue was full.
    pub queue_full: u64,
    /// Requests that it may get at a time from all workers, as their latency allows; 0 = any number.
    pub concurrency_limit: u64,
    /// With affinity: answered requests, by what became of their cookie: `kept`, `new` (they had
    /// none) or `moved` (another endpoint answered).
    pub affinity: Vec<ReasonCount>,
    /// True if so few endpoints are usable that requests go to those that look bad, too.
    pub panic: bool,
    /// The circuit breaker of the upstream, or those of its endpoints.
    pub breaker: BreakerReport,
    /// The requests that it got.
    pub served: ServedReport,
    /// The number of times that an endpoint looked like an outlier, by what became of it:
    /// `ejected`, `dry_run` (not enforced), `limit` (the last usable one, or too many were out).
    pub outliers: Vec<ReasonCount>,
}

/// The circuit breaker of an upstream, or those of its endpoints together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BreakerReport {
    /// The number of times that one opened.
    pub opened: u64,
    /// The number of breakers that are `closed`, `half-open` and `open`; empty without breakers.
    pub states: Vec<ReasonCount>,
}

/// The requests of an upstream since the start.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ServedReport {
    /// Time from a request's head to its answer's last byte.
    pub duration: Histogram,
    /// Tries after the first, and connections of TCP after one that failed.
    pub retries: u64,
}

/// The state of one endpoint.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EndpointReport {
    /// Its address, as the plan has it.
    pub address: String,
    /// Addresses that its name resolves to; itself for a literal address, empty for a Unix socket.
    pub resolved: Vec<String>,
    /// Connections in use now.
    pub active: u64,
    /// Connections idle in the pools now.
    pub idle: u64,
    /// Requests sent.
    pub requests: u64,
    /// Requests that failed there: no connection, no answer or a malformed one, a timeout.
    pub failures: u64,
    /// Connections opened.
    pub connects: u64,
    /// Connections that could not be opened.
    pub connect_failures: u64,
    /// Requests that took an idle connection.
    pub reuses: u64,
    /// The protocols that TLS handshakes with it agreed on.
    pub negotiated: NegotiatedReport,
    /// The reason why it last failed or did not resolve; empty if it never did.
    pub last_error: String,
    /// The known state of its health.
    pub health: HealthReport,
}

impl EndpointReport {
    /// Reports whether it has an address to connect to.
    pub fn is_resolved(&self) -> bool {
        !self.resolved.is_empty()
    }
}

/// The protocols that TLS handshakes with an endpoint agreed on (ALPN), where its upstream may
/// speak HTTP/2.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NegotiatedReport {
    /// The protocol in use now: `h2`, `http/1.1`, `h2 and http/1.1` if workers differ; empty before
    /// the first handshake, and where nothing is negotiated.
    pub now: &'static str,
    /// Handshakes that agreed on HTTP/2.
    pub h2: u64,
    /// Handshakes that did not.
    pub http1: u64,
}

/// The health of one endpoint; of all its addresses if it is a name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct HealthReport {
    /// `up`, `down`, `unknown`, `unresolved`, `ejected`, `probing`, `breaker-open`,
    /// `breaker-half-open`, `drain`, `maintenance`; `degraded` if the addresses of a name differ.
    pub state: &'static str,
    /// True if it takes new requests.
    pub takes: bool,
    /// The reason why its state last changed: a word from a closed list.
    pub reason: &'static str,
    /// The time of that change, milliseconds since the Unix epoch.
    pub changed_unix_ms: u64,
    /// The reason why it takes requests or does not, as a sentence.
    pub why: String,
    /// Checks that passed.
    pub checks_passed: u64,
    /// Checks that failed.
    pub checks_failed: u64,
    /// The results of its agent, if agents are asked.
    pub agent: Option<AgentReport>,
}

/// The results of the agent of one endpoint; of all its addresses if it is a name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AgentReport {
    /// The part of its weight that it asks for, in percent; of several addresses the least.
    pub percent: u16,
    /// Questions that it answered.
    pub answers: u64,
    /// Questions that it did not answer, or not in the protocol.
    pub failures: u64,
}
