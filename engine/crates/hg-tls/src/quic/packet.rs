//! Splits a datagram into its packets with long headers (RFC 9000 §17.2, RFC 9369 §3.2).

use super::Unread;
use crate::reader::Reader;
use rustls::quic::Version;

const LONG_HEADER: u8 = 0x80;
const VERSION_1: u32 = 1;
const VERSION_2: u32 = 0x6b33_43cf;
/// Longest connection id of both versions.
const MAX_ID: usize = 20;

/// A connection id.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct ConnectionId {
    bytes: [u8; MAX_ID],
    len: u8,
}

impl ConnectionId {
    fn new(from: &[u8]) -> Option<Self> {
        let mut bytes = [0; MAX_ID];
        bytes.get_mut(..from.len())?.copy_from_slice(from);
        Some(Self { bytes, len: u8::try_from(from.len()).ok()? })
    }

    pub(super) fn len(&self) -> usize {
        self.len.into()
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len()).unwrap_or_default()
    }
}

/// The kind of a packet, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Its packet number, still protected, begins there.
    Initial { number_at: usize },
    /// Data that a client sends before it was answered.
    ZeroRtt,
    /// Handshake or Retry.
    Other,
}

pub(super) struct Packet<'d> {
    pub(super) version: Version,
    /// The connection id of the receiver.
    pub(super) id: ConnectionId,
    pub(super) kind: Kind,
    /// All of it, with its header.
    pub(super) bytes: &'d [u8],
}

impl<'d> Packet<'d> {
    /// Splits off the first packet.
    ///
    /// # Errors
    /// When it has no long header of a version that is known, or is cut off.
    pub(super) fn split(datagram: &mut &'d [u8]) -> Result<Self, Unread> {
        let whole = *datagram;
        let mut r = Reader(whole);
        let first = r.u8().ok_or(Unread::NotQuic)?;
        if first & LONG_HEADER == 0 {
            return Err(Unread::NotQuic);
        }
        // The lowest number of each type; version 2 has them turned by one.
        let (version, turn) = match r.u32().ok_or(Unread::NotQuic)? {
            VERSION_1 => (Version::V1, 0),
            VERSION_2 => (Version::V2, 1),
            0 => return Err(Unread::NotQuic),
            _ => return Err(Unread::Version),
        };
        let kind = (((first >> 4) & 3) + 4 - turn) & 3;
        let id = r.vec8().and_then(ConnectionId::new).ok_or(Unread::Malformed)?;
        r.vec8().and_then(ConnectionId::new).ok_or(Unread::Malformed)?;
        let kind = match kind {
            0 => {
                let token = r.varint().ok_or(Unread::Malformed)?;
                r.take_long(token).ok_or(Unread::Malformed)?;
                let len = r.varint().ok_or(Unread::Malformed)?;
                let number_at = whole.len() - r.0.len();
                r.take_long(len).ok_or(Unread::Malformed)?;
                Kind::Initial { number_at }
            }
            3 => {
                r.0 = &[];
                Kind::Other
            }
            kind => {
                let len = r.varint().ok_or(Unread::Malformed)?;
                r.take_long(len).ok_or(Unread::Malformed)?;
                if kind == 1 { Kind::ZeroRtt } else { Kind::Other }
            }
        };
        let bytes = whole.get(..whole.len() - r.0.len()).unwrap_or_default();
        *datagram = r.0;
        Ok(Self { version, id, kind, bytes })
    }
}
