//! Hosts and routes.

use super::defaults::{
    kib_64, mirrored, ms_10000, ms_30000, ms_60000, ms_300000, one, share_all, yes,
};
use super::middleware::{MiddlewareUse, Redirect, Respond};
use super::retry::Retry;
use super::upstream::Affinity;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A virtual host; its name is the host (`a.example`, `*.example`).
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Host {
    /// Certificates offered for this name (for example one ECDSA and one RSA).
    pub certificates: Vec<String>,
    /// TLS policy; absent = the listener's.
    pub tls_policy: Option<String>,
    /// Serve it on plain listeners, too, whatever the policy requires of clients.
    pub allow_plain: bool,
    /// Middlewares that run before the route's own.
    pub middlewares: Vec<MiddlewareUse>,
}

/// An HTTP route.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Route {
    /// Hosts `a.example`, `*.example` or `*`; lower case, never empty.
    pub hosts: Vec<String>,
    /// Listeners by name, sorted; never empty.
    pub listeners: Vec<String>,
    /// Matches, of which any may hold; empty = everything.
    #[serde(default, rename = "match")]
    pub matches: Vec<Match>,
    /// Higher priorities come first, within one host.
    #[serde(default)]
    pub priority: i32,
    /// Middlewares that run after the host's own, in order.
    #[serde(default)]
    pub middlewares: Vec<MiddlewareUse>,
    /// The action for a request that passed the middlewares.
    pub action: Action,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: RouteTimeouts,
    /// Forward the path as it came instead of normalised.
    #[serde(default)]
    pub forward_raw_path: bool,
    /// Allow WebSocket upgrades.
    #[serde(default = "yes")]
    pub websocket: bool,
    /// Most bytes of one request body; absent = the listener's.
    #[serde(default)]
    pub body_bytes: Option<u64>,
    /// Collect bodies of at most so many bytes before asking the upstream; 0 = none.
    #[serde(default)]
    pub body_buffer_bytes: u64,
    /// Collect at most so many bytes of an answer for a client that takes them slowly; 0 = none.
    #[serde(default)]
    pub response_buffer_bytes: u32,
    /// The conditions of a retry; absent = only where no connection was made.
    #[serde(default)]
    pub retry: Option<Retry>,
    /// The importance of its requests while there is too much to do.
    #[serde(default)]
    pub importance: Importance,
    /// The records that are kept of its requests.
    #[serde(default)]
    pub observed: Observed,
    /// The way in which a client finds its branch of a split again; absent = it does not.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// The upstreams that get some of its requests once more, each upstream once; empty = none.
    #[serde(default)]
    pub mirrors: Vec<Mirror>,
}

/// The upstream that gets some requests once more, and the choice of these requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Mirror {
    /// Name of the upstream; none of those that answer.
    pub upstream: String,
    /// The number of such requests in 10,000.
    #[serde(default = "share_all")]
    pub share: u16,
    /// Most bytes of a request's body.
    #[serde(default = "kib_64")]
    pub body_bytes: u64,
    /// After so long a mirrored request is given up; above 0.
    #[serde(default = "ms_10000")]
    pub timeout_ms: u64,
    /// Most mirrored requests that have not ended, on all workers.
    #[serde(default = "mirrored")]
    pub in_flight: u32,
}

/// The means that keeps a client at its branch of a split.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Sticky {
    /// A signed cookie.
    Cookie(Affinity),
    /// The hash of the first of these that a request has: `client_ip`, `header:NAME`, `cookie:NAME`
    /// or `path`.
    By(Vec<String>),
}

/// The records that are kept of the requests of a route.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Observed {
    /// The percentage of them that is in the access log, 0 to 100.
    pub access_log_percent: u8,
    /// First and last of the statuses of which each request is in the log besides.
    pub access_log_statuses: Box<[(u16, u16)]>,
    /// Each request that took at least so many milliseconds is in the log besides.
    pub access_log_slower_ms: Option<u64>,
    /// True if they belong to traces, where the settings have them.
    pub tracing: bool,
}

