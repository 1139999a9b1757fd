//! The families of limits of bandwidth.

use super::text::{Text, Type};
use hg_engine::{BANDWIDTH_BYTES, BANDWIDTH_HELD, EngineMetrics, ResultCount};

/// The kinds of counts that have families here.
pub(super) const KINDS: [&str; 2] = [BANDWIDTH_BYTES, BANDWIDTH_HELD];

pub(super) fn bandwidth(text: &mut Text, engine: &EngineMetrics) {
    let of = |kind| engine.middlewares.iter().filter(move |one| one.kind == kind);
    let labels = |one: &'static str| ("direction", one);
    let help = "Bytes of bodies that passed under a bandwidth limit.";
    text.family("headgate_bandwidth_bytes", Type::Counter, "", help);
    for ResultCount { middleware, result, count, .. } in of(BANDWIDTH_BYTES) {
        text.int(&[("middleware", middleware), labels(result)], *count);
    }
    let help = "For how long bandwidth limits held bodies back.";
    text.family("headgate_bandwidth_held_seconds", Type::Counter, "seconds", help);
    for ResultCount { middleware, result, count, .. } in of(BANDWIDTH_HELD) {
        text.float(&[("middleware", middleware), labels(result)], *count as f64 / 1e6);
    }
}
