//! The metrics page of a data-plane process. Pure: figures in, text out. docs/reference/metrics.md
//! lists the names.

mod bandwidth;
mod exports;
mod latency;
mod process;
mod requests;
mod text;
mod upstreams;

pub use latency::{Lately, LatencyWindow};
pub use process::ProcessReport;

use crate::resolver::HostReport;
use hg_engine::{
    EngineMetrics, Http2Metrics, LimitStoreStats, MIRROR, OutletReason, OverloadReport,
    PendingMetrics, ReasonCount, SPLIT, TcpMetrics, UdpMetrics, UpstreamReport, WorkerReport,
};
use std::time::Duration;
use text::{Text, Type};

/// Everything that a page shows.
#[derive(Debug)]
pub struct Figures<'a> {
    /// Counters of the engine.
    pub engine: &'a EngineMetrics,
    /// Latencies of the last minute or two.
    pub lately: Lately,
    /// Names and their answers.
    pub names: &'a [HostReport],
    /// Figures of the process.
    pub process: ProcessReport,
    /// Counts data-plane processes of this node.
    pub generation: u64,
    /// `Apply` calls by outcome.
    pub applies: &'a [ReasonCount],
    /// Time since the process began to serve.
    pub uptime: Duration,
}

/// Renders the page, without the closing `# EOF`.
pub fn render(figures: &Figures<'_>) -> String {
    let mut text = Text::default();
    requests::write(&mut text, figures.engine, figures.lately);
    connections(&mut text, figures.engine);
    failures(&mut text, figures.engine);
    overload(&mut text, &figures.engine.overload);
    pending(&mut text, &figures.engine.pending);
    middlewares(&mut text, figures.engine);
    routes(&mut text, figures.engine);
    endpoints(&mut text, &figures.engine.upstreams);
    upstreams::write(&mut text, &figures.engine.upstreams);
    tls(&mut text, figures.engine);
    workers(&mut text, &figures.engine.workers);
    plan(&mut text, figures);
    names(&mut text, figures.names);
    process_figures(&mut text, figures);
    text.finish()
}

fn connections(text: &mut Text, engine: &EngineMetrics) {
    use Type::{Counter, Gauge};
    let active = engine.listeners.iter().map(|l| l.connections).sum();
    let accepted = engine.listeners.iter().map(|l| l.accepted).sum();
    text.family("proxy_active_connections", Gauge, "", "Client connections open.").int(&[], active);
    text.family("proxy_total_connections", Gauge, "", "Client connections ever accepted.");
    text.int(&[], accepted);
    text.family("headgate_listener_connections", Gauge, "", "Client connections open.");
    for listener in &engine.listeners {
        text.int(&[("listener", &listener.name)], listener.connections);
    }
    text.family("headgate_listener_accepted", Counter, "", "Client connections accepted.");
    for listener in &engine.listeners {
        text.int(&[("listener", &listener.name)], listener.accepted);
    }
    let help = "Connections closed before their first request, by the reason.";
    reasons(text, "headgate_connections_refused", "reason", help, &engine.refused_connections);
    text.family("headgate_tunnels", Gauge, "", "WebSocket tunnels open.");
    text.int(&[], engine.tunnels.active);
    text.family("headgate_tunnels_opened", Counter, "", "WebSocket tunnels ever opened.");
    text.int(&[], engine.tunnels.total);
    text.family("headgate_http2_connections", Gauge, "", "HTTP/2 connections of clients open.");
    text.int(&[], engine.http2.connections.active);
    let help = "HTTP/2 connections of clients ever opened.";
    text.family("headgate_http2_connections_opened", Counter, "", help);
    text.int(&[], engine.http2.connections.total);
    let help = "Writes to the sockets of HTTP/2 connections; each carries all frames of one turn.";
    text.family("headgate_http2_sends", Counter, "", help).int(&[], engine.http2.sends);
    let help = "How often a limit of HTTP/2 held a client back, by the limit.";
    reasons(text, "headgate_http2_limited", "limit", help, &engine.http2.limited);
    let help = "HTTP/2 connections that we ended because of what the client did.";
    reasons(text, "headgate_http2_closed", "reason", help, &engine.http2.closed);
    http2_upstream(text, &engine.http2);
    tcp(text, &engine.tcp);
    udp(text, &engine.udp);
}

