//! The simulator: the real worker, compiled a second time over a virtual kernel, and clients and
//! endpoints that treat it well or badly as a seed says. A run is a function of its seed.
//!
//! Every run checks what must always hold: each request has one answer or a failure that its client
//! sees, bodies are exact, nothing is sent twice that must not be, nothing is left over, and the
//! worker never turns without need.

mod body;
mod client;
mod endpoint;
mod grpc;
mod http;
mod http1;
mod http2;
mod ledger;
mod mirrors;
mod play;
mod run;
mod scenario;
mod sockets;
mod speaker;
mod tcp;
mod tunnel;
mod udp;
mod world;

pub use run::{Report, Scene, replay, run};

#[allow(dead_code, unused_imports, reason = "the simulator needs a part of the engine")]
#[path = "../../hg-engine/src"]
mod source {
    pub(crate) mod agents;
    pub(crate) mod breaker;
    pub(crate) mod concurrency;
    pub(crate) mod counters;
    pub(crate) mod engine;
    pub(crate) mod gather;
    pub(crate) mod hand_over;
    pub(crate) mod health;
    pub(crate) mod helpers;
    pub(crate) mod histogram;
    pub(crate) mod house;
    pub(crate) mod machine;
    pub(crate) mod negotiated;
    pub(crate) mod orders;
    pub(crate) mod outlets;
    pub(crate) mod outliers;
    pub(crate) mod place;
    pub(crate) mod report;
    pub(crate) mod retired;
    pub(crate) mod shared;
    pub(crate) mod shares;
    pub(crate) mod sharing;
    pub(crate) mod slow_start;
    pub(crate) mod snapshot;
    pub(crate) mod thread;
    pub(crate) mod worker;
}

// The engine's sources name their modules from the root of their crate.
use source::{
    agents, breaker, concurrency, counters, engine, hand_over, health, helpers, histogram, house,
    machine, negotiated, outlets, outliers, place, report, retired, shared, shares, sharing,
    slow_start, snapshot, thread, worker,
};
