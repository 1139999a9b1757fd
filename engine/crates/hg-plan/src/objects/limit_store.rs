//! The store that nodes share rate limits through.

use super::outlet::OutletTls;
use serde::Deserialize;
use std::fmt;

/// The address of the store, and the way in which it is asked.
#[derive(Clone, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LimitStore {
    /// `host:port` of a server that speaks the protocol of Redis.
    pub address: String,
    /// The number of nodes that share the limits: 1 to 10,000.
    pub nodes: u32,
    /// Number of its database.
    #[serde(default)]
    pub database: u32,
    /// User; empty = the one that passwords alone mean.
    #[serde(default)]
    pub username: String,
    /// Password; empty = none is asked for.
    #[serde(default)]
    pub password: String,
    /// The text with which the names of keys begin.
    #[serde(default = "prefix")]
    pub prefix: String,
    /// The time that a connection, or an answer, may take.
    #[serde(default = "timeout")]
    pub timeout_ms: u64,
    /// TLS towards it; absent = plain.
    #[serde(default)]
    pub tls: Option<OutletTls>,
}

fn prefix() -> String {
    "headgate".into()
}

fn timeout() -> u64 {
    250
}

impl fmt::Debug for LimitStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LimitStore").field("address", &self.address).finish_non_exhaustive()
    }
}
