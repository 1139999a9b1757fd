//! Upstreams and endpoints.

use super::balance::Balance;
use super::defaults::{head_bytes, max_idle, ms_5000, ms_60000, one, queue, root_path, yes};
use super::health::Health;
use super::tls::TlsVersion;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::fmt;

/// A pool of endpoints.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Upstream {
    /// Endpoints in the user's order; never empty.
    pub endpoints: Vec<Endpoint>,
    /// The policy that picks an endpoint.
    #[serde(default)]
    pub balance: Balance,
    /// The cookie that keeps a client at its endpoint.
    #[serde(default)]
    pub affinity: Option<Affinity>,
    /// The Host that the upstream receives.
    #[serde(default)]
    pub host_header: HostHeader,
    /// TLS towards the endpoints; absent = plain.
    #[serde(default)]
    pub tls: Option<UpstreamTls>,
    /// The version of HTTP that the endpoints speak.
    #[serde(default)]
    pub protocol: UpstreamProtocol,
    /// Time to connect, for all endpoints together.
    #[serde(default = "ms_5000")]
    pub connect_timeout_ms: u64,
    /// Connections to keep open.
    #[serde(default)]
    pub pool: Pool,
    /// Most connections in use at once, per data-plane process; 0 = no limit.
    #[serde(default)]
    pub max_connections: u32,
    /// Requests that may wait for a connection when `max_connections` is reached.
    #[serde(default = "queue")]
    pub queue: u32,
    /// The time that a request may wait for a connection.
    #[serde(default = "ms_5000")]
    pub queue_timeout_ms: u64,
    /// Most bytes of one response head.
    #[serde(default = "head_bytes")]
    pub head_bytes: u32,
    /// The rules that judge the endpoints' health, and the consequences.
    #[serde(default)]
    pub health: Health,
}

/// One endpoint.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Endpoint {
    /// `host:port`, `1.2.3.4:80`, `[::1]:80` or `unix:/path`.
    pub address: String,
    /// Weight; 0 = takes nothing.
    #[serde(default = "one")]
    pub weight: u32,
    /// Takes requests only if no other endpoint can.
    #[serde(default)]
    pub backup: bool,
    /// Most connections in use at once to this endpoint, per data-plane process; 0 = no limit.
    #[serde(default)]
    pub max_connections: u32,
    /// Availability zone.
    #[serde(default)]
    pub zone: Option<String>,
    /// Free labels.
    #[serde(default)]
    pub labels: BTreeMap<String, String>,
}

/// A cookie that keeps a client at the endpoint that answered first.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Affinity {
    /// Its name.
    pub cookie: String,
    /// The time that a client keeps it; 0 = until the browser ends.
    #[serde(default)]
    pub max_age_s: u64,
    /// The paths that it is sent with.
    #[serde(default = "root_path")]
    pub path: String,
    /// The requests from other sites with which it is sent.
    #[serde(default)]
    pub same_site: SameSite,
    /// True if it is sent over TLS only; absent = if the client came over TLS.
    #[serde(default)]
    pub secure: Option<bool>,
    /// True if scripts cannot read it.
    #[serde(default = "yes")]
    pub http_only: bool,
    /// Texts of keys: the first one signs its values, each of them verifies them. None = values are
    /// not signed.
    #[serde(default)]
    pub keys: Vec<String>,
}

impl fmt::Debug for Affinity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Without its keys.
        f.debug_struct("Affinity").field("cookie", &self.cookie).finish_non_exhaustive()
    }
}

/// The requests from other sites with which a cookie is sent (RFC 6265bis §5.6.7).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SameSite {
    /// Those that a user follows.
    #[default]
    Lax,
    /// No request.
    Strict,
    /// All requests.
    None,
}

/// The Host that an upstream receives.
#[derive(Clone, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HostHeader {
    /// The Host of the client's request.
    #[default]
    Pass,
    /// The endpoint's address.
    Endpoint,
    /// This text.
    Literal(String),
}

/// The version of HTTP that the endpoints of an upstream speak.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UpstreamProtocol {
    /// HTTP/1.1.
    #[default]
    Http1,
    /// HTTP/2 over TLS; the endpoint must agree by ALPN.
    H2,
    /// HTTP/2 without TLS, by prior knowledge.
    H2c,
    /// HTTP/2 or HTTP/1.1 over TLS, as the endpoint chooses by ALPN.
    Auto,
}

impl UpstreamProtocol {
    /// Returns the word of the plan.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http1 => "http1",
            Self::H2 => "h2",
            Self::H2c => "h2c",
            Self::Auto => "auto",
        }
    }
}

/// The version of the PROXY protocol that endpoints are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyVersion {
    /// A line of text.
    V1,
    /// Binary, with what else is known of the client.
    V2,
}

impl ProxyVersion {
    /// Returns the word of the plan.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "v1",
            Self::V2 => "v2",
        }
    }
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
    /// Name the server in the handshake (SNI); an address is never named.
    #[serde(default = "yes")]
    pub sni: bool,
    /// sha256 (hex) of the PEM bundle of roots; absent = the system's roots.
    #[serde(default)]
    pub ca: Option<String>,
    /// The certificate object to send if the endpoint asks for one.
    #[serde(default)]
    pub client_certificate: Option<String>,
    /// Lowest version, `1.2` or `1.3`.
    #[serde(default)]
    pub min_version: TlsVersion,
}

/// Connections kept open to endpoints, per worker.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Pool {
    /// Idle connections kept per endpoint and worker.
    pub max_idle: u32,
    /// The time that a connection may be idle before it is closed.
    pub idle_timeout_ms: u64,
    /// Age at which a connection is not used again; 0 = off.
    pub max_age_ms: u64,
    /// The header with which each begins, so that only one client's requests may use it; absent =
    /// none.
    pub proxy_protocol: Option<ProxyVersion>,
}

impl Default for Pool {
    fn default() -> Self {
        Self {
            max_idle: max_idle(),
            idle_timeout_ms: ms_60000(),
            max_age_ms: 0,
            proxy_protocol: None,
        }
    }
}