fn tcp(text: &mut Text, tcp: &TcpMetrics) {
    use Type::{Counter, Gauge};
    text.family("headgate_tcp_connections", Gauge, "", "Connections of TCP routes open.");
    text.int(&[], tcp.connections.active);
    text.family("headgate_tcp_connections_opened", Counter, "", "Connections of TCP routes taken.");
    text.int(&[], tcp.connections.total);
    let help = "Connections of TCP listeners that ended, by why.";
    reasons(text, "headgate_tcp_closed", "reason", help, &tcp.closed);
    let help = "Connections of HTTP listeners with TCP routes, by what they began with.";
    reasons(text, "headgate_connections_detected", "as", help, &tcp.detected);
}

fn udp(text: &mut Text, udp: &UdpMetrics) {
    use Type::{Counter, Gauge};
    text.family("headgate_udp_flows", Gauge, "", "Flows of UDP routes open.");
    text.int(&[], udp.flows.active);
    text.family("headgate_udp_flows_opened", Counter, "", "Flows of UDP routes ever opened.");
    text.int(&[], udp.flows.total);
    let help = "Flows of the process before that this one went on with; they count as opened.";
    text.family("headgate_udp_flows_taken_over", Counter, "", help);
    text.int(&[], udp.taken_over);
    let help = "Flows that the process before kept for itself in a hand-over.";
    text.family("headgate_udp_flows_left_behind", Counter, "", help);
    text.int(&[], udp.left_behind);
    reasons(text, "headgate_udp_closed", "reason", "Flows that ended, by why.", &udp.ended);
    let help = "Datagrams that were not passed on, by why.";
    reasons(text, "headgate_udp_dropped", "reason", help, &udp.dropped);
    let help =
        "New flows of listeners whose routes ask for a name, by what their first datagrams were.";
    reasons(text, "headgate_udp_hellos", "outcome", help, &udp.hellos);
    let ways = [("received", udp.received), ("sent", udp.sent)];
    let help = "Datagrams received from clients and passed on, and sent to them.";
    text.family("headgate_udp_datagrams", Counter, "", help);
    for (direction, (datagrams, _)) in ways {
        text.int(&[("direction", direction)], datagrams);
    }
    let help = "The bytes of headgate_udp_datagrams.";
    text.family("headgate_udp_bytes", Counter, "", help);
    for (direction, (_, bytes)) in ways {
        text.int(&[("direction", direction)], bytes);
    }
    let help = "Datagrams that came to another worker than their flow has, and were passed to it.";
    text.family("headgate_udp_strays", Counter, "", help).int(&[], udp.strays);
    let help =
        "Whether the kernel joins datagrams of a flow (receive) and divides them (send): 1 or 0.";
    text.family("headgate_udp_offload", Gauge, "", help);
    text.int(&[("step", "receive")], u64::from(udp.offload.receive));
    text.int(&[("step", "send")], u64::from(udp.offload.send));
    let help = "Datagrams that came, or left, in one buffer with others of their flow.";
    text.family("headgate_udp_joined", Counter, "", help);
    text.int(&[("step", "receive")], udp.joined.received);
    text.int(&[("step", "send")], udp.joined.sent);
    let help = "Buffers of several datagrams that the kernel refused, so that each left alone.";
    text.family("headgate_udp_joined_refused", Counter, "", help).int(&[], udp.joined.refused);
}

