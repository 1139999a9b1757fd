//! A flow as one process tells it to the next, which goes on with it.

use super::Traffic;
use serde::{Deserialize, Serialize};
use std::net::{IpAddr, SocketAddr};

/// All that is to be known of a flow, beside the socket towards its endpoint. Times are how long ago
/// something was: processes have clocks of their own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ToldFlow {
    /// The address of the listener.
    pub address: SocketAddr,
    /// The number of the socket, of those of that address, that its datagrams come to, from 0.
    pub socket: usize,
    /// The address that sends them.
    pub client: SocketAddr,
    /// The address that they are sent to, where the socket has several.
    #[serde(default)]
    pub local: Option<IpAddr>,
    /// The name of its route.
    pub route: String,
    /// The name of its upstream.
    pub upstream: String,
    /// The facts that were learned of it, and told.
    #[serde(flatten)]
    pub said: Said,
    /// Its endpoint, as in the plan.
    pub endpoint: String,
    /// The traffic that has passed.
    pub traffic: Traffic,
    /// Microseconds since it began.
    pub age_us: u64,
    /// Microseconds since a datagram passed.
    pub quiet_us: u64,
    /// True if its endpoint has answered.
    #[serde(default)]
    pub is_answered: bool,
}

/// The facts learned of a flow beside its sender, and those that its endpoint was told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// The server name that its client asked for, where routes ask for one.
    #[serde(default)]
    pub sni: Option<String>,
    /// The source and the destination that a load balancer states for the datagrams that it sends.
    #[serde(default)]
    pub told: Option<(SocketAddr, SocketAddr)>,
    /// The id under which its endpoint was told of its client; empty if it was not.
    #[serde(default)]
    pub told_id: String,
}
