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

/// The buffer that came into a room.
pub(super) struct Came {
    pub(super) size: usize,
    /// The bytes of each datagram, if there are several.
    pub(super) segment: Option<usize>,
    pub(super) ends: Option<Ends>,
}

/// A datagram, or several of one flow, that leave in one send.
pub(super) struct Message<P> {
    /// Their bytes, in at most as many parts as there are rooms.
    pub(super) parts: P,
    pub(super) ends: Option<Ends>,
    /// The bytes of each, if there are several.
    pub(super) segment: Option<u16>,
}

/// Receives into the given rooms, one buffer into each, and tells of each. Returns how many there
/// were; 0 if none waits.
#[allow(unsafe_code)]
pub(super) fn receive<'a>(
    fd: BorrowedFd<'_>,
    rooms: impl Iterator<Item = &'a mut [u8]>,
    mut tell: impl FnMut(usize, Came),
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
        let beside = control.read(header.msg_hdr.msg_controllen);
        let ends = name.read().map(|client| Ends { client, local: beside.local });
        tell(i, Came { size: header.msg_len as usize, segment: beside.segment, ends });
    }
    Ok(got)
}

/// Sends at most as many messages as a batch has rooms, which follow each other in it. Returns how many
/// went out before an error, and the error.
pub(super) fn send<'a, P: Iterator<Item = &'a [u8]>>(
    fd: BorrowedFd<'_>,
    messages: impl Iterator<Item = Message<P>>,
) -> (usize, io::Result<()>) {
    let mut names: [Name; BATCH] = array::from_fn(|_| Name::default());
    let mut controls: [Control; BATCH] = array::from_fn(|_| Control::default());
    // A part ends with its message or with its room.
    let mut parts = [NO_PART; 2 * BATCH];
    let mut free = parts.as_mut_slice();
    let mut headers = [FREE; BATCH];
    let mut count = 0;
    let each = headers.iter_mut().zip(names.iter_mut().zip(&mut controls));
    for (message, (header, (name, control))) in messages.zip(each) {
        let mut len = 0;
        for (part, bytes) in free.iter_mut().zip(message.parts) {
            let iov_base = bytes.as_ptr().cast_mut().cast();
            *part = libc::iovec { iov_base, iov_len: bytes.len() };
            len += 1;
        }
        let Some((mine, rest)) = std::mem::take(&mut free).split_at_mut_checked(len) else {
            break;
        };
        free = rest;
        let h = &mut header.msg_hdr;
        (h.msg_iov, h.msg_iovlen) = (mine.as_mut_ptr(), len);
        if let Some(ends) = message.ends {
            let len;
            (*name, len) = Name::of(ends.client);
            (h.msg_name, h.msg_namelen) = (name.bytes.as_mut_ptr().cast(), len as libc::socklen_t);
        }
        let local = message.ends.and_then(|ends| ends.local);
        if local.is_some() || message.segment.is_some() {
            (*control, h.msg_controllen) = Control::sending(local, message.segment);
            h.msg_control = control.bytes.as_mut_ptr().cast();
        }
        count += 1;
    }
    transmit(fd, headers.get_mut(..count).unwrap_or_default())
}

/// Sends what headers point to, all of which must be there until this returns.
#[allow(unsafe_code)]
fn transmit(fd: BorrowedFd<'_>, headers: &mut [libc::mmsghdr]) -> (usize, io::Result<()>) {
    let mut sent = 0;
    while let Some(rest) = headers.get_mut(sent..).filter(|rest| !rest.is_empty()) {
        // SAFETY: `send` alone calls this; its headers point to parts, names and control data that
        // it holds meanwhile. The call only reads the bytes of the datagrams.
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

/// Sets an option that is a number.
#[allow(unsafe_code)]
pub(crate) fn set_option(
    fd: BorrowedFd<'_>,
    level: libc::c_int,
    option: libc::c_int,
    value: libc::c_int,
) -> io::Result<()> {
    let len = size_of::<libc::c_int>() as libc::socklen_t;
    // SAFETY: `value` outlives the call, which reads `len` bytes of it.
    let result =
        unsafe { libc::setsockopt(fd.as_raw_fd(), level, option, (&raw const value).cast(), len) };
    if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
