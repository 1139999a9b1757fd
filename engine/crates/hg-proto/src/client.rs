//! The client's identity: addresses that trusted peers report, and what the proxy reports upstream.

use crate::connection::trim;
use crate::fields::{Field, Fields};
use crate::known::Known;
use crate::write;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};

/// The header of a trusted peer that names the client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Source {
    /// `X-Forwarded-For`, read from the right.
    #[default]
    XForwardedFor,
    /// `Forwarded` (RFC 7239), read from the right.
    Forwarded,
    /// `X-Real-IP`.
    XRealIp,
}

impl Source {
    /// Returns the source with this lower-case header name; the empty name is the default source.
    pub fn parse(name: &str) -> Option<Source> {
        match name {
            "" | "x-forwarded-for" => Some(Source::XForwardedFor),
            "forwarded" => Some(Source::Forwarded),
            "x-real-ip" => Some(Source::XRealIp),
            _ => None,
        }
    }
}

/// Returns the client's address: `peer` unless that is trusted; then the rightmost address in the
/// header that is not trusted. An element that is not an address ends the walk, so nothing left of
/// it is believed. If all are trusted, the leftmost counts. Cost is linear in the header.
pub fn address(
    peer: IpAddr,
    fields: &Fields<'_, '_>,
    source: Source,
    trusted: impl Fn(IpAddr) -> bool,
) -> IpAddr {
    let peer = peer.to_canonical();
    if !trusted(peer) {
        return peer;
    }
    // One pass from the left keeps what a walk from the right would find in the elements so far.
    let mut found: Option<IpAddr> = None;
    let mut take = |element: Option<IpAddr>| match element {
        None => found = None,
        Some(ip) if !trusted(ip) || found.is_none() => found = Some(ip),
        Some(_) => {}
    };
    match source {
        Source::XForwardedFor => fields
            .each(Known::XForwardedFor)
            .flat_map(|line| line.split(|&b| b == b','))
            .for_each(|element| take(ip(trim(element)))),
        Source::XRealIp => fields.each(Known::XRealIp).for_each(|line| take(ip(line))),
        Source::Forwarded => {
            fields.each(Known::Forwarded).for_each(|line| forwarded(line, &mut take));
        }
    }
    found.unwrap_or(peer)
}

/// Parses `1.2.3.4`, `1.2.3.4:80`, `::1`, `[::1]` or `[::1]:80`.
fn ip(text: &[u8]) -> Option<IpAddr> {
    let text = std::str::from_utf8(text).ok()?;
    let bare = text.strip_prefix('[').and_then(|t| t.strip_suffix(']')).unwrap_or(text);
    let address: Option<IpAddr> = bare.parse().ok();
    address.or_else(|| text.parse::<SocketAddr>().ok().map(|s| s.ip())).map(|ip| ip.to_canonical())
}

/// Passes on the `for` address of every element of a `Forwarded` line, from the left; `None` for an
/// element without a usable one, and for the rest of a malformed line.
fn forwarded(mut line: &[u8], take: &mut impl FnMut(Option<IpAddr>)) {
    let mut current = None;
    loop {
        let (name, rest) = split_token(line);
        let Some(rest) = rest.strip_prefix(b"=") else {
            // An empty element or pair, or something that is not a pair.
            match (name, rest) {
                ([], [b';', tail @ ..]) => line = tail,
                ([], [b',', tail @ ..]) => line = tail,
                ([], []) => return take(current),
                _ => return take(None),
            }
            continue;
        };
        let Some((value, rest)) = split_value(rest) else {
            return take(None);
        };
        if name.eq_ignore_ascii_case(b"for") {
            current = ip(value);
        }
        match trim(rest) {
            [b';', tail @ ..] => line = tail,
            [b',', tail @ ..] => {
                take(current);
                current = None;
                line = tail;
            }
            [] => return take(current),
            _ => return take(None),
        }
    }
}

fn split_token(line: &[u8]) -> (&[u8], &[u8]) {
    let line = trim(line);
    let end = line.iter().position(|b| matches!(b, b'=' | b';' | b',')).unwrap_or(line.len());
    line.split_at(end)
}

