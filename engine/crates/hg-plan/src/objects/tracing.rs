//! How requests belong to traces.

use super::otlp::OtlpExport;
use serde::Deserialize;

/// How requests belong to traces.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Tracing {
    /// How many millionths of the traces that begin here are recorded.
    pub sample_ppm: u32,
    /// Whose trace a request goes on with.
    pub parents: Parents,
    /// Where spans go; absent = none are made.
    pub export: Option<OtlpExport>,
}

impl Default for Tracing {
    fn default() -> Self {
        Self { sample_ppm: 1_000_000, parents: Parents::Any, export: None }
    }
}

/// Whose trace a request goes on with.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Parents {
    /// Every client's.
    #[default]
    Any,
    /// That of peers whose headers the listener believes; others begin a new one.
    Trusted,
}
