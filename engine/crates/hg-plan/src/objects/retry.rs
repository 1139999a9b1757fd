//! The retries of a route's requests.

use serde::Deserialize;

/// The retries of a route's requests, beyond other endpoints to which it could not connect.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Retry {
    /// Retries of one request; its first try is none.
    pub retries: u32,
    /// The conditions that are worth one besides `connect-failure` and `refused-stream`: `timeout`,
    /// `reset`, `5xx`, `gateway-error`, a status from 400 to 599, or a code of gRPC such as
    /// `grpc-unavailable`.
    pub on: Vec<String>,
    /// The requests that may be sent again although the endpoint may have processed them.
    pub methods: RetryMethods,
    /// The wait before each.
    pub backoff: RetryBackoff,
    /// The number that there may be, of all requests to an upstream.
    pub budget: RetryBudget,
    /// The start of a second try beside a first one that takes long; absent = never.
    pub hedge: Option<RetryHedge>,
}

/// The start of a second try beside the first.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryHedge {
    /// The time that the first one has waited for its answer; 0 = as long as 95 of 100 of the route
    /// do.
    pub after_ms: u64,
}

impl Default for Retry {
    fn default() -> Self {
        Self {
            retries: 2,
            on: Vec::new(),
            methods: RetryMethods::default(),
            backoff: RetryBackoff::default(),
            budget: RetryBudget::default(),
            hedge: None,
        }
    }
}

/// The requests that may be sent again although the endpoint may have processed them.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum RetryMethods {
    /// Those whose method is idempotent (RFC 9110 §9.2.2).
    #[default]
    Idempotent,
    /// All.
    All,
    /// Those with one of these methods; upper case.
    Only(Vec<String>),
}

/// The wait before a retry: drawn evenly between nothing and a limit that grows.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBackoff {
    /// Longest wait before the first retry.
    pub base_ms: u64,
    /// The length of each further one, in percent of the one before.
    pub factor_percent: u32,
    /// Longest wait.
    pub max_ms: u64,
    /// True if the wait is drawn; otherwise it is the longest one.
    pub jitter: bool,
}

impl Default for RetryBackoff {
    fn default() -> Self {
        Self { base_ms: 25, factor_percent: 200, max_ms: 250, jitter: true }
    }
}

/// The number of retries that an upstream gets.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RetryBudget {
    /// In percent of the requests of the last ten seconds; 0 = none.
    pub percent: u32,
    /// In each second, whatever the requests; 0 = none.
    pub per_second: u32,
}

impl Default for RetryBudget {
    fn default() -> Self {
        Self { percent: 20, per_second: 3 }
    }
}
