//! Collectors that a node sends to with OTLP.

use super::outlet::OutletTls;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The destination of spans or log records: a collector that takes OTLP over HTTP.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OtlpExport {
    /// `http://host:port/path`, or `https://…`.
    pub endpoint: String,
    /// `service.name` of the resource.
    pub service_name: String,
    /// Header lines of each export, by name.
    #[serde(default)]
    pub headers: BTreeMap<String, String>,
    /// The time that one export may take.
    pub timeout_ms: u64,
    /// TLS towards it, if the endpoint has that.
    #[serde(default)]
    pub tls: Option<OutletTls>,
}
