//! Headers in front of datagrams. Each has its own, whole and of version 2: version 1 tells of no
//! datagrams.

use super::{Addresses, Fault, Header, Parse, Presence, Transport, presence, v2};

/// Reads the header that a datagram begins with.
///
/// # Errors
/// [`Fault::Missing`] when it begins with none, else what is wrong with the header.
pub fn parse_datagram(bytes: &[u8]) -> Result<Header<'_>, Fault> {
    if presence(bytes) != Presence::Yes {
        return Err(Fault::Missing);
    }
    if !bytes.starts_with(v2::SIGNATURE) {
        return Err(Fault::Malformed);
    }
    match v2::parse(bytes)? {
        // Nothing follows a datagram.
        Parse::Partial => Err(Fault::Malformed),
        Parse::Complete(header) => match header.addresses {
            Addresses::Passed { transport: Transport::Stream, .. } => Err(Fault::Malformed),
            _ => Ok(header),
        },
    }
}