impl Default for Observed {
    fn default() -> Self {
        Self {
            access_log_percent: 100,
            access_log_statuses: Box::new([(500, 599)]),
            access_log_slower_ms: None,
            tracing: true,
        }
    }
}

/// The importance of requests: those of low importance are refused first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Importance {
    /// They are refused as soon as a limit is near.
    Low,
    /// They are refused once a limit is reached.
    #[default]
    Normal,
    /// They are refused far above a limit only.
    High,
}

/// One match; every condition given must hold.
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Match {
    /// Condition on the normalised path.
    pub path: Option<PathMatch>,
    /// The method is one of these; upper case. Empty = all.
    pub methods: Vec<String>,
    /// Conditions by lower-case header name.
    pub headers: BTreeMap<String, ValueMatch>,
    /// Conditions by cookie name, which is case-sensitive.
    pub cookies: BTreeMap<String, ValueMatch>,
    /// Conditions by query parameter name.
    pub query: BTreeMap<String, ValueMatch>,
    /// The client's address is in one of these CIDRs. Empty = all.
    pub client: Vec<String>,
    /// Condition on the subject of the client's verified certificate.
    pub client_subject: Option<ValueMatch>,
    /// Condition on the client's verified certificate.
    pub client_certificate: Option<CertificateMatch>,
}

/// The requirements on a client's verified certificate. A list that is empty asks for nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct CertificateMatch {
    /// Subjects, of which it has one.
    pub subjects: Vec<String>,
    /// Alternative names with their types, of which it has one.
    pub sans: Vec<String>,
    /// SPIFFE IDs, of which it has one.
    pub spiffe: Vec<String>,
    /// SHA-256 of the DER form in lower-case hex, of which it has one.
    pub fingerprints: Vec<String>,
}

/// A condition on the path.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum PathMatch {
    /// The whole path.
    Exact(String),
    /// Whole segments from the start; no trailing slash unless it is `/`.
    Prefix(String),
    /// The whole path, anchored on both sides.
    Regex(String),
}

/// A condition on the value of a header, a cookie or a query parameter.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum ValueMatch {
    /// The value equals the text.
    Exact(String),
    /// The value begins with the text.
    Prefix(String),
    /// The pattern matches the whole value, anchored on both sides.
    Regex(String),
    /// The value is there (`true` is the only value).
    Present(bool),
    /// The value is missing (`true` is the only value).
    Absent(bool),
}

/// The action of a route for requests that pass its middlewares.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Action {
    /// Forward to this upstream.
    Upstream(String),
    /// Forward to one of these, by weight.
    Split(Vec<SplitPart>),
    /// Answer without an upstream.
    Respond(Respond),
    /// Redirect.
    Redirect(Redirect),
    /// Refuse with 503 and the reason `not-imported`: the part of another proxy's config for which
    /// this route stands has no counterpart here. The text says where and why.
    NotImported(String),
}

/// One share of a split.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SplitPart {
    /// Name of the upstream.
    pub upstream: String,
    /// Weight; 0 = takes nothing.
    #[serde(default = "one")]
    pub weight: u32,
}

/// Timeouts of a route; 0 = off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct RouteTimeouts {
    /// Time from the request's head to the answer's last byte; stops counting at an upgrade.
    pub request_ms: u64,
    /// Time of one attempt at one endpoint, up to the answer's head; 0 = no limit of its own.
    pub per_try_ms: u64,
    /// The time that a request body may fall behind its rate, and that it may pause.
    pub body_ms: u64,
    /// Least bytes per second of a request body; 0 = any.
    pub body_rate: u64,
    /// Time from the request's last byte to the answer's first.
    pub first_byte_ms: u64,
    /// Time without a byte in either direction.
    pub stream_idle_ms: u64,
}

impl Default for RouteTimeouts {
    fn default() -> Self {
        Self {
            request_ms: 0,
            per_try_ms: 0,
            body_ms: ms_30000(),
            body_rate: 500,
            first_byte_ms: ms_60000(),
            stream_idle_ms: ms_300000(),
        }
    }
}