/// Splits off a token or a quoted string; refuses a quoted string with an escape, which is not an
/// address.
fn split_value(rest: &[u8]) -> Option<(&[u8], &[u8])> {
    if let Some(inside) = rest.strip_prefix(b"\"") {
        let end = memchr::memchr2(b'"', b'\\', inside)?;
        let (value, tail) = inside.split_at(end);
        return Some((value, tail.strip_prefix(b"\"")?));
    }
    let end = rest.iter().position(|b| matches!(b, b';' | b',')).unwrap_or(rest.len());
    let (value, tail) = rest.split_at(end);
    Some((trim(value), tail))
}

/// An address as text.
#[derive(Clone, Copy, Debug)]
pub struct IpText {
    bytes: [u8; 39],
    len: u8,
}

impl IpText {
    /// Makes the text of the address; IPv4-mapped addresses become IPv4.
    pub fn new(ip: IpAddr) -> IpText {
        let ip = ip.to_canonical();
        if let IpAddr::V4(v4) = ip {
            return IpText::of_octets(v4.octets());
        }
        let mut bytes = [0; 39];
        let mut rest = &mut bytes[..];
        // 39 bytes hold the longest address, so this cannot fail.
        let left = if write!(rest, "{ip}").is_ok() { rest.len() } else { 39 };
        IpText { bytes, len: (39 - left) as u8 }
    }

    /// Formats as the standard library does, without its machinery, which took 2 % of the CPU of a
    /// small request.
    fn of_octets(octets: [u8; 4]) -> IpText {
        let (mut bytes, mut len) = ([0; 39], 0);
        let mut push = |byte| {
            if let Some(place) = bytes.get_mut(len) {
                *place = byte;
                len += 1;
            }
        };
        for (at, octet) in octets.into_iter().enumerate() {
            if at > 0 {
                push(b'.');
            }
            if octet > 99 {
                push(b'0' + octet / 100);
            }
            if octet > 9 {
                push(b'0' + octet / 10 % 10);
            }
            push(b'0' + octet % 10);
        }
        IpText { bytes, len: len as u8 }
    }

    /// Returns the text.
    pub fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..usize::from(self.len)).unwrap_or_default()
    }
}

/// The facts about the client that headers such as `X-Forwarded-For` report to an upstream.
#[derive(Clone, Copy, Debug)]
pub struct Forwarding<'a> {
    /// The peer of the connection.
    pub peer: &'a [u8],
    /// The client's address ([`address`]).
    pub client: &'a [u8],
    /// True if the peer is trusted: its claims are then kept and extended.
    pub trusted: bool,
    /// `http` or `https`: the scheme of our own listener.
    pub scheme: &'a str,
    /// The request's host as sent; empty if the request names none.
    pub host: &'a str,
}

impl Forwarding<'_> {
    /// Reports whether the field is not copied: an untrusted claim, or one that
    /// [`Forwarding::write`] replaces.
    #[inline]
    pub fn drops(&self, field: &Field<'_>) -> bool {
        if self.trusted {
            matches!(field.known, Known::XForwardedFor | Known::XRealIp)
        } else {
            field.known.is_client_claim()
        }
    }

    /// Appends `x-forwarded-for`, `-proto`, `-host` and `x-real-ip`.
    pub fn write(&self, out: &mut Vec<u8>, fields: &Fields<'_, '_>) {
        out.extend_from_slice(b"x-forwarded-for: ");
        if self.trusted {
            for told in fields.each(Known::XForwardedFor).filter(|v| !v.is_empty()) {
                out.extend_from_slice(told);
                out.extend_from_slice(b", ");
            }
        }
        out.extend_from_slice(self.peer);
        out.extend_from_slice(b"\r\n");
        let told = |known| self.trusted && fields.get(known).is_some();
        if !told(Known::XForwardedProto) {
            write::line(out, "x-forwarded-proto", self.scheme.as_bytes());
        }
        if !told(Known::XForwardedHost) && !self.host.is_empty() {
            self.write_host(out);
        }
        write::line(out, "x-real-ip", self.client);
    }

    /// Writes the host without a comma, which would make two of it for a reader that expects a
    /// list.
    fn write_host(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(b"x-forwarded-host: ");
        for (i, part) in self.host.split(',').enumerate() {
            out.extend_from_slice(if i == 0 { b"" } else { b"%2C" });
            out.extend_from_slice(part.as_bytes());
        }
        out.extend_from_slice(b"\r\n");
    }
}

#[cfg(test)]
mod tests;
