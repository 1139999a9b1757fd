//! TCP routes.

use super::defaults::{bits_64, keys_131072, ms_60000, ms_3600000};
use super::route::{SplitPart, Sticky};
use serde::Deserialize;

/// A TCP route: which connections of TCP listeners go to which upstream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpRoute {
    /// Listeners by name, sorted; never empty.
    pub listeners: Vec<String>,
    /// The client's address is in one of these CIDRs. Empty = all.
    #[serde(default)]
    pub client: Vec<String>,
    /// The server name of the ClientHello is one of these; `*.` in front stands for any labels, `*`
    /// for any name. Empty = what no other route of the listener names.
    #[serde(default)]
    pub sni: Vec<String>,
    /// The client offers one of these protocols. Empty = whatever it offers.
    #[serde(default)]
    pub alpn: Vec<String>,
    /// The handling of TLS; absent = it ends where the listener has TLS.
    #[serde(default)]
    pub tls: Option<TcpTls>,
    /// The upstream that takes the connections; absent with `split`.
    #[serde(default)]
    pub upstream: Option<String>,
    /// Upstreams of which each connection gets one, by weight.
    #[serde(default)]
    pub split: Vec<SplitPart>,
    /// The way in which a client finds its branch of the split again, by its address; absent = it
    /// does not.
    #[serde(default)]
    pub sticky: Option<Sticky>,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: TcpTimeouts,
    /// The number of bytes that pass in a second; absent = as many as come.
    #[serde(default)]
    pub bandwidth: Option<TcpBandwidth>,
}

/// The handling of TLS on a route's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TcpTls {
    /// It ends at the listener, which has TLS.
    Terminate,
    /// It passes through unopened.
    Passthrough,
}

/// A limit of bytes of connections; rates in bytes a second, 0 = any.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TcpBandwidth {
    /// From the endpoint to the client.
    #[serde(default)]
    pub download: u64,
    /// Bytes that pass at once after a pause.
    #[serde(default)]
    pub download_burst: u64,
    /// From the client to the endpoint.
    #[serde(default)]
    pub upload: u64,
    /// Bytes that pass at once after a pause.
    #[serde(default)]
    pub upload_burst: u64,
    /// The connections that share the bytes.
    #[serde(default)]
    pub key: BandwidthKey,
    /// The number of bits of an IPv6 address that tell clients apart, 1 to 128.
    #[serde(default = "bits_64")]
    pub ipv6_prefix: u8,
    /// Room of the table of each direction, in clients, 1 to 16777216.
    #[serde(default = "keys_131072")]
    pub max_keys: u32,
}

/// The connections that share the bytes of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BandwidthKey {
    /// Each connection has its own.
    #[default]
    Connection,
    /// The connections of a client.
    ClientIp,
    /// All connections of the route.
    All,
}

/// Timeouts of a TCP route; 0 = off.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TcpTimeouts {
    /// Time without a byte in either direction.
    pub idle_ms: u64,
    /// The same once one side has ended its half.
    pub half_open_ms: u64,
    /// Time from accept to the end, whatever passes.
    pub lifetime_ms: u64,
}

impl Default for TcpTimeouts {
    fn default() -> Self {
        Self { idle_ms: ms_3600000(), half_open_ms: ms_60000(), lifetime_ms: 0 }
    }
}
