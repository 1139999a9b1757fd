//! Datagrams in batches: many in one call, each of any size. Contains three of the crate's `unsafe`
//! calls, because `recvmmsg`, `sendmmsg` and options of UDP have no safe wrapper.
//!
//! Where the kernel can, several datagrams of one flow come in one buffer and leave in one send; it
//! divides them at the other end. A [`Batch`] shows each of them alone.

mod address;
mod calls;
mod control;
mod joins;
mod offload;
mod spread;
mod table;
#[cfg(test)]
mod tests;

pub use offload::{Offload, receive_joined};
pub use spread::{Spread, spread_datagrams};

use crate::Fd;
use calls::Message;
pub(crate) use calls::set_option;
use joins::Joins;
use rustix::net::{AddressFamily, SocketFlags, SocketType};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};
use table::Table;

/// Rooms in a batch.
pub const BATCH: usize = 32;
/// Room for one datagram, or for several that the kernel joined: more bytes than there can be, so that
/// nothing is cut.
const ROOM: usize = 64 * 1024;

/// The reason why a datagram could not be sent, or what the kernel tells of those before.
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

/// The client that sent a datagram or is to get it, and the address here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ends {
    /// The client.
    pub client: SocketAddr,
    /// The address here that it was sent to, or is sent from; `None` = the socket's own.
    pub local: Option<IpAddr>,
}

/// Counts of datagrams that passed together with others of their flow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Joined {
    /// Those that the kernel handed over in one buffer with others.
    pub received: u64,
    /// Those that left in one send with others.
    pub sent: u64,
    /// Sends of several that the kernel refused, so that each left alone.
    pub refused: u64,
}

/// The beginning of datagrams that are passed on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Front<'a> {
    /// The number of bytes left out of those that each came with.
    pub cut: usize,
    /// The bytes that each begins with instead.
    pub header: &'a [u8],
}

impl Front<'_> {
    /// Reports whether datagrams leave as they came.
    fn is_none(&self) -> bool {
        self.cut == 0 && self.header.is_empty()
    }

    /// Returns the size with which one leaves that came with this one.
    fn size(&self, came: usize) -> usize {
        self.header.len() + came.saturating_sub(self.cut)
    }
}

/// Datagrams on their way, and the room for them: 2 MiB, of which the kernel gives only what
/// datagrams have filled.
pub struct Batch {
    bytes: Box<[u8]>,
    ends: [Option<Ends>; BATCH],
    /// Rooms in use.
    rooms: usize,
    table: Table,
    /// The number of rooms that the last calls filled, so that few datagrams do not pay for many.
    usual: usize,
    joins: Joins,
    joined: Joined,
}

/// Some datagrams that leave in one send.
#[derive(Clone, Default)]
struct Run(Range<usize>);

impl Batch {
    /// Makes an empty one, which joins datagrams if the kernel can divide them.
    pub fn new(offload: Offload) -> Self {
        Self {
            bytes: vec![0; BATCH * ROOM].into_boxed_slice(),
            ends: [None; BATCH],
            rooms: 0,
            table: Table::default(),
            usual: 1,
            joins: Joins::new(offload.send),
            joined: Joined::default(),
        }
    }

    /// Returns how many datagrams it holds.
    pub fn len(&self) -> usize {
        self.table.len()
    }

