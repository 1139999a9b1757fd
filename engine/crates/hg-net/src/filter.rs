//! Programs of the kernel for sockets, and one that drops new connections. Contains one of the crate's
//! `unsafe` calls, because `SO_ATTACH_FILTER` has no safe wrapper.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Offset of the flags in a TCP header; a filter sees a segment from the header on.
const FLAGS_AT: u32 = 13;
const SYN: u32 = 0x02;
const ACK: u32 = 0x10;

/// Makes the kernel drop every further SYN to a listening socket, while handshakes that have begun
/// may end and the connections in its accept queue can still be accepted: the first step of closing
/// a listener without losing a connection (socket(7), `SO_ATTACH_FILTER`).
///
/// # Errors
/// Errors of `setsockopt`.
pub fn drop_new_connections(socket: impl AsFd) -> io::Result<()> {
    let (load, mask, is_equal, give) = (0x30, 0x54, 0x15, 0x06);
    attach(
        socket,
        libc::SO_ATTACH_FILTER,
        &mut [
            instruction(load, FLAGS_AT),
            instruction(mask, SYN | ACK),
            libc::sock_filter { jf: 1, ..instruction(is_equal, SYN) },
            // The number of bytes of the segment to keep.
            instruction(give, 0),
            instruction(give, u32::MAX),
        ],
    )
}

/// Removes the filter of [`drop_new_connections`].
///
/// # Errors
/// Errors of `setsockopt`.
pub fn take_new_connections(socket: impl AsFd) -> io::Result<()> {
    attach(socket, libc::SO_ATTACH_FILTER, &mut [instruction(0x06, u32::MAX)])
}

pub(crate) fn instruction(code: u16, k: u32) -> libc::sock_filter {
    libc::sock_filter { code, jt: 0, jf: 0, k }
}

/// Gives a socket a program, by the option that says for what.
#[allow(unsafe_code)]
pub(crate) fn attach(
    socket: impl AsFd,
    option: libc::c_int,
    code: &mut [libc::sock_filter],
) -> io::Result<()> {
    let len = u16::try_from(code.len()).unwrap_or(u16::MAX);
    let program = libc::sock_fprog { len, filter: code.as_mut_ptr() };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or(0);
    // SAFETY: `program` and the `len` instructions it points to outlive the call, which copies
    // them; the descriptor is borrowed for its duration.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            option,
            (&raw const program).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
