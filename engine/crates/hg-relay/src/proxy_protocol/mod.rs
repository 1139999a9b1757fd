//! The PROXY protocol, versions 1 and 2 (haproxy.org/download/3.2/doc/proxy-protocol.txt): a header
//! at the start of a connection, or of each datagram, that tells whose a load balancer passes on.
//!
//! Reading is strict, as the specification demands: whatever is not exactly a header is a fault, and
//! a fault in the first bytes stays one whatever follows.

mod checksum;
mod datagram;
mod tlv;
mod v1;
mod v2;
mod write;

#[cfg(test)]
mod tests;

pub use checksum::crc32c;
pub use datagram::parse_datagram;
pub use tlv::{Tlv, Tlvs, kind};
pub use write::{Extras, Secured, write_local, write_unknown, write_v1, write_v2};

use std::net::SocketAddr;

/// The most bytes of a header. Version 2 allows 64 KiB; what is sent has a few hundred.
pub const MAX_BYTES: usize = 4096;

/// The presence of a header at the beginning of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Presence {
    /// They begin as a header of either version does.
    Yes,
    /// They do not, and no more bytes change that.
    No,
    /// There are too few to tell.
    Undecided,
}

/// The transport of which a header tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Transport {
    /// A stream, such as TCP.
    Stream,
    /// Datagrams, such as UDP.
    Datagram,
}

/// The addresses that hold for a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Addresses {
    /// Those of the connection itself: the sender speaks for itself (`LOCAL`), or for a connection
    /// without Internet addresses (`UNKNOWN`, AF_UNSPEC, AF_UNIX).
    Own,
    /// Those of the connection that is passed on.
    Passed {
        /// The transport that carries it.
        transport: Transport,
        /// The address that it comes from.
        source: SocketAddr,
        /// The address that it went to.
        destination: SocketAddr,
    },
}

/// A header that was read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header<'a> {
    /// Its bytes; what the client sent comes after them.
    pub len: usize,
    /// The addresses that hold from now on.
    pub addresses: Addresses,
    /// The other facts that version 2 tells; none in version 1 and with `LOCAL`.
    pub tlvs: Tlvs<'a>,
}

/// The result of reading.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Parse<'a> {
    /// More bytes are needed.
    Partial,
    /// A whole header.
    Complete(Header<'a>),
}

/// The reason why bytes are not a header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// They do not begin as a header does.
    Missing,
    /// They begin as one, and break its form.
    Malformed,
    /// The header is longer than [`MAX_BYTES`], or than a line of version 1 may be.
    TooLong,
    /// The checksum is not that of the header.
    Checksum,
}

/// Reports whether bytes begin with a header of either version.
pub fn presence(bytes: &[u8]) -> Presence {
    let of = |signature: &[u8]| {
        let n = bytes.len().min(signature.len());
        (bytes.get(..n) == signature.get(..n)).then_some(n == signature.len())
    };
    match (of(v1::SIGNATURE), of(v2::SIGNATURE)) {
        (None, None) => Presence::No,
        (Some(true), _) | (_, Some(true)) => Presence::Yes,
        _ => Presence::Undecided,
    }
}

/// Reads a header of either version from the start of `bytes`. Cost is linear in its length.
///
/// # Errors
/// When the bytes are not a header, whatever may follow them.
pub fn parse(bytes: &[u8]) -> Result<Parse<'_>, Fault> {
    match presence(bytes) {
        Presence::No => Err(Fault::Missing),
        Presence::Undecided => Ok(Parse::Partial),
        Presence::Yes if bytes.starts_with(v1::SIGNATURE) => v1::parse(bytes),
        Presence::Yes => v2::parse(bytes),
    }
}
