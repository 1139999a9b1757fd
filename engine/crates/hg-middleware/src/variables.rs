//! The variables of templates: the one list, which `docs/reference/variables.md` repeats.

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

        /// Every variable a template may name, and what it stands for.
        pub const VARIABLES: &[(&str, &str)] = &[
            $(($name, $meaning),)*
            ("header:NAME", "The request's header of that name as the client sent it, if the listener takes it (client-headers.md); several lines joined by `, `; empty when there is none."),
        ];
    };
}

variables! {
    ClientIp "client_ip" "The client's address, after trusted peers' headers were read; IPv6 without brackets.";
    ClientSubject "client_subject" "Subject of the client's verified certificate, as RFC 4514 writes it; empty when it gave none.";
    ClientFingerprint "client_fingerprint" "sha256 of that certificate, in lower-case hex; empty when it gave none.";
    RequestId "request_id" "The id of this request, as in the access log.";
    Method "method" "The request's method.";
    Scheme "scheme" "`http` or `https`: how the client reached the listener.";
    Protocol "protocol" "`HTTP/1.0` or `HTTP/1.1`.";
    Host "host" "The request's host, lower case, without port; IPv6 in brackets.";
    Port "port" "The port the client named with the host, or else the scheme's own (80, 443).";
    Path "path" "The normalised path, before any rewrite.";
    Query "query" "What follows the first `?`, without it; empty when there is none.";
    Target "target" "Path and query together, with `?` only when there is a query.";
    Listener "listener" "Name of the listener.";
    Route "route" "Name of the route.";
    Upstream "upstream" "Name of the upstream; empty where none is chosen.";
    Endpoint "endpoint" "Address of the endpoint; empty where none is chosen yet (`rewrite`, `redirect`, `respond`).";
}

/// A variable as it stands in a template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Variable {
    Plain(Plain),
    /// Lower case.
    Header(Box<str>),
}

impl Variable {
    /// # Errors
    /// A sentence that lists what is allowed.
    pub(crate) fn parse(name: &str) -> Result<Self, String> {
        if let Some(plain) = Plain::parse(name) {
            return Ok(Self::Plain(plain));
        }
        match name.strip_prefix("header:") {
            Some(header) if is_token(header) => {
                Ok(Self::Header(header.to_ascii_lowercase().into()))
            }
            _ => {
                let allowed: Vec<_> = VARIABLES.iter().map(|(name, _)| *name).collect();
                Err(format!("`${{{name}}}` is not a variable; allowed are {}", allowed.join(", ")))
            }
        }
    }

    /// Appends the value.
    pub(crate) fn render(&self, view: &RequestView<'_>, out: &mut Vec<u8>) {
        let plain = match self {
            Self::Plain(plain) => plain,
            Self::Header(name) => return header(name, view, out),
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

/// The port that need not be written.
pub(crate) fn own_port(scheme: &str) -> u16 {
    if scheme == "https" { 443 } else { 80 }
}

/// RFC 9110 §5.6.2.
pub(crate) fn is_token(text: &str) -> bool {
    let tchar = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
    !text.is_empty() && text.bytes().all(tchar)
}

/// Appends a number in decimal.
pub(crate) fn number(n: u16, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
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
