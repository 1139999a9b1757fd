//! Kinds of objects.

/// The kind of an object; its canonical name is the snake-case word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// Process-wide settings; one object, named `node`.
    Settings,
    /// An address that accepts connections.
    Listener,
    /// A virtual host.
    Host,
    /// An HTTP route.
    Route,
    /// A named middleware.
    Middleware,
    /// A pool of endpoints.
    Upstream,
    /// A key pair, by the hashes of its material.
    Certificate,
    /// TLS versions, ciphers and client authentication.
    TlsPolicy,
    /// A TCP route.
    TcpRoute,
    /// A UDP route.
    UdpRoute,
}

impl Kind {
    /// Every kind, in the order of `Ord`.
    pub const ALL: [Kind; 10] = [
        Kind::Settings,
        Kind::Listener,
        Kind::Host,
        Kind::Route,
        Kind::Middleware,
        Kind::Upstream,
        Kind::Certificate,
        Kind::TlsPolicy,
        Kind::TcpRoute,
        Kind::UdpRoute,
    ];

    /// Returns the canonical word, as in digests and messages.
    pub fn as_str(self) -> &'static str {
        match self {
            Kind::Settings => "settings",
            Kind::Listener => "listener",
            Kind::Host => "host",
            Kind::Route => "route",
            Kind::Middleware => "middleware",
            Kind::Upstream => "upstream",
            Kind::Certificate => "certificate",
            Kind::TlsPolicy => "tls_policy",
            Kind::TcpRoute => "tcp_route",
            Kind::UdpRoute => "udp_route",
        }
    }

    /// Returns the kind with a canonical word, if there is one.
    pub fn parse(word: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|k| k.as_str() == word)
    }
}
