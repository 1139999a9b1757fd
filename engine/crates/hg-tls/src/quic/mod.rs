//! Reads the server name out of the first datagrams of a QUIC connection (RFC 9000, RFC 9001; version
//! 2: RFC 9369), without being an end of it.
//!
//! A client's Initial packets are encrypted with keys that anybody makes from the connection id in
//! their header. Their CRYPTO frames hold the ClientHello, in any order and over several datagrams.
//! Pure, bounded and strict: what an endpoint would read otherwise than this must be an error, or a
//! client could say one name here and another there.

mod crypto;
mod frames;
mod open;
mod packet;
#[cfg(test)]
mod tests;

use crate::hello::{ClientHelloInfo, HelloError, Parse, parse_handshake};
use crypto::CryptoStream;
use open::Opener;
use packet::{ConnectionId, Kind, Packet};

/// A datagram with an Initial packet has at least so many bytes (RFC 9000 §14.1).
const LEAST_DATAGRAM: usize = 1200;
/// The connection id that a client makes up has at least so many (RFC 9000 §7.2).
const LEAST_ID: usize = 8;

/// The reason why the first datagrams of a flow have no ClientHello.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unread {
    /// They do not begin a QUIC connection.
    NotQuic,
    /// They are of a version that is not known here.
    Version,
    /// An Initial packet, or what it carries, is not well-formed.
    Malformed,
    /// The ClientHello is too long.
    TooLong,
}

impl From<HelloError> for Unread {
    fn from(error: HelloError) -> Self {
        match error {
            HelloError::TooLong => Self::TooLong,
            HelloError::NotTls | HelloError::Malformed => Self::Malformed,
        }
    }
}

/// Reads the datagrams of a new flow until their ClientHello is whole. Takes at most some 20 KiB.
#[derive(Default)]
pub struct InitialReader {
    begun: Option<Begun>,
}

/// A connection whose first Initial packet was opened.
struct Begun {
    id: ConnectionId,
    opener: Opener,
    stream: CryptoStream,
}

impl InitialReader {
    /// Reads the next datagram of the client. `room` is written over: packets are opened there.
    ///
    /// # Errors
    /// When no ClientHello can come of these datagrams any more. What cannot be opened after the
    /// first packet was is passed over, as an endpoint does: anybody may have sent it.
    pub fn read(
        &mut self,
        datagram: &[u8],
        room: &mut Vec<u8>,
    ) -> Result<Parse<ClientHelloInfo>, Unread> {
        let mut rest = datagram;
        while !rest.is_empty() {
            let packet = match Packet::split(&mut rest) {
                Ok(packet) => packet,
                // Behind a packet there may be bytes of any kind, and in later datagrams too.
                Err(_) if self.begun.is_some() || rest.len() < datagram.len() => break,
                Err(why) => return Err(why),
            };
            match packet.kind {
                Kind::Initial { number_at } => {
                    if !self.begin(&packet, datagram.len())? {
                        continue;
                    }
                    if let Some(hello) = self.open(&packet, number_at, room)? {
                        return Ok(Parse::Complete(hello));
                    }
                }
                // It may have overtaken the Initial.
                Kind::ZeroRtt => {}
                Kind::Other if self.begun.is_none() => return Err(Unread::NotQuic),
                Kind::Other => {}
            }
        }
        Ok(Parse::Partial)
    }

    /// Begins with the first Initial packet. Reports whether this one is of the connection.
    fn begin(&mut self, packet: &Packet<'_>, datagram: usize) -> Result<bool, Unread> {
        let is_short = datagram < LEAST_DATAGRAM;
        if let Some(begun) = &self.begun {
            let is_its = begun.id == packet.id && begun.opener.is_of(packet.version);
            return Ok(is_its && !is_short);
        }
        if is_short || packet.id.len() < LEAST_ID {
            return Err(Unread::Malformed);
        }
        let opener = Opener::new(packet.version, &packet.id).ok_or(Unread::Version)?;
        self.begun = Some(Begun { id: packet.id, opener, stream: CryptoStream::default() });
        Ok(true)
    }

    /// Opens an Initial packet; returns the ClientHello once it is whole.
    fn open(
        &mut self,
        packet: &Packet<'_>,
        number_at: usize,
        room: &mut Vec<u8>,
    ) -> Result<Option<ClientHelloInfo>, Unread> {
        let Some(begun) = &mut self.begun else {
            return Ok(None);
        };
        room.clear();
        room.extend_from_slice(packet.bytes);
        let Some(payload) = begun.opener.open(room, number_at) else {
            if begun.opener.has_opened() {
                return Ok(None);
            }
            return Err(Unread::Malformed);
        };
        frames::read(payload, |offset, bytes| begun.stream.put(offset, bytes))?;
        match parse_handshake(begun.stream.whole())? {
            Parse::Complete(hello) => Ok(Some(hello)),
            Parse::Partial => Ok(None),
        }
    }
}

/// The entry point for fuzzers: reads datagrams of any bytes, each after its length (u16), and checks
/// that a verdict stands whatever room it was made in.
#[doc(hidden)]
pub fn fuzz_initials(bytes: &[u8]) {
    let (mut reader, mut again) = (InitialReader::default(), InitialReader::default());
    let (mut room, mut rest) = (Vec::new(), bytes);
    while let Some((&[hi, lo], after)) = rest.split_first_chunk::<2>() {
        let len = usize::from(u16::from_be_bytes([hi, lo])).min(after.len());
        let (datagram, next) = after.split_at(len);
        rest = next;
        let said = reader.read(datagram, &mut room);
        assert_eq!(said, again.read(datagram, &mut Vec::new()), "the room has a say");
        if said != Ok(Parse::Partial) {
            break;
        }
    }
    // With keys that fit, what is inside is reached as well.
    let mut stream = CryptoStream::default();
    if frames::read(bytes, |offset, bytes| stream.put(offset, bytes)).is_ok() {
        let _ = parse_handshake(stream.whole());
    }
}