fn http2_upstream(text: &mut Text, http2: &Http2Metrics) {
    use Type::{Counter, Gauge};
    let (connections, streams) = (http2.upstream_connections, http2.upstream_streams);
    let help = "HTTP/2 connections to endpoints open.";
    text.family("headgate_http2_upstream_connections", Gauge, "", help);
    text.int(&[], connections.active);
    let help = "HTTP/2 connections to endpoints ever opened.";
    text.family("headgate_http2_upstream_connections_opened", Counter, "", help);
    text.int(&[], connections.total);
    let help = "Requests in progress on HTTP/2 connections to endpoints.";
    text.family("headgate_http2_upstream_streams", Gauge, "", help).int(&[], streams.active);
    let help = "Requests sent on HTTP/2 connections to endpoints.";
    text.family("headgate_http2_upstream_streams_opened", Counter, "", help);
    text.int(&[], streams.total);
    let help = "HTTP/2 connections to endpoints that we ended because of what the endpoint did.";
    reasons(text, "headgate_http2_upstream_closed", "reason", help, &http2.upstream_closed);
}

fn overload(text: &mut Text, overload: &OverloadReport) {
    use Type::{Counter, Gauge};
    let help = "How much too much there is, by what: 0 calm, 1 strained, 2 overloaded, 3 critical.";
    text.family("headgate_overload_level", Gauge, "", help);
    for one in &overload.levels {
        text.int(&[("cause", one.reason)], one.count);
    }
    let help = "Requests refused because there was too much to do, by the level then.";
    reasons(text, "headgate_overload_shed", "level", help, &overload.shed);
    let help = "How often a worker left new connections in the kernel's queue.";
    text.family("headgate_overload_accept_pauses", Counter, "", help).int(&[], overload.pauses);
}

fn pending(text: &mut Text, pending: &PendingMetrics) {
    let help = "Bytes that workers keep for clients and endpoints that take them slowly.";
    text.family("headgate_pending_bytes", Type::Gauge, "", help).int(&[], pending.bytes);
    let help = "Answers of routes with a response buffer that came whole before clients had them.";
    text.family("headgate_responses_collected", Type::Counter, "", help);
    text.int(&[], pending.collected);
}

fn middlewares(text: &mut Text, engine: &EngineMetrics) {
    let help = "What came of middlewares; no middleware: all that are written where they are used.";
    text.family("headgate_middleware_results", Type::Counter, "", help);
    let [bytes, held] = bandwidth::KINDS;
    let others = [SPLIT, MIRROR, bytes, held];
    for one in engine.middlewares.iter().filter(|one| !others.contains(&one.kind)) {
        let labels = [("kind", one.kind), ("middleware", &one.middleware), ("result", one.result)];
        text.int(&labels, one.count);
    }
    bandwidth::bandwidth(text, engine);
}

fn routes(text: &mut Text, engine: &EngineMetrics) {
    let split = "Requests of routes with sticky splits, by how their branch was found.";
    let of = |kind: &'static str| engine.middlewares.iter().filter(move |one| one.kind == kind);
    text.family("headgate_split_requests", Type::Counter, "", split);
    for one in of(SPLIT) {
        text.int(&[("route", &*one.middleware), ("result", one.result)], one.count);
    }
    let mirror = "Requests chosen to be sent to an upstream, too, by what came of that.";
    text.family("headgate_mirror_requests", Type::Counter, "", mirror);
    for one in of(MIRROR) {
        let (route, upstream) = one.middleware.split_once(' ').unwrap_or((&one.middleware, ""));
        let labels = [("route", route), ("upstream", upstream), ("result", one.result)];
        text.int(&labels, one.count);
    }
}

