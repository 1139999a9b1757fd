//! The system calls.

use super::address::Name;
use super::control::Control;
use super::{BATCH, Ends};
use std::array;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd};
use std::ptr;

const NOTHING: libc::msghdr = libc::msghdr {
    msg_name: ptr::null_mut(),
    msg_namelen: 0,
    msg_iov: ptr::null_mut(),
    msg_iovlen: 0,
    msg_control: ptr::null_mut(),
    msg_controllen: 0,
    msg_flags: 0,
};
const FREE: libc::mmsghdr = libc::mmsghdr { msg_hdr: NOTHING, msg_len: 0 };
const NO_PART: libc::iovec = libc::iovec { iov_base: ptr::null_mut(), iov_len: 0 };

/// Receives into the given rooms, one datagram into each, and tells of each its size and its ends.
/// Returns how many there were; 0 if none waits.
#[allow(unsafe_code)]
pub(super) fn receive<'a>(
    fd: BorrowedFd<'_>,
    rooms: impl Iterator<Item = &'a mut [u8]>,
    mut tell: impl FnMut(usize, usize, Option<Ends>),
) -> io::Result<usize> {
    let mut names: [Name; BATCH] = array::from_fn(|_| Name::default());
    let mut controls: [Control; BATCH] = array::from_fn(|_| Control::default());
    let mut parts = [NO_PART; BATCH];
    let mut headers = [FREE; BATCH];
    let mut count = 0;
    let each = headers.iter_mut().zip(&mut parts).zip(names.iter_mut().zip(&mut controls));
    for (room, ((header, part), (name, control))) in rooms.zip(each) {
        *part = libc::iovec { iov_base: room.as_mut_ptr().cast(), iov_len: room.len() };
        let h = &mut header.msg_hdr;
        (h.msg_iov, h.msg_iovlen) = (ptr::from_mut(part), 1);
        h.msg_name = name.bytes.as_mut_ptr().cast();
        h.msg_namelen = name.bytes.len() as libc::socklen_t;
        h.msg_control = control.bytes.as_mut_ptr().cast();
        h.msg_controllen = control.bytes.len();
        count += 1;
    }
    let got = loop {
        // SAFETY: the first `count` headers point to parts, names, control data and rooms that
        // outlive the call and that nothing else uses during it; each length is that of its array.
        let got = unsafe {
            libc::recvmmsg(
                fd.as_raw_fd(),
                headers.as_mut_ptr(),
                count,
                libc::MSG_DONTWAIT as _,
                ptr::null_mut(),
            )
        };
        match usize::try_from(got) {
            Ok(got) => break got,
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::WouldBlock => return Ok(0),
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return Err(e),
            },
        }
    };
    let all = headers.iter().zip(names.iter().zip(&controls)).take(got).enumerate();
    for (i, (header, (name, control))) in all {
        let local = control.received_at(header.msg_hdr.msg_controllen);
        let ends = name.read().map(|client| Ends { client, local });
        tell(i, header.msg_len as usize, ends);
    }
    Ok(got)
}

/// Sends datagrams, at most a batch. Returns how many went out before an error, and the error.
#[allow(unsafe_code)]
pub(super) fn send<'a>(
    fd: BorrowedFd<'_>,
    datagrams: impl Iterator<Item = (&'a [u8], Option<Ends>)>,
) -> (usize, io::Result<()>) {
    let mut names: [Name; BATCH] = array::from_fn(|_| Name::default());
    let mut controls: [Control; BATCH] = array::from_fn(|_| Control::default());
    let mut parts = [NO_PART; BATCH];
    let mut headers = [FREE; BATCH];
    let mut count = 0;
    let each = headers.iter_mut().zip(&mut parts).zip(names.iter_mut().zip(&mut controls));
    for ((bytes, ends), ((header, part), (name, control))) in datagrams.zip(each) {
        *part = libc::iovec { iov_base: bytes.as_ptr().cast_mut().cast(), iov_len: bytes.len() };
        let h = &mut header.msg_hdr;
        (h.msg_iov, h.msg_iovlen) = (ptr::from_mut(part), 1);
        if let Some(ends) = ends {
            let len;
            (*name, len) = Name::of(ends.client);
            (h.msg_name, h.msg_namelen) = (name.bytes.as_mut_ptr().cast(), len as libc::socklen_t);
        }
        if let Some(local) = ends.and_then(|ends| ends.local) {
            (*control, h.msg_controllen) = Control::sending_from(local);
            h.msg_control = control.bytes.as_mut_ptr().cast();
        }
        count += 1;
    }
    let mut sent = 0;
    while let Some(rest) = headers.get_mut(sent..count).filter(|rest| !rest.is_empty()) {
        // SAFETY: the headers point to parts, names and control data that outlive the call; it
        // only reads the bytes of the datagrams.
        let got = unsafe {
            libc::sendmmsg(
                fd.as_raw_fd(),
                rest.as_mut_ptr(),
                rest.len() as _,
                libc::MSG_NOSIGNAL as _,
            )
        };
        match usize::try_from(got) {
            Ok(got) => sent += got,
            Err(_) => match io::Error::last_os_error() {
                e if e.kind() == io::ErrorKind::Interrupted => {}
                e => return (sent, Err(e)),
            },
        }
    }
    (sent, Ok(()))
}

/// Sets `IP_PKTINFO`, or its counterpart of IPv6.
#[allow(unsafe_code)]
pub(super) fn tell_local_address(fd: BorrowedFd<'_>, is_v6: bool) -> io::Result<()> {
    let (level, option) = match is_v6 {
        true => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
        false => (libc::IPPROTO_IP, libc::IP_PKTINFO),
    };
    let on: libc::c_int = 1;
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `on` outlives the call, which reads `len` bytes of it.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const on).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
