//! Active health checks of an upstream's endpoints.

use serde::Deserialize;
use std::collections::BTreeMap;

/// How the health of an upstream's endpoints is judged.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Health {
    /// How the endpoints are checked; absent = not at all.
    pub check: Option<HealthCheck>,
    /// When endpoints are ejected for what requests say of them; absent = never.
    pub outliers: Option<OutlierDetection>,
    /// Share of usable endpoints in percent below which their health is ignored; 0 = off.
    pub panic_threshold: u8,
}

impl Default for Health {
    fn default() -> Self {
        Self { check: None, outliers: None, panic_threshold: 30 }
    }
}

/// How the endpoints of an upstream are checked.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct HealthCheck {
    /// The request to send; absent = a connection that opens is enough.
    pub http: Option<HttpCheck>,
    /// Time between the starts of two checks.
    pub interval_ms: u64,
    /// How long one check may take.
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
            interval_ms: 5_000,
            timeout_ms: 2_000,
            fast_interval_ms: 1_000,
            max_interval_ms: 30_000,
            healthy: 2,
            unhealthy: 3,
        }
    }
}

/// When an endpoint is ejected for what requests say of it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutlierDetection {
    /// Answers in a row with any 5xx; 0 = off.
    pub consecutive_5xx: u32,
    /// Answers in a row with 502, 503 or 504; 0 = off.
    pub consecutive_gateway: u32,
    /// Requests in a row without an answer; 0 = off.
    pub consecutive_local: u32,
    /// Length of the first ejection; the n-th in a row takes n times as long.
    pub ejection_ms: u64,
    /// Longest ejection.
    pub max_ejection_ms: u64,
    /// Most endpoints ejected at a time, in percent.
    pub max_ejected: u8,
    /// Whether endpoints are ejected; otherwise only events tell.
    pub enforce: bool,
}

impl Default for OutlierDetection {
    fn default() -> Self {
        Self {
            consecutive_5xx: 5,
            consecutive_gateway: 5,
            consecutive_local: 5,
            ejection_ms: 30_000,
            max_ejection_ms: 300_000,
            max_ejected: 50,
            enforce: true,
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