fn failures(text: &mut Text, engine: &EngineMetrics) {
    let help = "Requests answered here because they could not be taken or forwarded.";
    reasons(text, "headgate_rejects", "reason", help, &engine.rejects);
    let help = "Attempts after the first, by why.";
    reasons(text, "headgate_retries", "reason", help, &engine.retries.sent);
    let help = "Attempts that a route wants and that were not made, by why.";
    reasons(text, "headgate_retries_denied", "reason", help, &engine.retries.denied);
    let help = "Second tries beside a slow first one: all that were sent, and those that won.";
    reasons(text, "headgate_hedges", "outcome", help, &engine.retries.hedges);
    let help = "Timeouts, by phase.";
    reasons(text, "headgate_timeouts", "phase", help, &engine.timeouts);
    let help = "Names in Connection that were ignored because removing them would be unsafe.";
    text.family("headgate_ignored_nominations", Type::Counter, "", help);
    text.int(&[], engine.ignored_nominations);
    let help = "Header lines of requests that were dropped: what strangers tell of the client, \
                names that a backend may mistake for such, names with an underscore.";
    reasons(text, "headgate_headers_dropped", "reason", help, &engine.withheld_headers);
    text.family("headgate_access_log_lines", Type::Counter, "", "Lines handed to the sink.");
    text.int(&[], engine.log.lines);
    let help = "Lines dropped because the sink was behind.";
    text.family("headgate_access_log_dropped", Type::Counter, "", help)
        .int(&[], engine.log.dropped);
    let help = "Writes to the sink that failed.";
    text.family("headgate_access_log_errors", Type::Counter, "", help)
        .int(&[], engine.log.write_errors);
    let help = "1 while lines do not reach the sink, or while it could not be opened again.";
    text.family("headgate_access_log_failing", Type::Gauge, "", help)
        .int(&[], engine.log.is_failing.into());
    text.family("headgate_taps", Type::Gauge, "", "Taps that are open.");
    text.int(&[], engine.log.taps.open);
    let help = "Requests that taps were shown, once for each tap.";
    text.family("headgate_tap_lines", Type::Counter, "", help).int(&[], engine.log.taps.lines);
    let help = "Requests that a tap was not shown because its reader was slow.";
    text.family("headgate_tap_dropped", Type::Counter, "", help).int(&[], engine.log.taps.dropped);
    exports::exports(text, &exports::LOG_RECORDS, &engine.log.export);
    exports::exports(text, &exports::TRACES, &engine.outlets.traces);
    limit_store(text, &engine.outlets.limit_store);
}

/// Writes why a server that the node itself sends to was not reached.
fn unreached(text: &mut Text, name: &'static str, help: &str, counts: &[u64]) {
    let counts = OutletReason::ALL.iter().zip(counts);
    let counts: Vec<_> = counts
        .map(|(reason, count)| ReasonCount { reason: reason.word(), count: *count })
        .collect();
    reasons(text, name, "reason", help, &counts);
}

fn limit_store(text: &mut Text, store: &LimitStoreStats) {
    use Type::{Counter, Gauge};
    let away = u64::from(store.is_configured && !store.is_ready);
    let help = "1 while the store of limits across nodes is away.";
    text.family("headgate_limit_store_away", Gauge, "", help).int(&[], away);
    let help = "Keys of limits across nodes that the store was told of and has charged.";
    text.family("headgate_limit_store_charged", Counter, "", help).int(&[], store.charged);
    let help = "Requests that were admitted on credit, and that the store was not told of.";
    text.family("headgate_limit_store_lost", Counter, "", help).int(&[], store.lost);
    let help = "Connections and questions to the store of limits across nodes that failed, by why.";
    unreached(text, "headgate_limit_store_failures", help, &store.failures);
}

