//! Non-blocking stream sockets: thin, typed, allocation-free.

use crate::datagram::set_option;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendFlags, Shutdown, SocketAddrAny, SocketAddrUnix, SocketFlags,
    SocketType, sockopt,
};
use std::fmt;
use std::io::{self, IoSlice};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::time::Duration;

/// A socket that is closed when this is dropped.
pub type Fd = OwnedFd;

/// The target of a stream socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Address {
    /// TCP.
    Inet(SocketAddr),
    /// A Unix socket's path.
    Unix(PathBuf),
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Inet(a) => a.fmt(f),
            Address::Unix(p) => write!(f, "unix:{}", p.display()),
        }
    }
}

/// The result of a read or write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flow {
    /// So many bytes; more than 0.
    Bytes(usize),
    /// Nothing now; an event will follow.
    Blocked,
    /// The end of the stream (reads only).
    End,
}

/// Reads into `buf`, which must not be empty.
///
/// # Errors
/// Connection errors.
pub fn read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<Flow> {
    loop {
        match rustix::net::recv(&fd, &mut *buf, RecvFlags::empty()) {
            Ok((0, _)) => return Ok(Flow::End),
            Ok((n, _)) => return Ok(Flow::Bytes(n)),
            Err(Errno::AGAIN) => return Ok(Flow::Blocked),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Writes from `buf`, which must not be empty. Never raises SIGPIPE.
///
/// # Errors
/// Connection errors.
pub fn write(fd: impl AsFd, buf: &[u8]) -> io::Result<Flow> {
    loop {
        match rustix::net::send(&fd, buf, SendFlags::NOSIGNAL) {
            Ok(n) => return Ok(Flow::Bytes(n)),
            Err(Errno::AGAIN) => return Ok(Flow::Blocked),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Writes several parts, not all of them empty, in one call. The process must ignore SIGPIPE.
///
/// # Errors
/// Connection errors.
pub fn write_parts(fd: impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<Flow> {
    loop {
        match rustix::io::writev(&fd, parts) {
            Ok(n) => return Ok(Flow::Bytes(n)),
            Err(Errno::AGAIN) => return Ok(Flow::Blocked),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

/// Accepts one connection, non-blocking and close-on-exec; `None` if none waits. The connection
/// inherits what [`tune_listener`] set on the listening socket, so that accepting costs one call.
///
/// # Errors
/// Errors of `accept4` (including EMFILE, ENFILE, ENOBUFS and ENOMEM); skips a connection that was
/// aborted while it waited.
pub fn accept(listener: impl AsFd) -> io::Result<Option<(OwnedFd, SocketAddr)>> {
    loop {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        match rustix::net::acceptfrom_with(&listener, flags) {
            Ok((fd, peer)) => return Ok(Some((fd, inet(peer)))),
            Err(Errno::AGAIN) => return Ok(None),
            Err(Errno::INTR | Errno::CONNABORTED | Errno::PROTO) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

fn inet(peer: Option<SocketAddrAny>) -> SocketAddr {
    peer.and_then(|p| SocketAddr::try_from(p).ok())
        .unwrap_or(SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), 0))
}

/// Sets what accepted connections inherit: TCP_NODELAY, keepalive after `keepalive_ms` idle (0 =
/// off), and the accept backlog. `fast_open` is how many connections may have sent data with their
/// SYN before their handshake ends (RFC 7413 §4.2; 0 = none); it needs bit 2 of the sysctl
/// `net.ipv4.tcp_fastopen`.
///
/// # Errors
/// Errors of `setsockopt` or `listen`.
pub fn tune_listener(
    fd: impl AsFd,
    keepalive_ms: u64,
    backlog: u32,
    fast_open: u32,
) -> io::Result<()> {
    sockopt::set_tcp_nodelay(&fd, true)?;
    sockopt::set_socket_keepalive(&fd, keepalive_ms > 0)?;
    if keepalive_ms > 0 {
        sockopt::set_tcp_keepidle(&fd, Duration::from_secs((keepalive_ms / 1000).max(1)))?;
        sockopt::set_tcp_keepintvl(&fd, Duration::from_secs(15))?;
    }
    let early = i32::try_from(fast_open).unwrap_or(i32::MAX);
    let set = set_option(fd.as_fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN, early);
    // A kernel without the option has nothing to turn off.
    if early > 0 {
        set?;
    }
    rustix::net::listen(&fd, i32::try_from(backlog).unwrap_or(i32::MAX))?;
    Ok(())
}

/// Begins to connect. The socket becomes writable, or closed if that failed; [`take_error`] then
/// returns why.
///
/// # Errors
/// When the socket cannot be made or the kernel refuses at once.
pub fn connect(address: &Address) -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let family = match address {
        Address::Inet(SocketAddr::V4(_)) => AddressFamily::INET,
        Address::Inet(SocketAddr::V6(_)) => AddressFamily::INET6,
        Address::Unix(_) => AddressFamily::UNIX,
    };
    let fd = rustix::net::socket_with(family, SocketType::STREAM, flags, None)?;
    let result = match address {
        Address::Inet(a) => {
            sockopt::set_tcp_nodelay(&fd, true)?;
            sockopt::set_socket_keepalive(&fd, true)?;
            sockopt::set_tcp_keepidle(&fd, Duration::from_secs(60))?;
            rustix::net::connect(&fd, a)
        }
        Address::Unix(p) => rustix::net::connect(&fd, &SocketAddrUnix::new(p.as_path())?),
    };
    match result {
        Ok(()) | Err(Errno::INPROGRESS | Errno::INTR) => Ok(fd),
        Err(e) => Err(e.into()),
    }
}

/// Makes a socket that stays without a peer.
///
/// # Errors
/// When there is no descriptor.
pub fn unconnected() -> io::Result<OwnedFd> {
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    Ok(rustix::net::socket_with(AddressFamily::INET, SocketType::STREAM, flags, None)?)
}

/// Returns the address to which the peer of an accepted connection connected.
///
/// # Errors
/// When the socket is not an Internet socket.
pub fn local_address(fd: impl AsFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::try_from(rustix::net::getsockname(fd)?)?)
}

/// Takes the pending error of a socket: how a connect ended.
///
/// # Errors
/// The pending error itself.
pub fn take_error(fd: impl AsFd) -> io::Result<()> {
    Ok(sockopt::socket_error(fd)??)
}

/// Reports whether an idle connection has bytes or an end waiting, so that it must not be used
/// again.
pub fn is_readable_or_closed(fd: impl AsFd) -> bool {
    let mut byte = [0u8; 1];
    !matches!(
        rustix::net::recv(&fd, &mut byte[..], RecvFlags::PEEK | RecvFlags::DONTWAIT),
        Err(Errno::AGAIN | Errno::INTR)
    )
}

/// Ends our half of the connection.
pub fn shutdown_write(fd: impl AsFd) {
    // ENOTCONN: the peer closed first.
    let _ = rustix::net::shutdown(fd, Shutdown::Write);
}

/// Closes with a reset instead of an end of stream, so that a cut answer cannot be taken for a
/// whole one (socket(7), SO_LINGER).
pub fn close_with_reset(fd: OwnedFd) {
    let _ = sockopt::set_socket_linger(&fd, Some(Duration::ZERO));
    drop(fd);
}
