//! Writes headers.

use super::{Transport, crc32c, kind, v1, v2};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The longest text that is passed on: no host is longer.
const TEXT_MOST: usize = 255;
/// Most bytes of a unique id.
const ID_MOST: usize = 128;

/// Bits of the first byte of the TLS value: TLS, and a certificate on this connection and in this
/// session.
const HAS_TLS: u8 = 0x01;
const HAS_CERTIFICATE: u8 = 0x02 | 0x04;

/// The facts that version 2 tells beside addresses. Texts of more than 255 bytes and ids of more
/// than 128 are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extras<'a> {
    /// The protocol agreed on above TLS.
    pub alpn: Option<&'a [u8]>,
    /// The host of the client's SNI.
    pub authority: Option<&'a str>,
    /// The id of the connection.
    pub unique_id: Option<&'a [u8]>,
    /// The client's TLS; `None` = it uses none.
    pub tls: Option<Secured<'a>>,
}

/// The TLS of a client.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Secured<'a> {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'a str,
    /// True if it sent a certificate, which was verified.
    pub is_verified: bool,
    /// The common name of that certificate.
    pub common_name: Option<&'a str>,
}

/// Appends a line of version 1.
pub fn write_v1(source: SocketAddr, destination: SocketAddr, out: &mut Vec<u8>) {
    let (from, to) = same_family(source.ip(), destination.ip());
    let word = if from.is_ipv4() { "TCP4" } else { "TCP6" };
    out.extend_from_slice(v1::SIGNATURE);
    // Writing to a vector cannot fail.
    let _ = write!(out, "{word} {from} {to} {} {}\r\n", source.port(), destination.port());
}

/// Appends the line of version 1 for a connection that has no client.
pub fn write_unknown(out: &mut Vec<u8>) {
    out.extend_from_slice(b"PROXY UNKNOWN\r\n");
}

/// Appends a header of version 2 for a connection that has no client.
pub fn write_local(out: &mut Vec<u8>) {
    out.extend_from_slice(v2::SIGNATURE);
    out.extend_from_slice(&[v2::LOCAL, 0, 0, 0]);
}

/// Appends a header of version 2, with a checksum.
pub fn write_v2(
    transport: Transport,
    source: SocketAddr,
    destination: SocketAddr,
    extras: &Extras<'_>,
    out: &mut Vec<u8>,
) {
    let start = out.len();
    let (from, to) = same_family(source.ip(), destination.ip());
    out.extend_from_slice(v2::SIGNATURE);
    out.extend_from_slice(&[v2::PROXY, v2::family(transport, from.is_ipv4()), 0, 0]);
    for ip in [from, to] {
        match ip {
            IpAddr::V4(ip) => out.extend_from_slice(&ip.octets()),
            IpAddr::V6(ip) => out.extend_from_slice(&ip.octets()),
        }
    }
    out.extend_from_slice(&source.port().to_be_bytes());
    out.extend_from_slice(&destination.port().to_be_bytes());
    write_extras(extras, out);
    put(out, kind::CRC32C, &[0; 4]);
    let len = u16::try_from(out.len() - start - v2::FIXED).unwrap_or(u16::MAX).to_be_bytes();
    if let Some(place) = out.get_mut(start + v2::FIXED - 2..start + v2::FIXED) {
        place.copy_from_slice(&len);
    }
    let sum = crc32c(&[out.get(start..).unwrap_or_default()]).to_be_bytes();
    if let Some(place) = out.last_chunk_mut() {
        *place = sum;
    }
}

fn write_extras(extras: &Extras<'_>, out: &mut Vec<u8>) {
    put_text(out, kind::ALPN, extras.alpn);
    put_text(out, kind::AUTHORITY, extras.authority.map(str::as_bytes));
    if let Some(id) = extras.unique_id.filter(|id| id.len() <= ID_MOST) {
        put(out, kind::UNIQUE_ID, id);
    }
    let Some(tls) = &extras.tls else { return };
    let bits = if tls.is_verified { HAS_TLS | HAS_CERTIFICATE } else { HAS_TLS };
    // 0 = the client sent a certificate, which was verified.
    let mut value = vec![bits];
    value.extend_from_slice(&u32::from(!tls.is_verified).to_be_bytes());
    put_text(&mut value, kind::SSL_VERSION, Some(tls.version.as_bytes()));
    put_text(&mut value, kind::SSL_CN, tls.common_name.map(str::as_bytes));
    put(out, kind::SSL, &value);
}

fn put_text(out: &mut Vec<u8>, kind: u8, text: Option<&[u8]>) {
    if let Some(text) = text.filter(|text| !text.is_empty() && text.len() <= TEXT_MOST) {
        put(out, kind, text);
    }
}

/// Appends a value of less than 64 KiB.
fn put(out: &mut Vec<u8>, kind: u8, value: &[u8]) {
    let [high, low] = u16::try_from(value.len()).unwrap_or(u16::MAX).to_be_bytes();
    out.extend_from_slice(&[kind, high, low]);
    out.extend_from_slice(value);
}

/// Returns both addresses in one family: as IPv4 if both are, else as IPv6.
fn same_family(a: IpAddr, b: IpAddr) -> (IpAddr, IpAddr) {
    match (a.to_canonical(), b.to_canonical()) {
        (IpAddr::V4(a), IpAddr::V4(b)) => (a.into(), b.into()),
        (a, b) => (mapped(a), mapped(b)),
    }
}

fn mapped(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().into(),
        IpAddr::V6(_) => ip,
    }
}
