//! Version 2: binary.

use super::{Addresses, Fault, Header, MAX_BYTES, Parse, Tlvs, Transport, crc32c, tlv};
use std::net::{IpAddr, SocketAddr};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";
/// Bytes of signature, command, family and length.
pub(super) const FIXED: usize = 16;
/// Two addresses of Unix sockets.
const UNIX: usize = 216;

pub(super) const LOCAL: u8 = 0x20;
pub(super) const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
const UDP4: u8 = 0x12;
const UDP6: u8 = 0x22;

/// The kind of the addresses behind a family.
#[derive(Clone, Copy)]
enum Family {
    Unspecified,
    V4(Transport),
    V6(Transport),
    Unix,
}

impl Family {
    fn of(byte: u8) -> Option<Self> {
        match byte {
            0x00 => Some(Family::Unspecified),
            TCP4 => Some(Family::V4(Transport::Stream)),
            UDP4 => Some(Family::V4(Transport::Datagram)),
            TCP6 => Some(Family::V6(Transport::Stream)),
            UDP6 => Some(Family::V6(Transport::Datagram)),
            0x31 | 0x32 => Some(Family::Unix),
            _ => None,
        }
    }

    /// Splits the addresses off what follows the fixed part.
    fn split(self, rest: &[u8]) -> Option<(Addresses, &[u8])> {
        match self {
            Family::Unspecified => Some((Addresses::Own, rest)),
            Family::Unix => rest.get(UNIX..).map(|tail| (Addresses::Own, tail)),
            Family::V4(transport) => pair::<4>(transport, rest),
            Family::V6(transport) => pair::<16>(transport, rest),
        }
    }
}

/// Returns the byte that says what carries addresses, and which ones.
pub(super) fn family(transport: Transport, is_v4: bool) -> u8 {
    match (transport, is_v4) {
        (Transport::Stream, true) => TCP4,
        (Transport::Stream, false) => TCP6,
        (Transport::Datagram, true) => UDP4,
        (Transport::Datagram, false) => UDP6,
    }
}

/// Splits off two addresses of `N` bytes and two ports.
fn pair<const N: usize>(transport: Transport, rest: &[u8]) -> Option<(Addresses, &[u8])>
where
    IpAddr: From<[u8; N]>,
{
    let (from, rest) = rest.split_first_chunk::<N>()?;
    let (to, rest) = rest.split_first_chunk::<N>()?;
    let (from_port, rest) = rest.split_first_chunk()?;
    let (to_port, rest) = rest.split_first_chunk()?;
    let at = |ip: &[u8; N], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::from(*ip), u16::from_be_bytes(*port))
    };
    let (source, destination) = (at(from, from_port), at(to, to_port));
    Some((Addresses::Passed { transport, source, destination }, rest))
}

pub(super) fn parse(bytes: &[u8]) -> Result<Parse<'_>, Fault> {
    let Some(&command) = bytes.get(SIGNATURE.len()) else {
        return Ok(Parse::Partial);
    };
    if !matches!(command, LOCAL | PROXY) {
        return Err(Fault::Malformed);
    }
    let Some(&family) = bytes.get(SIGNATURE.len() + 1) else {
        return Ok(Parse::Partial);
    };
    let family = Family::of(family);
    if command == PROXY && family.is_none() {
        return Err(Fault::Malformed);
    }
    let Some(&length) = bytes.get(FIXED - 2..FIXED).and_then(<[u8]>::first_chunk) else {
        return Ok(Parse::Partial);
    };
    let len = FIXED + usize::from(u16::from_be_bytes(length));
    if len > MAX_BYTES {
        return Err(Fault::TooLong);
    }
    let Some(whole) = bytes.get(..len) else {
        return Ok(Parse::Partial);
    };
    // The receiver ignores the family of `LOCAL`, so that nothing behind it has a meaning.
    let (addresses, tlvs) = match family.filter(|_| command == PROXY) {
        Some(family) => told(whole, family)?,
        None => (Addresses::Own, Tlvs::default()),
    };
    Ok(Parse::Complete(Header { len, addresses, tlvs }))
}

fn told(whole: &[u8], family: Family) -> Result<(Addresses, Tlvs<'_>), Fault> {
    let rest = whole.get(FIXED..).unwrap_or_default();
    let (addresses, tail) = family.split(rest).ok_or(Fault::Malformed)?;
    let (tlvs, checksum) = tlv::verified(tail)?;
    if let Some((at, expected)) = checksum {
        let (before, found) = whole.split_at(whole.len() - tail.len() + at);
        let after = found.get(4..).unwrap_or_default();
        // The checksum is made with its own bytes set to 0.
        if crc32c(&[before, &[0; 4], after]) != expected {
            return Err(Fault::Checksum);
        }
    }
    Ok((addresses, tlvs))
}
