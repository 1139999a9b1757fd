//! UDP routes.

use super::defaults::ms_60000;
use super::tcp_route::TcpBandwidth;
use serde::Deserialize;

/// A UDP route: which datagrams of UDP listeners go to which upstream.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct UdpRoute {
    /// Listeners by name, sorted; never empty.
    pub listeners: Vec<String>,
    /// The client's address is in one of these CIDRs. Empty = all.
    #[serde(default)]
    pub client: Vec<String>,
    /// The server name in the ClientHello of a QUIC connection is one of these; `*.` in front stands
    /// for any labels, `*` for any name. Empty = what no other route of the listener names.
    #[serde(default)]
    pub sni: Vec<String>,
    /// The upstream that takes the datagrams.
    pub upstream: String,
    /// The unit for which the balancer chooses an endpoint.
    #[serde(default)]
    pub balance_by: BalanceBy,
    /// A flow ends once each datagram of its client has had so many answers; absent = when it is
    /// idle.
    #[serde(default)]
    pub answers: Option<u32>,
    /// Time without a datagram in either direction after which a flow ends; never 0.
    #[serde(default = "ms_60000")]
    pub idle_ms: u64,
    /// The number of bytes of datagrams that pass in a second, those above it being dropped; a
    /// `connection` is a flow. Absent = as many as come.
    #[serde(default)]
    pub bandwidth: Option<TcpBandwidth>,
}

/// The unit for which the balancer chooses an endpoint.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum BalanceBy {
    /// A client: its datagrams go to one endpoint as long as its flow lasts.
    #[default]
    Flow,
    /// Each datagram.
    Datagram,
}
