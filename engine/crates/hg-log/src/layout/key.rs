//! The names of what a line can say.

/// Defines the keys with their names.
macro_rules! keys {
    ($($key:ident = $name:literal,)*) => {
        /// A key of a value that a line can have.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Key {
            $($key,)*
        }

        impl Key {
            /// All of them.
            pub(crate) const ALL: &'static [Self] = &[$(Self::$key,)*];

            /// Returns the key of a name.
            pub(crate) fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$key),)*
                    _ => None,
                }
            }

            /// Returns its name.
            pub(crate) fn name(self) -> &'static str {
                match self {
                    $(Self::$key => $name,)*
                }
            }
        }
    };
}

keys! {
    Time = "time",
    RequestId = "request_id",
    ClientIp = "client_ip",
    ClientPort = "client_port",
    Listener = "listener",
    Route = "route",
    Upstream = "upstream",
    Endpoint = "endpoint",
    Method = "method",
    Scheme = "scheme",
    Host = "host",
    Target = "target",
    Protocol = "protocol",
    Status = "status",
    DatagramsIn = "datagrams_in",
    DatagramsOut = "datagrams_out",
    BytesIn = "bytes_in",
    BytesOut = "bytes_out",
    ConnectUs = "connect_us",
    FirstByteUs = "first_byte_us",
    TotalUs = "total_us",
    Reused = "reused",
    Tries = "tries",
    Reason = "reason",
    UserAgent = "user_agent",
    Referer = "referer",
    TlsVersion = "tls_version",
    Sni = "sni",
    Alpn = "alpn",
    ClientSubject = "client_subject",
    ClientSan = "client_san",
    ClientSpiffe = "client_spiffe",
    ClientFingerprint = "client_fingerprint",
    ConnectionId = "connection_id",
    TraceId = "trace_id",
    SpanId = "span_id",
}
