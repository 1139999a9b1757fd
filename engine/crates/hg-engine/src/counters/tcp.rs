//! The counters of one worker for TCP routes.

use super::detected::DetectionCounters;
use super::{Counter, OpenCounter};

reasons! {
    /// The reason why a TCP connection ended: who ended it, or what kept it from an endpoint.
    Close {
        ClientEnd = "client-end", EndpointEnd = "endpoint-end", ClientReset = "client-reset",
        EndpointReset = "endpoint-reset", Idle = "idle-timeout", HalfOpen = "half-open-timeout",
        Lifetime = "lifetime", NotTls = "not-tls", BadHello = "bad-hello",
        ProxyUntrusted = "proxy-untrusted", ProxyMissing = "proxy-missing",
        ProxyMalformed = "proxy-malformed", ProxyTooLong = "proxy-too-long",
        ProxyChecksum = "proxy-checksum", ProxyIncomplete = "proxy-incomplete",
        ProxyTimeout = "proxy-timeout", ClientLimit = "connection-limit",
        HelloTooLong = "hello-too-long", HelloCut = "hello-cut", HelloTimeout = "hello-timeout",
        TlsRefused = "tls-refused", TlsHandshake = "tls-handshake",
        HandshakeTimeout = "handshake-timeout", ClientTls = "client-tls",
        EndpointTls = "endpoint-tls", ClientCut = "client-cut", EndpointCut = "endpoint-cut",
        NoRoute = "no-route", NoUpstream = "no-upstream",
        NoEndpoint = "no-endpoint", BreakerOpen = "breaker-open", Unresolved = "unresolved",
        QueueFull = "queue-full", QueueTimeout = "queue-timeout", ConnectRefused = "connect-refused",
        ConnectTimeout = "connect-timeout", ConnectTls = "connect-tls", RouteRemoved = "route-removed",
        DrainDeadline = "drain-deadline",
    }
}

impl Close {
    /// Returns the word of logs and metrics.
    pub(crate) fn word(self) -> &'static str {
        Self::ALL.get(self as usize).map_or("-", |(_, word)| word)
    }

    /// Reports whether both sides ended their halves, so that nothing is missing.
    pub(crate) fn is_whole(self) -> bool {
        matches!(self, Self::ClientEnd | Self::EndpointEnd)
    }
}

/// TCP connections that routes took, and how they ended.
#[derive(Debug)]
pub(crate) struct TcpCounters {
    pub(crate) sessions: OpenCounter,
    pub(crate) closed: [Counter; Close::ALL.len()],
    pub(crate) detected: DetectionCounters,
}

impl Default for TcpCounters {
    fn default() -> Self {
        let closed = std::array::from_fn(|_| Counter::default());
        Self { sessions: OpenCounter::default(), closed, detected: DetectionCounters::default() }
    }
}

impl TcpCounters {
    pub(crate) fn close(&self, why: Close) {
        if let Some(c) = self.closed.get(why as usize) {
            c.add(1);
        }
    }
}
