//! The kernel's work on several datagrams of one flow at once.

use super::calls;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::os::fd::AsFd;

/// The abilities of the kernel to join datagrams of one flow, and to divide them, so that one pass
/// through its layers carries many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offload {
    /// It hands several over in one buffer (`UDP_GRO`, Linux 5.0).
    pub receive: bool,
    /// It takes several in one buffer (`UDP_SEGMENT`, Linux 4.18).
    pub send: bool,
}

impl Offload {
    /// Asks the kernel, by a socket that is closed at once.
    pub fn probe() -> Self {
        let family = AddressFamily::INET;
        let made = rustix::net::socket_with(family, SocketType::DGRAM, SocketFlags::CLOEXEC, None);
        let Ok(fd) = made else {
            return Self::default();
        };
        let takes = |option| calls::set_option(fd.as_fd(), libc::SOL_UDP, option, 0).is_ok();
        Self { receive: takes(libc::UDP_GRO), send: takes(libc::UDP_SEGMENT) }
    }
}

/// Has the kernel hand over several datagrams in one buffer. Whoever reads the socket must be able
/// to divide them.
///
/// # Errors
/// Errors of `setsockopt`.
pub fn receive_joined(fd: impl AsFd) -> io::Result<()> {
    calls::set_option(fd.as_fd(), libc::SOL_UDP, libc::UDP_GRO, 1)
}
