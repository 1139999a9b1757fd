//! Active health checks of an upstream's endpoints.

use super::BytesCheck;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The rules that judge the health of an upstream's endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// The checks of the endpoints; absent = not at all.
    pub check: Option<HealthCheck>,
    /// The agents by which the endpoints report their state, besides the checks; absent = nothing.
    pub agent: Option<AgentCheck>,
    /// The conditions under which requests eject endpoints; absent = never.
    pub outliers: Option<OutlierDetection>,
    /// The conditions under which requests are kept from what fails; absent = never.
    pub breaker: Option<CircuitBreaker>,
    /// The number of requests at a time that it gets from all workers, learned from their latency;
    /// absent = any number.
    pub concurrency: Option<AdaptiveConcurrency>,
    /// Share of usable endpoints in percent below which their health is ignored; 0 = off.
    pub panic_threshold: u8,
    /// The time that an endpoint that comes back takes to its full share; 0 = no time.
    pub slow_start_ms: u64,
    /// The share that it begins with, in percent.
    pub slow_start_floor: u8,
}

impl Default for Health {
    fn default() -> Self {
        Self {
            check: None,
            agent: None,
            outliers: None,
            breaker: None,
            concurrency: None,
            panic_threshold: 30,
            slow_start_ms: 0,
            slow_start_floor: 10,
        }
    }
}

/// The checks of an upstream's endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// The request to send; without one a connection that opens is enough.
    pub http: Option<HttpCheck>,
    /// The call of gRPC's health service to make, over HTTP/2.
    pub grpc: Option<GrpcCheck>,
    /// The bytes to send, and the answer to them.
    pub bytes: Option<BytesCheck>,
    /// Time between the starts of two checks.
    pub interval_ms: u64,
    /// The time that one check may take.
    pub timeout_ms: u64,
    /// Time between two checks while the verdict is changing.
    pub fast_interval_ms: u64,
    /// Longest time between two checks of an endpoint that is down.
    pub max_interval_ms: u64,
    /// Checks in a row that must pass for an endpoint to be up again.
    pub healthy: u32,
    /// Checks in a row that must fail for an endpoint to be down.
    pub unhealthy: u32,
}

impl Default for HealthCheck {
    fn default() -> Self {
        Self {
            http: None,
            grpc: None,
            bytes: None,
            interval_ms: 5_000,
            timeout_ms: 2_000,
            fast_interval_ms: 1_000,
            max_interval_ms: 30_000,
            healthy: 2,
            unhealthy: 3,
        }
    }
}

/// The questions to the agents of an upstream's endpoints, in the protocol of HAProxy's
/// `agent-check`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AgentCheck {
    /// The port of an agent, at the address of its endpoint.
    pub port: u16,
    /// The text that it is sent first; empty = nothing.
    #[serde(default)]
    pub send: String,
    /// Time between the starts of two questions.
    #[serde(default = "AgentCheck::interval_ms")]
    pub interval_ms: u64,
    /// The time that one may take.
    #[serde(default = "AgentCheck::timeout_ms")]
    pub timeout_ms: u64,
}

impl AgentCheck {
    fn interval_ms() -> u64 {
        2_000
    }

    fn timeout_ms() -> u64 {
        1_000
    }
}

/// A call of gRPC's health service (grpc.health.v1).
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct GrpcCheck {
    /// The service that is asked about; empty = the server as a whole.
    pub service: String,
    /// The authority to send; absent = the endpoint's address.
    pub host: Option<String>,
}

/// The conditions under which requests eject an endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierDetection {
    /// Answers in a row with any 5xx; 0 = off.
    pub consecutive_5xx: u32,
    /// Answers in a row with 502, 503 or 504; 0 = off.
    pub consecutive_gateway: u32,
    /// Requests in a row without an answer; 0 = off.
    pub consecutive_local: u32,
    /// The shares of requests that eject, too.
    pub shares: OutlierShares,
    /// Length of the first ejection; the n-th in a row takes n times as long.
    pub ejection_ms: u64,
    /// Longest ejection.
    pub max_ejection_ms: u64,
    /// Most endpoints ejected at a time, in percent.
    pub max_ejected: u8,
    /// Of so many percent of the verdicts endpoints are ejected; of the others only events and
    /// metrics tell.
    pub enforce_percent: u8,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_gateway: 5,
            consecutive_local: 5,
            shares: OutlierShares::default(),
            ejection_ms: 30_000,
            max_ejection_ms: 300_000,
            max_ejected: 50,
            enforce_percent: 100,
        }
    }
}

