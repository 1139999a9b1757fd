//! The native engine: a plan compiled into a snapshot, and workers that serve it.
//!
//! Owns connections, pools, timers, counters and their lifetimes. Does not know where plans come
//! from, how names are resolved or who reads the figures: see `hg-dataplane`.

// Shared test code names the crate as its users do.
#[cfg(test)]
extern crate self as hg_engine;

mod agents;
mod breaker;
#[cfg(test)]
#[allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]
#[path = "../tests/common/mod.rs"]
mod common;
mod concurrency;
mod counters;
mod engine;
mod gather;
mod hand_over;
mod health;
mod helpers;
mod histogram;
mod house;
mod machine;
mod negotiated;
mod orders;
mod outlets;
mod outliers;
mod place;
pub mod report;
mod retired;
mod shared;
mod shares;
mod sharing;
mod slow_start;
mod snapshot;
mod thread;
mod worker;

pub use engine::{Applied, Engine, EngineConfig};
pub use hand_over::{GivenFlows, MovedFlow};
pub use hg_dial::Reason as OutletReason;
pub use hg_limit_store::LimitStoreStats;
pub use hg_log::{LogStats, MAX_TAPS, TapFilter, TapReader, Taps};
pub use hg_middleware::{BANDWIDTH_BYTES, BANDWIDTH_HELD, ResultCount};
pub use hg_net::{Joined, Offload};
pub use hg_otlp::ExportStats;
pub use hg_relay::flows::{Said, ToldFlow, Traffic};
pub use hg_resilience::Admin as EndpointOrder;
pub use histogram::Histogram;
pub use report::*;
pub use snapshot::{MIRROR, SPLIT};