    /// Reports whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Reports whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.rooms == BATCH
    }

    /// Forgets every datagram.
    pub fn clear(&mut self) {
        self.table.clear();
        self.rooms = 0;
    }

    /// Forgets all but the first so many.
    pub fn truncate(&mut self, len: usize) {
        self.table.truncate(len);
    }

    /// Returns the size of a datagram; 0 of one that is not there.
    pub fn size(&self, at: usize) -> usize {
        self.table.size(at)
    }

    /// Returns the bytes of a datagram.
    pub fn bytes(&self, at: usize) -> &[u8] {
        let part = self.table.parts(at..at + 1).next();
        part.and_then(|part| self.bytes.get(part)).unwrap_or_default()
    }

    /// Returns who sent a datagram, or is to get it.
    pub fn ends(&self, at: usize) -> Option<Ends> {
        self.ends.get(self.table.room(at)?).copied().flatten()
    }

    /// Returns the end of the datagrams that follow each other from one on and have its ends.
    pub fn end_of_same(&self, at: usize) -> usize {
        at + same(&self.table, &self.ends, at..self.len()).count()
    }

    /// Says who is to get some datagrams, which came in one call.
    pub fn address(&mut self, range: Range<usize>, ends: Ends) {
        let first = self.table.room(range.start);
        let last = range.end.checked_sub(1).and_then(|at| self.table.room(at));
        if let (Some(first), Some(last)) = (first, last) {
            self.ends.get_mut(first..=last).into_iter().flatten().for_each(|e| *e = Some(ends));
        }
    }

    /// Adds a datagram, if there is room.
    pub fn add(&mut self, datagram: &[u8], ends: Ends) {
        let from = self.rooms * ROOM;
        let room = self.bytes.get_mut(from..from + datagram.len().min(ROOM));
        if let (Some(room), Some(e)) = (room, self.ends.get_mut(self.rooms)) {
            room.copy_from_slice(datagram.get(..room.len()).unwrap_or_default());
            *e = Some(ends);
            self.table.add(self.rooms, room.len(), None);
            self.rooms += 1;
        }
    }

    /// Takes the counts since the last call.
    pub fn take_joined(&mut self) -> Joined {
        std::mem::take(&mut self.joined)
    }

    /// Appends what waits at a socket, with its senders, as much as there is room for. Returns the
    /// places of what came; an empty range if nothing waits.
    ///
    /// # Errors
    /// Errors that the kernel keeps for the socket: ECONNREFUSED and others after an ICMP message.
    pub fn receive(&mut self, fd: impl AsFd) -> io::Result<Range<usize>> {
        let from = self.table.len();
        let first = self.rooms;
        let want = self.usual.min(BATCH - first);
        if want == 0 {
            return Ok(from..from);
        }
        let Self { bytes, ends, table, joined, .. } = self;
        let room = bytes.get_mut(first * ROOM..).unwrap_or_default();
        let got = calls::receive(fd.as_fd(), room.chunks_mut(ROOM).take(want), |i, came| {
            let count = table.add(first + i, came.size, came.segment);
            if count > 1 {
                joined.received += count as u64;
            }
            if let Some(e) = ends.get_mut(first + i) {
                *e = came.ends;
            }
        })?;
        self.rooms += got;
        self.usual = if got == want { want * 2 } else { got + 1 }.clamp(1, BATCH);
        Ok(from..self.len())
    }

    /// Sends some datagrams on a connected socket. Returns how many went out before an error, and
    /// the error. Nothing waits: `WouldBlock` is an error too.
    pub fn forward(
        &mut self,
        fd: impl AsFd,
        range: Range<usize>,
        front: Front<'_>,
    ) -> (usize, io::Result<()>) {
        self.send(fd.as_fd(), range, (false, front))
    }

    /// Sends some datagrams to whom they are addressed, in the same manner.
    pub fn reply(&mut self, fd: impl AsFd, range: Range<usize>) -> (usize, io::Result<()>) {
        self.send(fd.as_fd(), range, (true, Front::default()))
    }

    /// Sends datagrams, joined where they may be; what the kernel refuses for that is sent again one by
    /// one. `to_ends`: to whom each is addressed, else all to the peer of the socket.
    fn send(
        &mut self,
        fd: BorrowedFd<'_>,
        range: Range<usize>,
        (to_ends, front): (bool, Front<'_>),
    ) -> (usize, io::Result<()>) {
        let (mut at, last) = (range.start, range.end.min(self.len()));
        while at < last {
            // Each has two parts with a front, and a call takes so many.
            let end = if front.is_none() { last } else { last.min(at + BATCH) };
            let mut runs: [Run; BATCH] = std::array::from_fn(|_| Run::default());
            let (mut next, mut count) = (at, 0);
            for run in &mut runs {
                if next == end {
                    break;
                }
                *run = self.run(next..end, front);
                next = run.0.end;
                count += 1;
            }
            let runs_in_use = runs.iter().take(count);
            let messages = runs_in_use.map(|run| self.message(run, (to_ends, front)));
            let (sent, result) = calls::send(fd, messages);
            for Run(sent) in runs.iter().take(sent) {
                at = sent.end;
                if sent.len() > 1 {
                    self.joined.sent += sent.len() as u64;
                }
            }
            let Err(error) = result else {
                continue;
            };
            let is_joined = runs.get(sent).is_some_and(|run| run.0.len() > 1);
            if !is_joined || !self.joins.is_refusal(front.size(self.size(at)), &error) {
                return (at - range.start, Err(error));
            }
            self.joined.refused += 1;
        }
        (at - range.start, Ok(()))
    }

    /// Returns the first of some datagrams with those that leave in the same send.
    fn run(&mut self, range: Range<usize>, front: Front<'_>) -> Run {
        let from = range.start;
        let sizes = same(&self.table, &self.ends, range).map(|came| front.size(came));
        Run(from..from + self.joins.count(sizes))
    }

    fn message<'a>(
        &'a self,
        run: &Run,
        (to_ends, front): (bool, Front<'a>),
    ) -> Message<impl Iterator<Item = &'a [u8]>> {
        let Run(range) = run.clone();
        let size = u16::try_from(front.size(self.size(range.start))).ok();
        let ends = self.ends(range.start).filter(|_| to_ends);
        let segment = size.filter(|_| range.len() > 1);
        let (whole, fronted) = match front.is_none() {
            true => (range, 0..0),
            false => (0..0, range),
        };
        let whole = self.table.parts(whole).map(|part| self.bytes.get(part).unwrap_or_default());
        let each = move |at| [front.header, self.bytes(at).get(front.cut..).unwrap_or_default()];
        Message { ends, segment, parts: whole.chain(fronted.flat_map(each)) }
    }
}

