//! Version 1: one line of text.

use super::{Addresses, Fault, Header, Parse, Tlvs, Transport};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"PROXY ";

/// The longest line with its end: two full IPv6 addresses, or what follows `UNKNOWN`.
const MOST: usize = 107;

pub(super) fn parse(bytes: &[u8]) -> Result<Parse<'_>, Fault> {
    let seen = bytes.get(..MOST).unwrap_or(bytes);
    let Some(end) = seen.iter().position(|b| matches!(b, b'\r' | b'\n')) else {
        // The end has two bytes, of which not even the first one came.
        return if bytes.len() >= MOST - 1 { Err(Fault::TooLong) } else { Ok(Parse::Partial) };
    };
    match (seen.get(end), seen.get(end + 1)) {
        (Some(b'\r'), Some(b'\n')) => {}
        (Some(b'\r'), None) if bytes.len() < MOST => return Ok(Parse::Partial),
        (Some(b'\r'), None) => return Err(Fault::TooLong),
        _ => return Err(Fault::Malformed),
    }
    let told = seen.get(SIGNATURE.len()..end).unwrap_or_default();
    let addresses = addresses(told).ok_or(Fault::Malformed)?;
    Ok(Parse::Complete(Header { len: end + 2, addresses, tlvs: Tlvs::default() }))
}

fn addresses(told: &[u8]) -> Option<Addresses> {
    let told = std::str::from_utf8(told).ok()?;
    // What follows is ignored.
    if told == "UNKNOWN" || told.starts_with("UNKNOWN ") {
        return Some(Addresses::Own);
    }
    let mut words = told.split(' ');
    let ip: fn(&str) -> Option<IpAddr> = match words.next()? {
        "TCP4" => |word| word.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
        "TCP6" => |word| word.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
        _ => return None,
    };
    let (from, to) = (ip(words.next()?)?, ip(words.next()?)?);
    let (from_port, to_port) = (port(words.next()?)?, port(words.next()?)?);
    words.next().is_none().then_some(Addresses::Passed {
        transport: Transport::Stream,
        source: SocketAddr::new(from, from_port),
        destination: SocketAddr::new(to, to_port),
    })
}

/// Parses a port: digits without a sign and without leading zeros.
fn port(word: &str) -> Option<u16> {
    let is_plain =
        word.bytes().all(|b| b.is_ascii_digit()) && (word == "0" || !word.starts_with('0'));
    is_plain.then(|| word.parse().ok())?
}