/// The shares of an endpoint's requests that eject it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierShares {
    /// Failed requests of the window, in percent; 0 = off.
    pub failure_percent: u8,
    /// Requests of the window without which there is no percentage.
    pub failure_requests: u32,
    /// Standard deviations by which the success rate is below the mean of the endpoints, in
    /// thousandths; 0 = off.
    pub success_rate_deviation: u32,
    /// Endpoints that a mean is made of, at least.
    pub success_rate_endpoints: u32,
    /// Requests of the window that make an endpoint one of them.
    pub success_rate_requests: u32,
    /// Length of the window in seconds, at most 60.
    pub window_s: u64,
}

impl Default for OutlierShares {
    fn default() -> Self {
        Self {
            failure_percent: 50,
            failure_requests: 20,
            success_rate_deviation: 1_900,
            success_rate_endpoints: 5,
            success_rate_requests: 100,
            window_s: 60,
        }
    }
}

/// The number of requests at a time that an upstream gets from all workers together.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct AdaptiveConcurrency {
    /// The number to begin with.
    pub initial: u32,
    /// The least.
    pub min: u32,
    /// The most.
    pub max: u32,
}

impl Default for AdaptiveConcurrency {
    fn default() -> Self {
        Self { initial: 20, min: 4, max: 1_000 }
    }
}

/// The scope of a breaker.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BreakerScope {
    /// Each endpoint has a breaker.
    Endpoint,
    /// The endpoints of the upstream have one together.
    Upstream,
}

/// The conditions under which requests are kept from an endpoint, or from all of the upstream,
/// because it fails.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CircuitBreaker {
    /// The scope of each breaker.
    pub per: BreakerScope,
    /// Failures in a row that open it, at most 2,047; 0 = off.
    pub failures: u16,
    /// The time that it stays open.
    pub open_ms: u64,
    /// Successes that close a half-open one.
    pub successes: u16,
    /// Requests at a time through a half-open one.
    pub probes: u16,
    /// Failed requests, in percent, that open it; 0 = off.
    pub error_percent: u8,
    /// Slow answers, in percent, that open it; 0 = off.
    pub slow_percent: u8,
    /// An answer whose head takes longer is slow.
    pub slow_ms: u64,
    /// Requests in the window without which there is no percentage.
    pub requests: u32,
    /// Length of the window in seconds, at most 60.
    pub window_s: u64,
}

impl Default for CircuitBreaker {
    fn default() -> Self {
        Self {
            per: BreakerScope::Endpoint,
            failures: 5,
            open_ms: 30_000,
            successes: 2,
            probes: 2,
            error_percent: 0,
            slow_percent: 0,
            slow_ms: 1_000,
            requests: 20,
            window_s: 10,
        }
    }
}

/// The request of a check, and the answer that passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HttpCheck {
    /// Path, with a query if wanted.
    pub path: String,
    /// Method.
    pub method: String,
    /// The Host to send; absent = the endpoint's address.
    pub host: Option<String>,
    /// Further header lines.
    pub headers: BTreeMap<String, String>,
    /// First and last status of each range that passes.
    pub statuses: Vec<(u16, u16)>,
    /// A text that the body must contain in its first 64 KiB.
    pub body: Option<String>,
}

impl Default for HttpCheck {
    fn default() -> Self {
        Self {
            path: "/".into(),
            method: "GET".into(),
            host: None,
            headers: BTreeMap::new(),
            statuses: vec![(200, 399)],
            body: None,
        }
    }
}
