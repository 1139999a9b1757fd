//! Listeners.

use super::Http2;
use super::defaults::{
    backlog, flows, head_bytes, header_count, keepalive_requests, ms_3000, ms_10000, ms_60000,
};
use serde::Deserialize;

/// An address that accepts connections.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Listener {
    /// `1.2.3.4:80`, `[::1]:80`; never empty.
    pub addresses: Vec<String>,
    /// The protocol that its clients speak.
    pub protocol: ListenerProtocol,
    /// TLS; absent = plain.
    #[serde(default)]
    pub tls: Option<ListenerTls>,
    /// The source of the client's address.
    #[serde(default)]
    pub client_ip: ClientIp,
    /// Accept header lines whose name has a `_`.
    #[serde(default)]
    pub underscores_in_headers: bool,
    /// Serve HTTP/2 on connections that begin with its preface (prior knowledge); only without TLS.
    #[serde(default)]
    pub h2c: bool,
    /// The limits of each connection over HTTP/2.
    #[serde(default)]
    pub http2: Http2,
    /// Accept backlog.
    #[serde(default = "backlog")]
    pub backlog: u32,
    /// Most connections whose first packet had data and whose handshake goes on; 0 = no such data.
    #[serde(default)]
    pub fast_open: u32,
    /// Most client connections open at once on this listener; 0 = only the process's limit.
    #[serde(default)]
    pub max_connections: u32,
    /// Most flows open at once on this listener, if it is of UDP; never 0.
    #[serde(default = "flows")]
    pub flows: u32,
    /// Most bytes of one request head.
    #[serde(default = "head_bytes")]
    pub head_bytes: u32,
    /// Most header lines of one request.
    #[serde(default = "header_count")]
    pub header_count: u32,
    /// Most bytes of one request body; 0 = no limit.
    #[serde(default)]
    pub body_bytes: u64,
    /// Most requests on one connection; 0 = no limit.
    #[serde(default = "keepalive_requests")]
    pub keepalive_requests: u64,
    /// Time for the whole head, from its first byte (or from accept on a new connection).
    #[serde(default = "ms_10000")]
    pub head_timeout_ms: u64,
    /// Idle time between requests.
    #[serde(default = "ms_60000")]
    pub idle_timeout_ms: u64,
    /// Time for the TLS handshake.
    #[serde(default = "ms_10000")]
    pub handshake_timeout_ms: u64,
    /// Time after which a connection that has not said what it speaks goes to a TCP route, where some
    /// are on a listener of HTTP; 0 = it has none.
    #[serde(default)]
    pub detect_timeout_ms: u64,
    /// TCP keepalive idle time; 0 = off.
    #[serde(default = "ms_60000")]
    pub tcp_keepalive_ms: u64,
}

/// The protocol of a listener.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ListenerProtocol {
    /// HTTP/1.1 (and what later versions bring by ALPN).
    Http,
    /// Anything over TCP.
    Tcp,
    /// Anything over UDP.
    Udp,
}

/// TLS on a listener; mode `terminate` is the only one of this version.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListenerTls {
    /// The TLS policy for hosts that name none; absent = the built-in `default` policy.
    #[serde(default)]
    pub policy: Option<String>,
    /// The certificate for clients without SNI, and for unknown names if `unknown_sni` allows it.
    #[serde(default)]
    pub default_certificate: Option<String>,
    /// The response to a client with an unknown SNI.
    #[serde(default)]
    pub unknown_sni: UnknownSni,
    /// Require that the certificate of the connection covers the request's host.
    #[serde(default)]
    pub strict_sni: bool,
}

/// The response to a client that asks for an unknown name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UnknownSni {
    /// The alert `unrecognized_name`.
    #[default]
    Reject,
    /// The default certificate.
    Default,
}

/// The source of the client's address.
#[derive(Clone, Debug, PartialEq, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ClientIp {
    /// Peers whose header counts; CIDR.
    pub trusted: Vec<String>,
    /// `x-forwarded-for`, `forwarded` or `x-real-ip`; lower case. Empty = `x-forwarded-for`.
    pub header: String,
    /// The header that names the peer before the first byte of a connection; absent = none.
    pub proxy_protocol: Option<ProxyProtocol>,
}

/// The terms of connections that begin with a header of the PROXY protocol.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ProxyProtocol {
    /// The rule for connections without a header.
    #[serde(default)]
    pub mode: ProxyMode,
    /// The peers whose headers count; CIDR, never empty.
    pub trusted: Vec<String>,
    /// Time for the whole header.
    #[serde(default = "ms_3000")]
    pub timeout_ms: u64,
}

/// The rule for whether connections must begin with a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProxyMode {
    /// Each connection must, so that only trusted peers have any.
    #[default]
    Required,
    /// Those of trusted peers may.
    Optional,
}
