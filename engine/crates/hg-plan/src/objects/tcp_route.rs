//! TCP routes.

use super::defaults::{ms_60000, ms_3600000};
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
    /// The upstream that takes the connections.
    pub upstream: String,
    /// Timeouts.
    #[serde(default)]
    pub timeouts: TcpTimeouts,
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
