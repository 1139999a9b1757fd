//! Field names that mean something to the proxy, recognised once per field.

macro_rules! known_names {
    ($($(#[$doc:meta])* $variant:ident = $name:literal $flags:expr;)*) => {
        /// A field name that the proxy acts upon; all others are [`Known::Other`].
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        #[repr(u8)]
        pub enum Known {
            /// None of these names.
            Other = 0,
            $($(#[$doc])* #[doc = concat!("`", $name, "`")] $variant,)*
        }

        impl Known {
            /// Every known name, in the order of the discriminants (1-based).
            pub const ALL: &'static [Known] = &[$(Known::$variant),*];

            /// Returns the name in lower case; empty for [`Known::Other`].
            pub const fn as_str(self) -> &'static str {
                match self {
                    Known::Other => "",
                    $(Known::$variant => $name,)*
                }
            }

            #[inline]
            const fn flags(self) -> u8 {
                match self {
                    Known::Other => PLAIN,
                    $(Known::$variant => $flags,)*
                }
            }
        }
    };
}

const PLAIN: u8 = 0;
/// For one hop only (RFC 9110 §7.6.1): never forwarded.
const HOP: u8 = 1;
/// `Connection` may not name it.
const KEPT: u8 = 2;
/// Says who or where the client is; deleted if the peer is not trusted.
const CLIENT: u8 = 4;
/// Not allowed in trailers (RFC 9110 §6.5.1).
const NO_TRAILER: u8 = 8;
/// Written by the proxy from what it parsed, never copied.
const OURS: u8 = 16;

known_names! {
    Te = "te" HOP | NO_TRAILER;
    Host = "host" KEPT | NO_TRAILER | OURS;
    Date = "date" NO_TRAILER;
    Via = "via" NO_TRAILER;
    Age = "age" NO_TRAILER;
    Vary = "vary" NO_TRAILER;
    Allow = "allow" NO_TRAILER;
    Range = "range" NO_TRAILER;
    Accept = "accept" PLAIN;
    Cookie = "cookie" KEPT | NO_TRAILER;
    Expect = "expect" NO_TRAILER;
    Origin = "origin" NO_TRAILER;
    Server = "server" PLAIN;
    Trailer = "trailer" NO_TRAILER;
    Upgrade = "upgrade" HOP | NO_TRAILER;
    Expires = "expires" NO_TRAILER;
    Referer = "referer" PLAIN;
    Location = "location" NO_TRAILER;
    Forwarded = "forwarded" KEPT | CLIENT | NO_TRAILER;
    XRealIp = "x-real-ip" KEPT | CLIENT | NO_TRAILER;
    Connection = "connection" HOP | NO_TRAILER;
    KeepAlive = "keep-alive" HOP | NO_TRAILER;
    SetCookie = "set-cookie" KEPT | NO_TRAILER;
    UserAgent = "user-agent" PLAIN;
    ClientCert = "client-cert" KEPT | CLIENT | NO_TRAILER;
    Traceparent = "traceparent" NO_TRAILER;
    RetryAfter = "retry-after" NO_TRAILER;
    ContentType = "content-type" NO_TRAILER;
    MaxForwards = "max-forwards" NO_TRAILER;
    ProxyStatus = "proxy-status" PLAIN;
    XRequestId = "x-request-id" NO_TRAILER;
    Authorization = "authorization" KEPT | NO_TRAILER;
    CacheControl = "cache-control" NO_TRAILER;
    ContentRange = "content-range" NO_TRAILER;
    Http2Settings = "http2-settings" HOP | NO_TRAILER;
    AcceptEncoding = "accept-encoding" PLAIN;
    ContentLength = "content-length" KEPT | NO_TRAILER | OURS;
    XForwardedFor = "x-forwarded-for" KEPT | CLIENT | NO_TRAILER;
    ContentEncoding = "content-encoding" NO_TRAILER;
    ProxyConnection = "proxy-connection" HOP | NO_TRAILER;
    XForwardedHost = "x-forwarded-host" KEPT | CLIENT | NO_TRAILER;
    XForwardedPort = "x-forwarded-port" KEPT | CLIENT | NO_TRAILER;
    WwwAuthenticate = "www-authenticate" NO_TRAILER;
    XForwardedProto = "x-forwarded-proto" KEPT | CLIENT | NO_TRAILER;
    ClientCertChain = "client-cert-chain" KEPT | CLIENT | NO_TRAILER;
    SecWebSocketKey = "sec-websocket-key" NO_TRAILER;
    TransferEncoding = "transfer-encoding" HOP | KEPT | NO_TRAILER;
    ProxyAuthenticate = "proxy-authenticate" HOP | NO_TRAILER;
    ProxyAuthorization = "proxy-authorization" HOP | NO_TRAILER;
    SecWebSocketAccept = "sec-websocket-accept" NO_TRAILER;
    SecWebSocketVersion = "sec-websocket-version" NO_TRAILER;
    SecWebSocketProtocol = "sec-websocket-protocol" NO_TRAILER;
    SecWebSocketExtensions = "sec-websocket-extensions" NO_TRAILER;
    /// Any other name for a client's address, host or scheme, `x-forwarded-*` for example:
    XForwardedOther = "x-forwarded-" KEPT | CLIENT | NO_TRAILER;
    /// Any other name for a client's certificate, `x-ssl-client-*` for example:
    XClientCert = "x-client-cert" KEPT | CLIENT | NO_TRAILER;
}

impl Known {
    /// Reports whether it belongs to one hop (RFC 9110 §7.6.1, RFC 9112 §9.6) and is never
    /// forwarded.
    pub const fn is_hop(self) -> bool {
        self.flags() & HOP != 0
    }

    /// Reports whether it states a client's address, original host, scheme or certificate, and is
    /// therefore deleted if the peer is not trusted.
    pub const fn is_client_claim(self) -> bool {
        self.flags() & CLIENT != 0
    }

    /// Reports whether a `Connection` line that names it is ignored and counted.
    pub const fn is_protected(self) -> bool {
        self.flags() & KEPT != 0
    }

    /// Reports whether it is dropped as a trailer (RFC 9110 §6.5.1): framing, routing,
    /// authentication, content or hop-by-hop.
    pub const fn is_forbidden_trailer(self) -> bool {
        self.flags() & NO_TRAILER != 0
    }

    /// Reports whether the proxy writes it from what it parsed and never copies it: Host and
    /// Content-Length.
    pub const fn is_ours(self) -> bool {
        self.flags() & OURS != 0
    }

    /// Returns the known name equal to `name`, a token, in any case. Costs one lookup in a table by
    /// length and the last four bytes, where no two known names share a slot, then one comparison.
    #[inline]
    pub fn of(name: &[u8]) -> Known {
        let (lower, known) = SLOTS.get(name_slot(name)).copied().unwrap_or((b"", Known::Other));
        if same(name, lower) {
            return known;
        }
        match name {
            [b'x' | b'X', b'-', ..] => family(X_FAMILIES, name),
            [b'c' | b'C' | b'f' | b'F' | b's' | b'S' | b't' | b'T', ..] => family(FAMILIES, name),
            _ => Known::Other,
        }
    }

    /// Returns what the name means to a backend that does not tell characters other than letters
    /// and digits apart (RFC 3875 §4.1.18 and similar rules): there `X_Real.IP` is `x-real-ip`.
    pub fn folded(name: &[u8]) -> Known {
        let mut folded = [0; LONGEST_FOLDED];
        let mut length = 0;
        for (to, from) in folded.iter_mut().zip(name) {
            *to = if from.is_ascii_alphanumeric() { *from } else { b'-' };
            length += 1;
        }
        Self::of(folded.get(..length).unwrap_or_default())
    }

    /// Reports whether it stands for many names that are recognised by their prefix.
    pub const fn is_family(self) -> bool {
        matches!(self, Known::XForwardedOther | Known::XClientCert)
    }
}

/// Longer than every name that is known in full; of a longer name only the prefix counts.
const LONGEST_FOLDED: usize = 64;

/// Turns a token's letters to lower case; of its other characters it changes only some that no
/// known name has.
const LOWER: u8 = 0x20;

/// Returns one of 256 slots for a field name in any case, by its length and its last octets, which
/// costs less than a hash of all. The factor was found by search: none of the known names collide.
#[inline]
pub const fn name_slot(name: &[u8]) -> usize {
    let tail = match name {
        [.., a, b, c, d] => u32::from_le_bytes([*a, *b, *c, *d]),
        [a, .., b] => u32::from_le_bytes([*a, *b, 0, 0]),
        _ => 0,
    };
    let tail = tail | u32::from_le_bytes([LOWER; 4]);
    let mixed = tail.wrapping_add((name.len() as u32).wrapping_mul(0x9E37_79B1));
    (mixed.wrapping_mul(0x2ECA_3C21) >> 24) as usize
}

static SLOTS: [(&[u8], Known); 256] = {
    let mut slots: [(&[u8], Known); 256] = [(b"", Known::Other); 256];
    let mut i = 0;
    while i < Known::ALL.len() {
        let known = Known::ALL[i];
        if !matches!(known, Known::XForwardedOther | Known::XClientCert) {
            let at = name_slot(known.as_str().as_bytes());
            assert!(matches!(slots[at].1, Known::Other), "two known names share a slot");
            slots[at] = (known.as_str().as_bytes(), known);
        }
        i += 1;
    }
    slots
};

/// Compares two tokens in any case; `lower` is in lower case already.
#[inline]
fn same(name: &[u8], lower: &[u8]) -> bool {
    if name.len() != lower.len() {
        return false;
    }
    if let (Some(a), Some(b)) = (name.last_chunk::<8>(), lower.last_chunk::<8>()) {
        let word = |w: &[u8; 8]| u64::from_ne_bytes(*w) | u64::from_ne_bytes([LOWER; 8]);
        let (heads, _) = name.as_chunks::<8>();
        let (lower_heads, _) = lower.as_chunks::<8>();
        return word(a) == u64::from_ne_bytes(*b)
            && heads.iter().zip(lower_heads).all(|(a, b)| word(a) == u64::from_ne_bytes(*b));
    }
    name.iter().zip(lower).all(|(a, b)| a | LOWER == *b)
}

/// Prefixes of names in lower case, and what such names are.
type Families = &'static [(&'static [u8], Known)];

/// Families of names that begin with `x-`.
const X_FAMILIES: Families = &[
    (b"x-forwarded", Known::XForwardedOther),
    (b"x-original-forwarded-", Known::XForwardedOther),
    (b"x-client-ip", Known::XForwardedOther),
    (b"x-cluster-client-ip", Known::XForwardedOther),
    (b"x-envoy-external-address", Known::XForwardedOther),
    (b"x-client-cert", Known::XClientCert),
    (b"x-ssl-client-", Known::XClientCert),
    (b"x-tls-client-", Known::XClientCert),
    (b"x-amzn-mtls-", Known::XClientCert),
    (b"x-arr-clientcert", Known::XClientCert),
];

/// Families of other names.
const FAMILIES: Families = &[
    (b"client-ip", Known::XForwardedOther),
    (b"true-client-ip", Known::XForwardedOther),
    (b"cf-connecting-ip", Known::XForwardedOther),
    (b"fastly-client-ip", Known::XForwardedOther),
    (b"forwarded-for", Known::XForwardedOther),
    (b"ssl-client-", Known::XClientCert),
];

/// Recognises a name by its prefix.
fn family(families: Families, name: &[u8]) -> Known {
    let fits = |prefix: &[u8]| name.get(..prefix.len()).is_some_and(|p| same(p, prefix));
    families.iter().find(|(prefix, _)| fits(prefix)).map_or(Known::Other, |(_, known)| *known)
}

/// Reports whether a name (a token, in any case) belongs to one hop and is never forwarded.
pub fn is_hop_by_hop(name: &[u8]) -> bool {
    Known::of(name).is_hop()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_known_name_is_found_in_any_case() {
        for &k in Known::ALL {
            assert_eq!(Known::of(k.as_str().as_bytes()), k, "{}", k.as_str());
            assert_eq!(Known::of(k.as_str().to_uppercase().as_bytes()), k);
        }
        assert_eq!(Known::of(b""), Known::Other);
        assert_eq!(Known::of(b"x-custom"), Known::Other);
        assert_eq!(Known::of(b"hosd"), Known::Other);
        assert_eq!(Known::of(b"X-Forwarded-Prefix"), Known::XForwardedOther);
    }

    #[test]
    fn a_control_byte_does_not_pass_for_a_letter() {
        assert_eq!(Known::of(b"\x48ost"), Known::Host);
        assert_eq!(Known::of(b"\x08ost"), Known::Other);
        assert_eq!(Known::of(b"content_length"), Known::Other);
    }

    #[test]
    fn hop_by_hop_names_are_the_ones_of_rfc_9110() {
        for name in
            ["connection", "Keep-Alive", "proxy-connection", "TE", "transfer-encoding", "upgrade"]
        {
            assert!(is_hop_by_hop(name.as_bytes()), "{name}");
        }
        for name in ["host", "content-length", "trailer", "accept", "x-te"] {
            assert!(!is_hop_by_hop(name.as_bytes()), "{name}");
        }
    }
}
