//! The list of the variables of templates; a test compares `docs/reference/variables.md` with it.

use crate::view::RequestView;
use std::io::Write as _;
use std::net::IpAddr;

macro_rules! variables {
    ($($variant:ident $name:literal $meaning:literal;)*) => {
        /// A variable without an argument.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub(crate) enum Plain { $(#[doc = $meaning] $variant,)* }

        impl Plain {
            fn parse(name: &str) -> Option<Self> {
                match name {
                    $($name => Some(Self::$variant),)*
                    _ => None,
                }
            }
        }

        /// Every variable that a template may name, and its value.
        pub const VARIABLES: &[(&str, &str)] = &[
            $(($name, $meaning),)*
            ("jwt:CLAIM", "That claim of the token that a `jwt` before it in the chain has let in, as `claims` of `jwt` writes it; empty if the token does not have it."),
            ("header:NAME", "The request header of that name as the client sent it, if the listener accepts it (client-headers.md); several lines are joined by `, `; empty if there is none."),
        ];
    };
}

variables! {
    ClientIp "client_ip" "The client's address, taken from the headers of trusted peers; IPv6 without brackets.";
    ClientSubject "client_subject" "The subject of the client's verified certificate, as RFC 4514 writes it; empty without one.";
    ClientFingerprint "client_fingerprint" "The SHA-256 of that certificate in lower-case hex; empty without one.";
    ClientSan "client_san" "The alternative names of that certificate, joined by `,`: `dns:a.example,uri:spiffe://b/c,email:d@e.example,ip:192.0.2.7`; empty without one.";
    ClientSpiffe "client_spiffe" "The SPIFFE ID of that certificate, if it has a valid one and no other URI; else empty.";
    TlsVersion "tls_version" "`TLSv1.2` or `TLSv1.3`; empty on a plain connection.";
    Sni "sni" "The name that the client asked for in the TLS handshake; empty if it sent none.";
    RequestId "request_id" "The id of this request, as in the access log.";
    Method "method" "The request's method.";
    Scheme "scheme" "`http` or `https`, depending on the connection of the client.";
    Protocol "protocol" "`HTTP/1.0`, `HTTP/1.1` or `HTTP/2.0`.";
    Host "host" "The request's host in lower case without port; IPv6 in brackets.";
    Port "port" "The port in the request's host, or else the default of the scheme (80, 443).";
    Path "path" "The normalised path, before any rewrite.";
    Query "query" "The part after the first `?`; empty if there is none.";
    Target "target" "The path and, if there is one, `?` and the query.";
    Listener "listener" "The name of the listener.";
    Route "route" "The name of the route.";
    Upstream "upstream" "The name of the upstream; empty if none is chosen.";
    Endpoint "endpoint" "The address of the endpoint; empty if none is chosen yet (`rewrite`, `redirect`, `respond`).";
}

/// A variable in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Plain(Plain),
    /// A lower-case header name.
    Header(Box<str>),
    /// A claim of the token that let the request in.
    Claim(Box<str>),
}

impl Variable {
    /// Parses a variable's name.
    ///
    /// # Errors
    /// Returns a sentence that lists what is allowed.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if let Some(plain) = Plain::parse(name) {
            return Ok(Self::Plain(plain));
        }
        if let Some(claim) = name.strip_prefix("jwt:").filter(|claim| !claim.is_empty()) {
            return Ok(Self::Claim(claim.into()));
        }
        match name.strip_prefix("header:") {
            Some(header) if is_token(header) => {
                Ok(Self::Header(header.to_ascii_lowercase().into()))
            }
            _ => {
                let allowed: Vec<_> = VARIABLES.iter().map(|(name, _)| *name).collect();
                Err(format!("`${{{name}}}` is not a variable; write one of {}", allowed.join(", ")))
            }
        }
    }

    /// Appends the variable's value.
    pub(crate) fn render(&self, view: &RequestView<'_>, out: &mut Vec<u8>) {
        let plain = match self {
            Self::Plain(plain) => plain,
            Self::Header(name) => return header(name, view, out),
            Self::Claim(name) => {
                let claim = view.client.claims.map_or("", |claims| claims.get(name));
                return out.extend_from_slice(claim.as_bytes());
            }
        };
        let text = match plain {
            Plain::ClientIp => return address(view.client.ip, out),
            Plain::Port => return number(view.port.unwrap_or_else(|| own_port(view.scheme)), out),
            Plain::Target => {
                out.extend_from_slice(view.path.as_bytes());
                if let Some(query) = view.query {
                    out.push(b'?');
                    out.extend_from_slice(query.as_bytes());
                }
                return;
            }
            Plain::ClientSubject => view.client.certificate.map_or("", |c| c.subject),
            Plain::ClientFingerprint => {
                return view.client.certificate.iter().for_each(|c| hex(&c.fingerprint.0, out));
            }
            Plain::ClientSan => return client_san(view, out),
            Plain::ClientSpiffe => view.client.certificate.map_or("", |c| c.spiffe),
            Plain::TlsVersion => view.client.tls.map_or("", |tls| tls.version),
            Plain::Sni => view.client.tls.map_or("", |tls| tls.sni),
            Plain::RequestId => view.request_id,
            Plain::Method => view.method,
            Plain::Scheme => view.scheme,
            Plain::Protocol => view.protocol,
            Plain::Host => view.host,
            Plain::Path => view.path,
            Plain::Query => view.query.unwrap_or(""),
            Plain::Listener => view.listener,
            Plain::Route => view.route,
            Plain::Upstream => view.upstream,
            Plain::Endpoint => view.endpoint,
        };
        out.extend_from_slice(text.as_bytes());
    }
}

/// Returns the default port of the scheme, which a URL may leave out.
pub(crate) fn own_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// Reports whether a text is a token (RFC 9110 §5.6.2).
pub(crate) fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

/// Appends a number in decimal.
pub(crate) fn number(n: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

fn client_san(view: &RequestView<'_>, out: &mut Vec<u8>) {
    let names = view.client.certificate.and_then(|c| c.names).unwrap_or_default();
    for (i, name) in names.iter().enumerate() {
        if i > 0 {
            out.push(b',');
        }
        out.extend_from_slice(name.as_bytes());
    }
}

fn hex(bytes: &[u8], out: &mut Vec<u8>) {
    let digit = |n: u8| if n < 10 { b'0' + n } else { b'a' + n - 10 };
    out.extend(bytes.iter().flat_map(|b| [digit(b >> 4), digit(b & 15)]));
}

fn address(ip: IpAddr, out: &mut Vec<u8>) {
    let IpAddr::V4(v4) = ip else {
        // Writing to a vector does not fail.
        let _ = write!(out, "{ip}");
        return;
    };
    for (i, octet) in v4.octets().into_iter().enumerate() {
        if i > 0 {
            out.push(b'.');
        }
        number(octet.into(), out);
    }
}

fn header(name: &str, view: &RequestView<'_>, out: &mut Vec<u8>) {
    let mut first = true;
    view.headers.each(name, &mut |value| {
        if !std::mem::take(&mut first) {
            out.extend_from_slice(b", ");
        }
        out.extend_from_slice(value);
    });
}
