//! The record of one finished request.

use crate::notes::Noted;
use hg_plan::Digest;
use std::net::{IpAddr, SocketAddr};

/// One line of the access log, borrowed from the request. The formats escape invalid UTF-8, quotes
/// and control characters, and cut long values ([`MAX_TARGET_BYTES`], [`MAX_VALUE_BYTES`]).
#[derive(Clone, Copy, Debug)]
pub struct AccessRecord<'a> {
    /// The time at which the request's head was complete, in microseconds since 1970-01-01 UTC.
    pub time_us: u64,
    /// The id of the request.
    pub request_id: &'a str,
    /// The client's address, after reading trusted peers' headers.
    pub client_ip: IpAddr,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the route; empty when none matched.
    pub route: &'a str,
    /// Name of the upstream; empty when none was chosen.
    pub upstream: &'a str,
    /// Address of the endpoint that was tried last; empty if none was.
    pub endpoint: &'a str,
    /// The method as sent; empty if the request line could not be read.
    pub method: &'a str,
    /// `http` or `https`.
    pub scheme: &'a str,
    /// The host as sent.
    pub host: &'a [u8],
    /// Path and query as received.
    pub target: &'a [u8],
    /// `HTTP/1.0` or `HTTP/1.1`.
    pub protocol: &'a str,
    /// Status sent to the client; 499 if the client was gone before.
    pub status: u16,
    /// Bytes of the request's body read.
    pub bytes_in: u64,
    /// Bytes of the response's body sent.
    pub bytes_out: u64,
    /// Time to connect to the endpoint, in microseconds; `None` when no connection was made.
    pub connect_us: Option<u64>,
    /// Time from the request's head to the first byte of the endpoint's answer, in microseconds.
    pub first_byte_us: Option<u64>,
    /// Time from the request's head to the last byte of the answer, in microseconds.
    pub total_us: u64,
    /// The details of how the request was sent to endpoints.
    pub sent: SentRecord,
    /// Machine-readable reason for an answer or an end that we caused and not the endpoint; `-` if
    /// there is none.
    pub reason: &'a str,
    /// The request's User-Agent; empty when it had none.
    pub user_agent: &'a [u8],
    /// The request's Referer; empty when it had none.
    pub referer: &'a [u8],
    /// The other headers, and the claims, that the log asks for.
    pub noted: Noted<'a>,
    /// TLS properties of the connection; empty on a plain one.
    pub tls: TlsRecord<'a>,
}

/// A request's place in a trace.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceRecord {
    /// The trace.
    pub trace_id: u128,
    /// The span that stands for the request.
    pub span_id: u64,
    /// The flags of the trace.
    pub flags: u8,
}

/// The line of one finished TCP connection.
#[derive(Clone, Copy, Debug)]
pub struct ConnectionRecord<'a> {
    /// The time at which it was accepted, in microseconds since 1970-01-01 UTC.
    pub time_us: u64,
    /// The client's address.
    pub client: SocketAddr,
    /// Name of the listener.
    pub listener: &'a str,
    /// Name of the route; empty when none took it.
    pub route: &'a str,
    /// The TLS of its client.
    pub tls: SecuredRecord<'a>,
    /// Its endpoint.
    pub to: ReachedRecord<'a>,
    /// Bytes taken from the client.
    pub bytes_in: u64,
    /// Bytes taken from the endpoint.
    pub bytes_out: u64,
    /// Time from accept to the end, in microseconds.
    pub total_us: u64,
    /// The reason for its end and the side that ended it: a word from a closed list.
    pub reason: &'a str,
}

/// The TLS of a TCP connection's client: what it asked for, and what was agreed on if TLS ended here.
#[derive(Clone, Copy, Debug, Default)]
pub struct SecuredRecord<'a> {
    /// `TLSv1.2` or `TLSv1.3`; `None` if no TLS ended here.
    pub version: Option<&'a str>,
    /// The name of its ClientHello; `None` where none was read, and for one without.
    pub sni: Option<&'a str>,
    /// The protocol agreed on.
    pub alpn: Option<&'a [u8]>,
    /// The client's verified certificate.
    pub client: Option<CertificateRecord<'a>>,
}

/// The endpoint of a TCP connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct ReachedRecord<'a> {
    /// Name of the upstream; empty when there is none.
    pub upstream: &'a str,
    /// Address of the endpoint that it used, or that was tried last; empty if none was.
    pub endpoint: &'a str,
    /// Time to connect to it, in microseconds; `None` when no connection was made.
    pub connect_us: Option<u64>,
    /// The id by which a PROXY header told it of the connection; empty where none did.
    pub id: &'a str,
}

/// The details of how a request was sent to endpoints.
#[derive(Clone, Copy, Debug, Default)]
pub struct SentRecord {
    /// True if the last connection had carried a request before.
    pub reused: bool,
    /// The number of times that it was sent: more than one where it was tried again.
    pub tries: u32,
    /// The trace it was sent in, if there is one.
    pub trace: Option<TraceRecord>,
}

/// TLS properties of a connection.
#[derive(Clone, Copy, Debug, Default)]
pub struct TlsRecord<'a> {
    /// `TLSv1.2` or `TLSv1.3`; `None` on a plain connection.
    pub version: Option<&'a str>,
    /// The name that the client asked for in the TLS handshake.
    pub sni: Option<&'a str>,
    /// The client's verified certificate.
    pub client: Option<CertificateRecord<'a>>,
}

/// A client's verified certificate.
#[derive(Clone, Copy, Debug)]
pub struct CertificateRecord<'a> {
    /// Distinguished name, as RFC 4514 writes it.
    pub subject: &'a str,
    /// The alternative names, each with its type and without a comma: `dns:a.example`.
    pub names: &'a [Box<str>],
    /// The SPIFFE ID; empty without one.
    pub spiffe: &'a str,
    /// sha256 of the DER form.
    pub fingerprint: &'a Digest,
}

/// Most bytes of the target in a line.
pub const MAX_TARGET_BYTES: usize = 8 * 1024;

/// Most bytes of every other value in a line.
pub const MAX_VALUE_BYTES: usize = 1024;