fn endpoints(text: &mut Text, upstreams: &[UpstreamReport]) {
    use Type::{Counter, Gauge};
    let mut each = |name, kind, help: &str, value: fn(&hg_engine::EndpointReport) -> u64| {
        text.family(name, kind, "", help);
        for upstream in upstreams {
            for endpoint in &upstream.endpoints {
                let backend = format!("{}/{}", upstream.name, endpoint.address);
                text.int(&[("backend", &backend)], value(endpoint));
            }
        }
    };
    each("proxy_backend_connections", Gauge, "Connections in use.", |e| e.active);
    each("proxy_backend_requests", Counter, "Requests sent.", |e| e.requests);
    each("proxy_backend_failures", Counter, "Requests that failed there.", |e| e.failures);
    each("headgate_backend_idle_connections", Gauge, "Connections in the pools.", |e| e.idle);
    each("headgate_backend_connects", Counter, "Connections opened.", |e| e.connects);
    let help = "Connections that could not be opened.";
    each("headgate_backend_connect_failures", Counter, help, |e| e.connect_failures);
    let help = "Requests that took an idle connection.";
    each("headgate_backend_reuses", Counter, help, |e| e.reuses);
    let help = "1 when there is an address to connect to.";
    each("headgate_backend_resolved", Gauge, help, |e| u64::from(e.is_resolved()));
    let help = "1 when the endpoint gets new requests.";
    each("headgate_backend_takes_traffic", Gauge, help, |e| u64::from(e.health.takes));
    let help = "1 when the endpoint is up, whether or not it gets requests.";
    each("headgate_backend_up", Gauge, help, |e| u64::from(e.health.state == "up"));
    each("headgate_backend_checks_passed", Counter, "Health checks that passed.", |e| {
        e.health.checks_passed
    });
    each("headgate_backend_checks_failed", Counter, "Health checks that failed.", |e| {
        e.health.checks_failed
    });
    agents(text, upstreams);
    negotiated(text, upstreams);
}

/// Writes what TLS handshakes with endpoints agreed on, where there were any that may agree on HTTP/2.
fn negotiated(text: &mut Text, upstreams: &[UpstreamReport]) {
    let help =
        "TLS handshakes with an endpoint that may speak HTTP/2, by what they agreed on (ALPN).";
    text.family("headgate_backend_negotiated", Type::Counter, "", help);
    for upstream in upstreams {
        for endpoint in &upstream.endpoints {
            let backend = format!("{}/{}", upstream.name, endpoint.address);
            let agreed = endpoint.negotiated;
            for (protocol, count) in [("h2", agreed.h2), ("http/1.1", agreed.http1)] {
                if count > 0 {
                    text.int(&[("backend", &backend), ("protocol", protocol)], count);
                }
            }
        }
    }
}

/// Writes what agents of endpoints did, where they are asked.
fn agents(text: &mut Text, upstreams: &[UpstreamReport]) {
    use Type::{Counter, Gauge};
    let mut each = |name, kind, help: &str, value: fn(&hg_engine::AgentReport) -> u64| {
        text.family(name, kind, "", help);
        for upstream in upstreams {
            for endpoint in &upstream.endpoints {
                let Some(agent) = &endpoint.health.agent else { continue };
                let backend = format!("{}/{}", upstream.name, endpoint.address);
                text.int(&[("backend", &backend)], value(agent));
            }
        }
    };
    let help = "The part of its weight that an endpoint's agent asks for, in percent.";
    each("headgate_backend_agent_weight_percent", Gauge, help, |a| a.percent.into());
    let help = "Questions that an endpoint's agent answered.";
    each("headgate_backend_agent_answers", Counter, help, |a| a.answers);
    let help = "Questions that an endpoint's agent did not answer, or not in the protocol.";
    each("headgate_backend_agent_failures", Counter, help, |a| a.failures);
}

fn tls(text: &mut Text, engine: &EngineMetrics) {
    let help = "TLS handshakes with clients and upstreams; failed ones may have no version.";
    text.family("headgate_tls_handshakes", Type::Counter, "", help);
    for h in &engine.handshakes {
        let labels = [("side", h.side), ("version", h.version), ("kind", h.kind)];
        text.int(&labels, h.count);
    }
    let help = "Requests answered with 421: their host needs another connection.";
    text.family("headgate_misdirected", Type::Counter, "", help).int(&[], engine.misdirected);
}