/// Returns the sizes of the first of some datagrams, and of those behind it that have its ends.
fn same(
    table: &Table,
    ends: &[Option<Ends>; BATCH],
    range: Range<usize>,
) -> impl Iterator<Item = usize> {
    let ends = |room: usize| ends.get(room).copied().flatten();
    let mut room = table.room(range.start);
    let first = room.and_then(ends);
    let has_ends = move |(at, _): &(usize, usize)| {
        // What came in one buffer has one sender.
        let is_same = room == Some(*at) || ends(*at) == first;
        room = Some(*at);
        is_same
    };
    table.of(range).take_while(has_ends).map(|(_, size)| size)
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

/// Sends a datagram on a connected socket, behind a header, which may be empty.
///
/// # Errors
/// As [`Batch::forward`].
pub fn pass_datagram(fd: impl AsFd, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    let parts = [io::IoSlice::new(header), io::IoSlice::new(bytes)];
    let mut nothing = rustix::net::SendAncillaryBuffer::default();
    rustix::net::sendmsg(fd, &parts, &mut nothing, rustix::net::SendFlags::NOSIGNAL)?;
    Ok(())
}

/// Makes the kernel tell to which of its addresses each datagram was sent: answers must come from
/// there.
///
/// # Errors
/// Errors of `setsockopt`.
pub fn tell_local_address(fd: impl AsFd, address: SocketAddr) -> io::Result<()> {
    let (level, option) = match address {
        SocketAddr::V4(_) => (libc::IPPROTO_IP, libc::IP_PKTINFO),
        SocketAddr::V6(_) => (libc::IPPROTO_IPV6, libc::IPV6_RECVPKTINFO),
    };
    calls::set_option(fd.as_fd(), level, option, 1)
}
