//! The counters of one worker for HTTP/2.

use super::{Counter, OpenCounter, bump, lock};
use std::sync::Mutex;

reasons! {
    /// The limit of HTTP/2, towards the client or the endpoint, that held a client back, without an
    /// end of its connection.
    Bound {
        Streams = "streams", Dispatched = "dispatched", Bodies = "bodies", Resets = "resets",
        Output = "output", Answers = "answers", Worker = "worker",
        Uploads = "uploads", Parts = "parts",
    }
}

/// The counters of HTTP/2 connections.
#[derive(Debug, Default)]
pub(crate) struct Http2Counters {
    pub(crate) connections: OpenCounter,
    /// Writes to sockets.
    pub(crate) sends: Counter,
    /// The number of times that a limit held a client back.
    pub(crate) bounds: [Counter; Bound::ALL.len()],
    /// Connections that we ended because of what the client did.
    ended: Mutex<Vec<(&'static str, u64)>>,
    /// Those to endpoints.
    pub(crate) upstream: UpstreamHttp2Counters,
}

/// The counters of HTTP/2 connections to endpoints.
#[derive(Debug, Default)]
pub(crate) struct UpstreamHttp2Counters {
    pub(crate) connections: OpenCounter,
    pub(crate) streams: OpenCounter,
    /// Connections that we ended because of what the endpoint did.
    ended: Mutex<Vec<(&'static str, u64)>>,
}

impl UpstreamHttp2Counters {
    pub(crate) fn end(&self, reason: hg_h2::Reason) {
        bump(&mut lock(&self.ended), reason.as_str());
    }

    pub(crate) fn ended(&self) -> Vec<(&'static str, u64)> {
        lock(&self.ended).clone()
    }
}

impl Http2Counters {
    pub(crate) fn bound(&self, which: Bound) {
        if let Some(c) = self.bounds.get(which as usize) {
            c.add(1);
        }
    }

    pub(crate) fn end(&self, reason: hg_h2::Reason) {
        bump(&mut lock(&self.ended), reason.as_str());
    }

    pub(crate) fn ended(&self) -> Vec<(&'static str, u64)> {
        lock(&self.ended).clone()
    }
}
