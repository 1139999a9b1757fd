//! The typed values behind the addresses of a header of version 2.

use super::Fault;

/// The types that we write or verify; others pass unread.
pub mod kind {
    /// The protocol agreed on above TLS, such as `h2`.
    pub const ALPN: u8 = 0x01;
    /// The host that the client asked for, as in SNI.
    pub const AUTHORITY: u8 = 0x02;
    /// The checksum of the header.
    pub const CRC32C: u8 = 0x03;
    /// The id of the connection; at most 128 bytes.
    pub const UNIQUE_ID: u8 = 0x05;
    /// The client's use of TLS, with its details.
    pub const SSL: u8 = 0x20;
    /// Within [`SSL`]: the version, such as `TLSv1.3`.
    pub const SSL_VERSION: u8 = 0x21;
    /// Within [`SSL`]: the common name of the client's certificate.
    pub const SSL_CN: u8 = 0x22;
}

/// Most bytes of a unique id.
const UNIQUE_ID_MOST: usize = 128;

/// A typed value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tlv<'a> {
    /// Its type; see [`kind`].
    pub kind: u8,
    /// Its bytes.
    pub value: &'a [u8],
}

/// The typed values of a header, whose lengths were verified.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tlvs<'a>(pub(super) &'a [u8]);

impl<'a> Tlvs<'a> {
    /// Returns the values in the order of the header.
    pub fn iter(self) -> impl Iterator<Item = Tlv<'a>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            let (tlv, tail) = split(rest)?;
            rest = tail;
            Some(tlv)
        })
    }

    /// Returns the first value of a type.
    pub fn get(self, kind: u8) -> Option<&'a [u8]> {
        self.iter().find(|tlv| tlv.kind == kind).map(|tlv| tlv.value)
    }
}

/// Splits off the first value; `None` if there is none, or not all of it.
fn split(bytes: &[u8]) -> Option<(Tlv<'_>, &[u8])> {
    let (&[kind, high, low], rest) = bytes.split_first_chunk()?;
    let (value, tail) = rest.split_at_checked(usize::from(u16::from_be_bytes([high, low])))?;
    Some((Tlv { kind, value }, tail))
}

/// Verifies the lengths of the values. Returns them with the place and value of the checksum, if
/// there is one.
pub(super) fn verified(bytes: &[u8]) -> Result<(Tlvs<'_>, Option<(usize, u32)>), Fault> {
    let (mut rest, mut checksum) = (bytes, None);
    while !rest.is_empty() {
        let (tlv, tail) = split(rest).ok_or(Fault::Malformed)?;
        match tlv.kind {
            kind::CRC32C => {
                let at = bytes.len() - tail.len() - tlv.value.len();
                let value = tlv.value.try_into().map_err(|_| Fault::Malformed)?;
                if checksum.replace((at, u32::from_be_bytes(value))).is_some() {
                    return Err(Fault::Malformed);
                }
            }
            kind::UNIQUE_ID if tlv.value.len() > UNIQUE_ID_MOST => return Err(Fault::Malformed),
            _ => {}
        }
        rest = tail;
    }
    Ok((Tlvs(bytes), checksum))
}
