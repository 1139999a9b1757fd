//! The tracing of requests.

use super::otlp::OtlpExport;
use serde::Deserialize;

/// The tracing of requests.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// The share of the traces that begin here that is recorded, in millionths.
    pub sample_ppm: u32,
    /// The clients whose trace a request continues.
    pub parents: Parents,
    /// The destination of spans; absent = none are made.
    pub export: Option<OtlpExport>,
}

impl Default for Tracing {
    fn default() -> Self {
        Self { sample_ppm: 1_000_000, parents: Parents::Any, export: None }
    }
}

/// The clients whose trace a request continues.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parents {
    /// Every client's.
    #[default]
    Any,
    /// The trace of peers whose headers the listener believes; requests of other peers begin a new
    /// one.
    Trusted,
}
