//! The whole page of a small node, line by line.

use super::*;
use hg_engine::{
    AgentReport, BANDWIDTH_BYTES, BANDWIDTH_HELD, BreakerReport, EndpointReport, ExportStats,
    HandshakeCount, HealthReport, Histogram, Http2Metrics, Joined, LimitStoreStats, ListenerReport,
    LogStats, NegotiatedReport, Offload, OpenCount, OutletMetrics, RequestCount, ResultCount,
    RetryMetrics, ServedReport, TcpMetrics, UdpMetrics,
};
use hg_plan::LATENCY_BOUNDS_US;

fn health(takes: bool) -> HealthReport {
    let state = if takes { "up" } else { "unresolved" };
    let agent = takes.then_some(AgentReport { percent: 75, answers: 10, failures: 11 });
    let (checks_passed, checks_failed) = (8, 9);
    HealthReport { state, takes, checks_passed, checks_failed, agent, ..HealthReport::default() }
}

fn endpoint(address: &str, is_resolved: bool) -> EndpointReport {
    EndpointReport {
        address: address.into(),
        resolved: if is_resolved { vec![address.into()] } else { Vec::new() },
        active: 1,
        idle: 2,
        requests: 3,
        failures: 4,
        connects: 5,
        connect_failures: 6,
        reuses: 7,
        negotiated: NegotiatedReport { now: "h2", h2: u64::from(is_resolved) * 12, http1: 0 },
        health: health(is_resolved),
        ..EndpointReport::default()
    }
}

fn served() -> Histogram {
    let mut duration = Histogram::new(&LATENCY_BOUNDS_US);
    [90, 1_500].iter().for_each(|us| duration.record(*us));
    duration
}

fn upstream() -> UpstreamReport {
    UpstreamReport {
        name: "api".into(),
        endpoints: vec![endpoint("127.0.0.1:9001", true), endpoint("b.test:80", false)],
        waiting: 1,
        queued: 2,
        queue_wait_us: 1_500_000,
        queue_full: 3,
        concurrency_limit: 17,
        panic: true,
        breaker: BreakerReport {
            opened: 3,
            states: vec![ReasonCount { reason: "open", count: 1 }],
        },
        served: ServedReport { duration: served(), retries: 5 },
        outliers: vec![ReasonCount { reason: "dry_run", count: 6 }],
        affinity: vec![ReasonCount { reason: "moved", count: 2 }],
    }
}

fn middlewares() -> Vec<ResultCount> {
    let one = |name: &str, kind, result, count| {
        let middleware = name.into();
        ResultCount { middleware, kind, result, count }
    };
    vec![
        one("shop shadow", MIRROR, "answered", 4),
        one("shop canary", MIRROR, "failed", 1),
        one("shop", SPLIT, "kept", 6),
        one("slow", "fault", "delay", 5),
        one("tight", BANDWIDTH_BYTES, "download", 1_048_576),
        one("tight", BANDWIDTH_HELD, "upload", 1_500_000),
    ]
}

fn engine() -> EngineMetrics {
    let mut duration = Histogram::new(&LATENCY_BOUNDS_US);
    [90, 1_500, 70_000_000].iter().for_each(|us| duration.record(*us));
    EngineMetrics {
        plan_digest: "ab".into(),
        plan_objects: 4,
        plan_swaps: 2,
        plan_swap: Duration::from_micros(250),
        requests: vec![
            RequestCount { upstream: "api".into(), method: "POST", status: 201, count: 2 },
            RequestCount { upstream: "".into(), method: "GET", status: 404, count: 1 },
            RequestCount { upstream: "api".into(), method: "GET", status: 200, count: 9 },
            RequestCount { upstream: "api".into(), method: "GET", status: 5, count: 7 },
        ],
        duration,
        bytes_received: 100,
        bytes_sent: 2000,
        http2: http2(),
        tcp: tcp(),
        udp: udp(),
        rejects: vec![ReasonCount { reason: "http_request_error", count: 1 }],
        refused_connections: vec![ReasonCount { reason: "client", count: 3 }],
        retries: retries(),
        timeouts: vec![ReasonCount { reason: "first_byte", count: 1 }],
        handshakes: vec![HandshakeCount {
            side: "client",
            version: "1.3",
            kind: "resumed",
            count: 8,
        }],
        listeners: vec![listener()],
        workers: vec![WorkerReport {
            connections: 4,
            requests: 12,
            restarts: 1,
            cpu: Duration::from_millis(1500),
            ..WorkerReport::default()
        }],
        upstreams: vec![upstream()],
        overload: shedding(),
        pending: PendingMetrics { bytes: 70_000, collected: 6 },
        middlewares: middlewares(),
        log: LogStats { export: export(41), ..LogStats::default() },
        outlets: OutletMetrics { traces: export(21), limit_store: limit_store() },
        ..EngineMetrics::default()
    }
}

fn limit_store() -> LimitStoreStats {
    LimitStoreStats {
        is_configured: true,
        charged: 31,
        lost: 32,
        failures: [33, 34, 35, 36, 37, 38],
        ..LimitStoreStats::default()
    }
}

fn listener() -> ListenerReport {
    let (name, connections, accepted) = ("web".into(), 4, 40);
    ListenerReport { name, connections, accepted, ..ListenerReport::default() }
}

fn export(n: u64) -> ExportStats {
    ExportStats {
        exported: n,
        queue_full: n + 1,
        unreachable: n + 2,
        refused: n + 3,
        failures: [n + 4, n + 5, n + 6, n + 7, n + 8, n + 9],
        is_failing: n == 21,
    }
}

