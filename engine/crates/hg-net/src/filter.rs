//! A socket filter that drops new connections. Holds the crate's one `unsafe` call: `SO_ATTACH_FILTER`
//! has no safe wrapper.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Makes the kernel drop every further SYN to a listening socket, while what waits in its accept
/// queue can still be taken: the first step of closing a listener without losing a connection
/// (socket(7), `SO_ATTACH_FILTER`).
///
/// # Errors
/// What `setsockopt` says.
#[allow(unsafe_code)]
pub fn drop_new_connections(socket: impl AsFd) -> io::Result<()> {
    // BPF_RET | BPF_K with k = 0: keep 0 bytes of every packet, that is, drop it.
    let mut code = libc::sock_filter { code: 0x06, jt: 0, jf: 0, k: 0 };
    let program = libc::sock_fprog { len: 1, filter: &raw mut code };
    let size = libc::socklen_t::try_from(size_of::<libc::sock_fprog>()).unwrap_or(0);
    // SAFETY: `program` and the one instruction it points to outlive the call, which copies them;
    // the descriptor is borrowed for its duration.
    let result = unsafe {
        libc::setsockopt(
            socket.as_fd().as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_ATTACH_FILTER,
            (&raw const program).cast(),
            size,
        )
    };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
