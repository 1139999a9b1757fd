//! Upstreams and endpoints.

use super::defaults::{
    head_bytes, load_bound, maglev_table, max_idle, ms_5000, ms_60000, one, queue, virtual_nodes,
    yes,
};
use super::tls::TlsVersion;
use serde::Deserialize;
use std::collections::BTreeMap;

/// A pool of endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Never empty; order is the user's.
    pub endpoints: Vec<Endpoint>,
    /// How one is picked.
    #[serde(default)]
    pub balance: Balance,
    /// What the upstream sees as Host.
    #[serde(default)]
    pub host_header: HostHeader,
    /// TLS towards the endpoints; absent = plain.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
    /// Time for connecting, all endpoints tried together.
    #[serde(default = "ms_5000")]
    pub connect_timeout_ms: u64,
    /// Connections kept.
    #[serde(default)]
    pub pool: Pool,
    /// Connections in use at once in all, per data-plane process; 0 = no limit.
    #[serde(default)]
    pub max_connections: u32,
    /// Requests that may wait for a connection when `max_connections` is reached.
    #[serde(default = "queue")]
    pub queue: u32,
    /// How long one waits.
    #[serde(default = "ms_5000")]
    pub queue_timeout_ms: u64,
    /// Bytes of one response head, at most.
    #[serde(default = "head_bytes")]
    pub head_bytes: u32,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `host:port`, `1.2.3.4:80`, `[::1]:80` or `unix:/path`.
    pub address: String,
    /// 0 = takes nothing.
    #[serde(default = "one")]
    pub weight: u32,
    /// Only when no other can be used.
    #[serde(default)]
    pub backup: bool,
    /// Connections in use at once to this endpoint, per data-plane process; 0 = no limit.
    #[serde(default)]
    pub max_connections: u32,
    /// Availability zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// How an endpoint is picked.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Balance {
    /// Smooth weighted round robin.
    #[default]
    RoundRobin,
    /// Fewest requests in flight per weight.
    LeastConn,
    /// Weighted random.
    Random,
    /// Power of two choices on peak-EWMA latency times load, failure-aware.
    P2c,
    /// Ring hash with bounded load.
    RingHash {
        /// `client_ip`, `header:NAME`, `cookie:NAME` or `path`.
        key: String,
        /// Points on the ring per unit of weight.
        #[serde(default = "virtual_nodes")]
        virtual_nodes: u32,
        /// Load over the mean, in percent, above which the next on the ring is taken; 0 = off.
        #[serde(default = "load_bound")]
        load_bound: u32,
    },
    /// Maglev hash.
    Maglev {
        /// As above.
        key: String,
        /// Table size; a prime.
        #[serde(default = "maglev_table")]
        table_size: u32,
    },
}

/// What an upstream sees as Host.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostHeader {
    /// The client's.
    #[default]
    Pass,
    /// The endpoint's address.
    Endpoint,
    /// This.
    Literal(String),
}

/// TLS towards endpoints.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UpstreamTls {
    /// Verify the chain and the name.
    #[serde(default = "yes")]
    pub verify: bool,
    /// The name sent as SNI and verified; absent = the endpoint's host.
    #[serde(default)]
    pub verify_name: Option<String>,
    /// sha256 (hex) of the PEM bundle of roots; absent = the system's roots.
    #[serde(default)]
    pub ca: Option<String>,
    /// A certificate object offered when asked.
    #[serde(default)]
    pub client_certificate: Option<String>,
    /// `1.2` or `1.3`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// Connections kept towards endpoints, per worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Idle connections kept per endpoint and worker.
    pub max_idle: u32,
    /// An idle one is closed after this long.
    pub idle_timeout_ms: u64,
    /// One is not used again after this long; 0 = off.
    pub max_age_ms: u64,
}

impl Default for Pool {
    fn default() -> Self {
        Self { max_idle: max_idle(), idle_timeout_ms: ms_60000(), max_age_ms: 0 }
    }
}
