//! TLS towards servers that a node itself sends to: a collector, the store of limits.

use super::settings::Settings;
use super::tls::TlsVersion;
use serde::Deserialize;

/// TLS towards such a server. The chain and the name are always verified.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct OutletTls {
    /// The name sent as SNI and verified; absent = the host of the address.
    pub verify_name: Option<String>,
    /// sha256 (hex) of the PEM bundle of roots; absent = the system's roots.
    pub ca: Option<String>,
    /// sha256 (hex) of the chain to send if the server asks for one; with `key`.
    pub cert: Option<String>,
    /// sha256 (hex) of its key.
    pub key: Option<String>,
    /// Lowest version, `1.2` or `1.3`.
    pub min_version: TlsVersion,
}

impl OutletTls {
    /// Returns the blobs that it names.
    pub fn blobs(&self) -> impl Iterator<Item = &str> {
        [&self.ca, &self.cert, &self.key].into_iter().filter_map(|blob| blob.as_deref())
    }
}

impl Settings {
    /// Returns the servers that the node itself sends to over TLS, by their path in the settings.
    pub fn outlets(&self) -> impl Iterator<Item = (&'static str, &OutletTls)> {
        let export = self.tracing.as_ref().and_then(|tracing| tracing.export.as_ref());
        let traces = export.and_then(|export| export.tls.as_ref());
        let log = self.access_log.as_ref().and_then(|log| log.otlp.as_ref());
        let logs = log.and_then(|export| export.tls.as_ref());
        let store = self.limit_store.as_ref().and_then(|store| store.tls.as_ref());
        [(TRACES, traces), (LOGS, logs), (LIMITS, store)]
            .into_iter()
            .filter_map(|(path, tls)| Some((path, tls?)))
    }
}

/// The path of the collector of traces in the settings.
pub const TRACES: &str = "tracing.export";
/// The path of the collector of log records in the settings.
pub const LOGS: &str = "access_log.otlp";
/// The path of the store of limits in the settings.
pub const LIMITS: &str = "limit_store";
