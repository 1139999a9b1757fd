//! The counters of one worker for UDP routes.

use super::{Counter, OpenCounter};
use hg_net::Joined;

reasons! {
    /// The reason why a flow ended.
    Ended {
        Idle = "idle-timeout", Answered = "answered", Evicted = "evicted",
        Unreachable = "endpoint-unreachable", RouteRemoved = "route-removed",
        Drained = "drained", DrainDeadline = "drain-deadline",
    }
}
reasons! {
    /// The reason why a datagram was not passed on.
    Dropped {
        NoRoute = "no-route", NoUpstream = "no-upstream", NoEndpoint = "no-endpoint",
        BreakerOpen = "breaker-open", Unresolved = "unresolved", UpstreamFull = "upstream-full",
        FlowsFull = "flows-full", NoSocket = "no-socket", Unreachable = "endpoint-unreachable",
        Draining = "draining", Bandwidth = "bandwidth", TooLarge = "too-large", Blocked = "send-blocked",
        SendFailed = "send-failed", ProxyUntrusted = "proxy-untrusted",
        ProxyMissing = "proxy-missing", ProxyMalformed = "proxy-malformed",
        ProxyTooLong = "proxy-too-long", ProxyChecksum = "proxy-checksum",
    }
}

reasons! {
    /// The finding where routes ask for the name in a ClientHello.
    Hello {
        Named = "named", Nameless = "no-name", NotQuic = "not-quic", Version = "unknown-version",
        Malformed = "malformed", TooLong = "too-long", Timeout = "timeout", Evicted = "evicted",
    }
}

impl Ended {
    /// Returns the word of logs and metrics.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.get(self as usize).map_or("-", |(_, word)| word)
    }
}

/// Datagrams that were passed on in one direction, and their bytes.
#[derive(Debug, Default)]
pub(crate) struct Passed {
    pub(crate) datagrams: Counter,
    pub(crate) bytes: Counter,
}

/// Datagrams that passed together with others of their flow.
#[derive(Debug, Default)]
pub(crate) struct JoinedCounters {
    pub(crate) received: Counter,
    pub(crate) sent: Counter,
    /// Sends of several that the kernel refused.
    pub(crate) refused: Counter,
}

/// Flows of UDP routes, and their datagrams.
#[derive(Debug, Default)]
pub(crate) struct UdpCounters {
    pub(crate) flows: OpenCounter,
    /// Of these, flows of a predecessor.
    pub(crate) taken_over: Counter,
    pub(crate) ended: [Counter; Ended::ALL.len()],
    pub(crate) dropped: [Counter; Dropped::ALL.len()],
    /// Of new flows, where routes ask for a name.
    pub(crate) hellos: [Counter; Hello::ALL.len()],
    /// From clients.
    pub(crate) received: Passed,
    /// To clients.
    pub(crate) sent: Passed,
    /// Datagrams that came to another worker than their flow has, and were passed to it.
    pub(crate) strays: Counter,
    /// From clients and endpoints, and to them.
    pub(crate) joined: JoinedCounters,
}

impl UdpCounters {
    pub(crate) fn end(&self, why: Ended) {
        if let Some(c) = self.ended.get(why as usize) {
            c.add(1);
        }
    }

    pub(crate) fn add_joined(&self, joined: Joined) {
        if joined != Joined::default() {
            self.joined.received.add(joined.received);
            self.joined.sent.add(joined.sent);
            self.joined.refused.add(joined.refused);
        }
    }

    pub(crate) fn hear(&self, what: Hello) {
        if let Some(c) = self.hellos.get(what as usize) {
            c.add(1);
        }
    }

    pub(crate) fn drop(&self, why: Dropped, datagrams: usize) {
        if let Some(c) = self.dropped.get(why as usize) {
            c.add(datagrams as u64);
        }
    }
}