fn workers(text: &mut Text, workers: &[WorkerReport]) {
    use Type::{Counter, Gauge};
    let count = u64::try_from(workers.len()).unwrap_or(0);
    text.family("headgate_workers", Gauge, "", "Worker threads.").int(&[], count);
    text.family("headgate_worker_connections", Gauge, "", "Client connections open.");
    for worker in workers {
        text.int(&[("worker", &worker.index.to_string())], worker.connections);
    }
    text.family("headgate_worker_requests", Counter, "", "Requests answered.");
    for worker in workers {
        text.int(&[("worker", &worker.index.to_string())], worker.requests);
    }
    text.family("headgate_worker_restarts", Counter, "", "Replacements after a failure.");
    for worker in workers {
        text.int(&[("worker", &worker.index.to_string())], worker.restarts);
    }
    text.family("headgate_worker_cpu_seconds", Counter, "seconds", "CPU time of the thread.");
    for worker in workers {
        text.float(&[("worker", &worker.index.to_string())], worker.cpu.as_secs_f64());
    }
}

fn plan(text: &mut Text, figures: &Figures<'_>) {
    use Type::{Counter, Gauge, Info};
    let engine = figures.engine;
    text.family("headgate_plan", Info, "", "The plan every worker serves.");
    text.int(&[("digest", &engine.plan_digest)], 1);
    text.family("headgate_plan_objects", Gauge, "", "Objects in it.").int(&[], engine.plan_objects);
    text.family("headgate_plan_swaps", Counter, "", "Plans swapped in.")
        .int(&[], engine.plan_swaps);
    let help = "Time the last swap took on all workers.";
    text.family("headgate_plan_swap_seconds", Gauge, "seconds", help);
    text.float(&[], engine.plan_swap.as_secs_f64());
    reasons(text, "headgate_plan_applies", "outcome", "Plans received.", figures.applies);
    text.family("headgate_draining", Gauge, "", "1 while leaving.");
    text.int(&[], u64::from(engine.draining));
}

fn names(text: &mut Text, names: &[HostReport]) {
    use Type::{Counter, Gauge};
    let help = "Time since a name's last good answer.";
    text.family("headgate_resolver_age_seconds", Gauge, "seconds", help);
    for name in names {
        if let Some(age) = name.age {
            text.float(&[("name", &name.host)], age.as_secs_f64());
        }
    }
    text.family("headgate_resolver_lookups", Counter, "", "Questions asked.");
    for name in names {
        text.int(&[("name", &name.host)], name.lookups);
    }
    text.family("headgate_resolver_failures", Counter, "", "Questions without a good answer.");
    for name in names {
        text.int(&[("name", &name.host)], name.failures);
    }
}

fn process_figures(text: &mut Text, figures: &Figures<'_>) {
    use Type::{Counter, Gauge};
    let process = figures.process;
    let help = "Number of this data-plane process, counted by the supervisor.";
    text.family("headgate_dataplane_generation", Gauge, "", help).int(&[], figures.generation);
    text.family("headgate_dataplane_uptime_seconds", Gauge, "seconds", "Time it has served.");
    text.float(&[], figures.uptime.as_secs_f64());
    text.family("headgate_dataplane_cpu_seconds", Counter, "seconds", "CPU time of all threads.");
    text.float(&[], process.cpu.as_secs_f64());
    text.family("headgate_dataplane_resident_bytes", Gauge, "bytes", "Resident memory.");
    text.int(&[], process.resident_bytes);
    text.family("headgate_dataplane_open_fds", Gauge, "", "Open descriptors.");
    text.int(&[], process.open_fds);
    text.family("headgate_dataplane_max_fds", Gauge, "", "Descriptors allowed.");
    text.int(&[], process.max_fds);
}

fn reasons(text: &mut Text, name: &'static str, label: &str, help: &str, counts: &[ReasonCount]) {
    text.family(name, Type::Counter, "", help);
    for count in counts {
        text.int(&[(label, count.reason)], count.count);
    }
}

#[cfg(test)]
mod tests;
