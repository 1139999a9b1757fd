//! The SOCK_SEQPACKET connection to the supervisor: one packet in, one packet out.

use crate::channel::{PACKET_BYTES, PACKET_FDS, ToSupervisor, encode};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, recvmsg, sendmsg, sockopt,
};
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

/// The result of reading.
#[derive(Debug)]
pub enum Received {
    /// A packet is in the caller's buffer.
    Packet {
        /// The number of its bytes.
        len: usize,
        /// Descriptors that came with it, in order; fewer than were sent if this process may not
        /// open more.
        fds: Vec<OwnedFd>,
    },
    /// The supervisor is gone.
    Eof,
}

/// Our end of the connection. Sending takes `&self`: a packet is atomic, so any thread may.
#[derive(Debug)]
pub struct Link {
    pub(crate) socket: OwnedFd,
}

impl Link {
    /// Makes a link over a connected SOCK_SEQPACKET socket.
    pub fn new(socket: OwnedFd) -> Self {
        Self { socket }
    }

    /// Makes a link that gives up after so long without a packet, or without room for one.
    ///
    /// # Errors
    /// If it is no socket.
    pub fn bounded(socket: OwnedFd, limit: Duration) -> io::Result<Self> {
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Recv, Some(limit))?;
        sockopt::set_socket_timeout(&socket, sockopt::Timeout::Send, Some(limit))?;
        Ok(Self { socket })
    }

    /// Waits for the next packet and puts it into `buffer` (at least [`PACKET_BYTES`]).
    ///
    /// # Errors
    /// `InvalidData` for a packet longer than agreed; else errors of the kernel. A reset counts as
    /// end.
    pub fn receive(&self, buffer: &mut [u8]) -> io::Result<Received> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::CMSG_CLOEXEC;
        let got = loop {
            let parts = &mut [IoSliceMut::new(buffer)];
            match recvmsg(&self.socket, parts, &mut ancillary, flags) {
                Err(rustix::io::Errno::INTR) => {}
                Err(rustix::io::Errno::CONNRESET) => return Ok(Received::Eof),
                other => break other?,
            }
        };
        let mut fds = Vec::new();
        for message in ancillary.drain() {
            if let RecvAncillaryMessage::ScmRights(rights) = message {
                fds.extend(rights);
            }
        }
        if got.flags.contains(ReturnFlags::TRUNC) {
            let text = format!("a packet over {PACKET_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::InvalidData, text));
        }
        // A list of descriptors that was cut (too many, or none free in this process) concerns only
        // the packet: its sender waits for an answer.
        if got.bytes == 0 && fds.is_empty() {
            return Ok(Received::Eof);
        }
        Ok(Received::Packet { len: got.bytes, fds })
    }

    /// Sends one packet; waits while the supervisor's queue is full.
    ///
    /// # Errors
    /// `BrokenPipe` if the supervisor is gone; else errors of the kernel.
    pub fn send(&self, message: &ToSupervisor) -> io::Result<()> {
        self.send_with(&encode(message), &[])
    }

    /// Sends one packet with descriptors beside it, at most [`PACKET_FDS`], in the same manner.
    ///
    /// # Errors
    /// As [`Link::send`].
    pub fn send_with(&self, packet: &[u8], fds: &[BorrowedFd<'_>]) -> io::Result<()> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() && !ancillary.push(SendAncillaryMessage::ScmRights(fds)) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        loop {
            let parts = &[IoSlice::new(packet)];
            match sendmsg(&self.socket, parts, &mut ancillary, SendFlags::NOSIGNAL) {
                Err(rustix::io::Errno::INTR) => {}
                other => return Ok(other.map(drop)?),
            }
        }
    }
}

impl AsFd for Link {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use rustix::net::{AddressFamily, SocketFlags, SocketType, socketpair};

    /// Returns a supervisor's end and ours.
    pub(crate) fn pair() -> (OwnedFd, Link) {
        let (theirs, ours) =
            socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)
                .unwrap();
        (theirs, Link::new(ours))
    }

    pub(crate) fn send_with(socket: &OwnedFd, packet: &[u8], fds: &[BorrowedFd<'_>]) {
        let mut space = vec![MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(PACKET_FDS))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        if !fds.is_empty() {
            assert!(ancillary.push(SendAncillaryMessage::ScmRights(fds)));
        }
        sendmsg(socket, &[IoSlice::new(packet)], &mut ancillary, SendFlags::empty()).unwrap();
    }

    #[test]
    fn a_packet_arrives_with_its_descriptors_in_order() {
        let (theirs, ours) = pair();
        let files: Vec<_> =
            (0..PACKET_FDS).map(|_| std::fs::File::open("/dev/null").unwrap()).collect();
        let borrowed: Vec<_> = files.iter().map(AsFd::as_fd).collect();
        send_with(&theirs, b"hello", &borrowed);
        let mut buffer = vec![0; PACKET_BYTES];
        let Received::Packet { len, fds } = ours.receive(&mut buffer).unwrap() else {
            panic!("no packet")
        };
        assert_eq!(&buffer[..len], b"hello");
        assert_eq!(fds.len(), PACKET_FDS);
        let flags = rustix::io::fcntl_getfd(&fds[0]).unwrap();
        assert!(flags.contains(rustix::io::FdFlags::CLOEXEC));
    }

    #[test]
    fn a_closed_peer_is_the_end() {
        let (theirs, ours) = pair();
        drop(theirs);
        let mut buffer = vec![0; PACKET_BYTES];
        assert!(matches!(ours.receive(&mut buffer).unwrap(), Received::Eof));
        let error = ours.send(&ToSupervisor::Draining).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }

    #[test]
    fn a_packet_that_is_too_long_is_refused() {
        let (theirs, ours) = pair();
        send_with(&theirs, &vec![b'x'; PACKET_BYTES + 1], &[]);
        let mut buffer = vec![0; PACKET_BYTES];
        let error = ours.receive(&mut buffer).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::InvalidData);
    }
}
