//! Datagrams in batches: many in one call, each of any size. Contains three of the crate's `unsafe`
//! calls, because `recvmmsg`, `sendmmsg` and `IP_PKTINFO` have no safe wrapper.

mod address;
mod calls;
mod control;
#[cfg(test)]
mod tests;

use crate::Fd;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::AsFd;

/// Datagrams in a batch.
pub const BATCH: usize = 32;
/// Room for one datagram: more than the 65,507 bytes that there can be, so that none is cut.
const ROOM: usize = 64 * 1024;

/// Why a datagram could not be sent, or what the kernel tells of those before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no room in the socket, nor will there be for those behind it.
    Blocked,
    /// It is larger than the way allows.
    TooLarge,
    /// ICMP told that nobody is there, or there is no way.
    Unreachable,
    /// Something else.
    Failed,
}

impl Trouble {
    /// Returns what an error of a socket means.
    pub fn of(error: &io::Error) -> Self {
        use io::ErrorKind::{ConnectionRefused, HostUnreachable, NetworkUnreachable, WouldBlock};
        match (error.kind(), error.raw_os_error()) {
            (WouldBlock, _) | (_, Some(libc::ENOBUFS)) => Self::Blocked,
            (ConnectionRefused | HostUnreachable | NetworkUnreachable, _) => Self::Unreachable,
            (_, Some(libc::EMSGSIZE)) => Self::TooLarge,
            _ => Self::Failed,
        }
    }
}

/// Who sent a datagram, or who is to get it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// The address here that it was sent to, or is sent from; `None` = the socket's own.
    pub local: Option<IpAddr>,
}

/// Datagrams on their way, and the room for them: 2 MiB, of which the kernel gives only what
/// datagrams have filled.
pub struct Batch {
    bytes: Box<[u8]>,
    sizes: [usize; BATCH],
    ends: [Option<Ends>; BATCH],
    len: usize,
    /// How many datagrams the last calls found, so that few do not pay for many.
    usual: usize,
}

impl Default for Batch {
    fn default() -> Self {
        Self {
            bytes: vec![0; BATCH * ROOM].into_boxed_slice(),
            sizes: [0; BATCH],
            ends: [None; BATCH],
            len: 0,
            usual: 1,
        }
    }
}

impl Batch {
    /// Returns how many datagrams it holds.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reports whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Reports whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.len == BATCH
    }

    /// Forgets every datagram.
    pub fn clear(&mut self) {
        self.len = 0;
    }

    /// Returns the size of a datagram; 0 of one that is not there.
    pub fn size(&self, at: usize) -> usize {
        self.sizes.get(at).copied().unwrap_or(0)
    }

    /// Returns the bytes of a datagram.
    pub fn bytes(&self, at: usize) -> &[u8] {
        let from = at * ROOM;
        self.bytes.get(from..from + self.size(at)).unwrap_or_default()
    }

    /// Returns who sent a datagram.
    pub fn ends(&self, at: usize) -> Option<Ends> {
        self.ends.get(at).copied().flatten()
    }

    /// Says who is to get some datagrams.
    pub fn address(&mut self, range: Range<usize>, ends: Ends) {
        self.ends.get_mut(range).into_iter().flatten().for_each(|e| *e = Some(ends));
    }

    /// Appends what waits at a socket, with its senders, as much as there is room for. Returns the
    /// places of what came; an empty range if nothing waits.
    ///
    /// # Errors
    /// Errors that the kernel keeps for the socket: ECONNREFUSED and others after an ICMP message.
    pub fn receive(&mut self, fd: impl AsFd) -> io::Result<Range<usize>> {
        let from = self.len;
        let want = self.usual.min(BATCH - from);
        if want == 0 {
            return Ok(from..from);
        }
        let room = self.bytes.get_mut(from * ROOM..).unwrap_or_default();
        let (mut sizes, mut ends) = ([0; BATCH], [None; BATCH]);
        let got = calls::receive(fd.as_fd(), room.chunks_mut(ROOM).take(want), |i, size, who| {
            if let (Some(s), Some(e)) = (sizes.get_mut(i), ends.get_mut(i)) {
                (*s, *e) = (size, who);
            }
        })?;
        for (i, at) in (from..from + got).enumerate() {
            if let (Some(s), Some(e)) = (self.sizes.get_mut(at), self.ends.get_mut(at)) {
                (*s, *e) = (sizes.get(i).copied().unwrap_or(0), ends.get(i).copied().flatten());
            }
        }
        self.len += got;
        self.usual = if got == want { want * 2 } else { got + 1 }.clamp(1, BATCH);
        Ok(from..self.len)
    }

    /// Sends some datagrams on a connected socket. Returns how many went out before an error, and
    /// the error. Nothing waits: `WouldBlock` is an error too.
    pub fn forward(&self, fd: impl AsFd, range: Range<usize>) -> (usize, io::Result<()>) {
        let one = |at| (self.bytes(at), None);
        calls::send(fd.as_fd(), range.map(one))
    }

    /// Sends some datagrams to whom they are addressed, in the same manner.
    pub fn reply(&self, fd: impl AsFd, range: Range<usize>) -> (usize, io::Result<()>) {
        let one = |at| (self.bytes(at), self.ends(at));
        calls::send(fd.as_fd(), range.map(one))
    }
}

/// Makes a socket whose datagrams go to one address and come from nowhere else; the kernel also
/// gives it the errors that ICMP tells of that address.
///
/// # Errors
/// When there is no descriptor or no free port, or no way to the address.
pub fn connect_datagrams(address: SocketAddr) -> io::Result<Fd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let family = match address {
        SocketAddr::V4(_) => AddressFamily::INET,
        SocketAddr::V6(_) => AddressFamily::INET6,
    };
    let fd = rustix::net::socket_with(family, SocketType::DGRAM, flags, None)?;
    rustix::net::connect(&fd, &address)?;
    Ok(fd)
}

/// Makes the kernel tell to which of its addresses each datagram was sent: answers must come from
/// there.
///
/// # Errors
/// Errors of `setsockopt`.
pub fn tell_local_address(fd: impl AsFd, address: SocketAddr) -> io::Result<()> {
    calls::tell_local_address(fd.as_fd(), address.is_ipv6())
}