fn shedding() -> OverloadReport {
    OverloadReport {
        levels: vec![ReasonCount { reason: "queue", count: 2 }],
        shed: vec![ReasonCount { reason: "strained", count: 4 }],
        pauses: 3,
    }
}

fn retries() -> RetryMetrics {
    RetryMetrics {
        sent: vec![ReasonCount { reason: "connect_failure", count: 2 }],
        denied: vec![ReasonCount { reason: "budget", count: 5 }],
        hedges: vec![ReasonCount { reason: "won", count: 1 }],
    }
}

fn tcp() -> TcpMetrics {
    TcpMetrics {
        connections: OpenCount { active: 6, total: 60 },
        closed: vec![ReasonCount { reason: "client-end", count: 3 }],
        detected: vec![ReasonCount { reason: "tls", count: 2 }],
    }
}

fn udp() -> UdpMetrics {
    UdpMetrics {
        flows: OpenCount { active: 7, total: 70 },
        taken_over: 6,
        left_behind: 1,
        ended: vec![ReasonCount { reason: "answered", count: 60 }],
        dropped: vec![ReasonCount { reason: "no-route", count: 2 }],
        hellos: vec![ReasonCount { reason: "named", count: 4 }],
        received: (80, 3200),
        sent: (75, 9000),
        strays: 4,
        offload: Offload { receive: true, send: false },
        joined: Joined { received: 40, sent: 30, refused: 2 },
    }
}

fn http2() -> Http2Metrics {
    Http2Metrics {
        connections: OpenCount { active: 3, total: 30 },
        sends: 300,
        limited: vec![ReasonCount { reason: "streams", count: 7 }],
        closed: vec![ReasonCount { reason: "ping-flood", count: 2 }],
        upstream_connections: OpenCount { active: 4, total: 40 },
        upstream_streams: OpenCount { active: 5, total: 50 },
        upstream_closed: vec![ReasonCount { reason: "ping-timeout", count: 1 }],
    }
}

fn page() -> String {
    let name = |host: &str, age| HostReport { host: host.into(), age, failures: 1, lookups: 5 };
    render(&Figures {
        engine: &engine(),
        lately: Lately { mean_ms: 0.5, p99_ms: 2.25 },
        names: &[name("b.test", Some(Duration::from_millis(2500))), name("c.test", None)],
        process: ProcessReport {
            resident_bytes: 12_345,
            cpu: Duration::from_millis(750),
            open_fds: 20,
            max_fds: 1024,
        },
        generation: 3,
        applies: &[ReasonCount { reason: "applied", count: 6 }],
        uptime: Duration::from_secs(90),
    })
}

#[test]
fn the_page_is_the_golden_one() {
    assert_eq!(page(), include_str!("golden.txt"));
}

#[test]
fn every_family_is_described_once_and_its_samples_follow_it() {
    let page = page();
    let mut seen = std::collections::HashSet::new();
    let mut family = "";
    for line in page.lines() {
        if let Some(rest) = line.strip_prefix("# HELP ") {
            family = rest.split(' ').next().unwrap();
            assert!(seen.insert(family), "{family} twice");
        } else if !line.starts_with('#') {
            assert!(line.starts_with(family), "{line} under {family}");
        } else if let Some(rest) = line.strip_prefix("# UNIT ") {
            let (name, unit) = rest.split_once(' ').unwrap();
            assert!(name.ends_with(unit), "{name} does not end in {unit}");
        }
    }
}

#[test]
fn the_names_that_are_charted_already_are_kept() {
    let page = page();
    for sample in [
        "http_requests_total{method=\"GET\",status=\"200\",upstream=\"api\"} 9",
        "http_request_duration_seconds_bucket{le=\"0.002\"} 2",
        "http_request_duration_seconds_bucket{le=\"1.0\"} 2",
        "http_request_duration_seconds_bucket{le=\"+Inf\"} 3",
        "proxy_active_connections 4",
        "proxy_total_connections 40",
        "proxy_bytes_sent_total 2000",
        "proxy_bytes_received_total 100",
        "proxy_latency_avg_ms 0.5",
        "proxy_latency_p99_ms 2.25",
        "proxy_backend_connections{backend=\"api/127.0.0.1:9001\"} 1",
        "proxy_backend_requests_total{backend=\"api/127.0.0.1:9001\"} 3",
        "proxy_backend_failures_total{backend=\"api/b.test:80\"} 4",
    ] {
        assert!(page.lines().any(|line| line == sample), "{sample}");
    }
}

#[test]
fn the_buckets_are_those_of_the_plan() {
    let mut engine = engine();
    engine.duration = engine.duration.in_buckets(&[1_000, 250_000, 4_100_000, 600_000_000]);
    let mut text = Text::default();
    requests::write(&mut text, &engine, Lately::default());
    let page = text.finish();
    let found: Vec<&str> = page
        .lines()
        .filter_map(|line| line.strip_prefix("http_request_duration_seconds_"))
        .collect();
    let expected = [
        "bucket{le=\"0.001\"} 1",
        "bucket{le=\"0.25\"} 2",
        "bucket{le=\"4.1\"} 2",
        "bucket{le=\"600.0\"} 2",
        "bucket{le=\"+Inf\"} 3",
        "count 3",
        "sum 70.00159",
    ];
    assert_eq!(found, expected);
}
