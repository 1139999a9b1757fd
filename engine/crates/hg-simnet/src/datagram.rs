//! Datagrams: sockets that keep what has come, the network that loses and reorders, and what ICMP
//! tells of addresses where nobody is.

use crate::calls::{AsFd, Fd, try_with};
use crate::kernel::{Coming, Kernel, Object, Remote, with};
use crate::{Ends, Front, Joined, Offload, Spread, Token};
use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::ops::Range;

/// Datagrams in a batch.
const BATCH: usize = 32;
/// The engine's address.
const OURS: IpAddr = IpAddr::V4(Ipv4Addr::new(10, 0, 0, 1));
/// Datagrams that a socket keeps; further ones are lost.
const KEPT: usize = 200;

/// A datagram on its way, or one that has come.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Datagram {
    /// The sender.
    pub from: SocketAddr,
    /// The recipient.
    pub to: SocketAddr,
    /// The content.
    pub bytes: Vec<u8>,
}

/// All datagrams.
#[derive(Default)]
pub(crate) struct Mail {
    /// Those on their way.
    flying: Vec<Option<Datagram>>,
    /// Those that have come to peers.
    pub(crate) come: VecDeque<Datagram>,
    /// Sockets that are open.
    pub(crate) posts: Vec<usize>,
    /// Sockets made so far.
    made: u16,
}

/// A socket of the engine.
pub(crate) struct Post {
    bound: SocketAddr,
    /// The only address to which its datagrams go, and from which they come.
    peer: Option<SocketAddr>,
    pub(crate) token: Option<Token>,
    inbox: VecDeque<Datagram>,
    error: Option<ErrorKind>,
}

impl Post {
    pub(crate) fn is_readable(&self) -> bool {
        !self.inbox.is_empty() || self.error.is_some()
    }
}

impl Kernel {
    pub(crate) fn post(&mut self, id: usize) -> Option<&mut Post> {
        match self.objects.get_mut(id)?.as_mut()? {
            Object::Post(post) => Some(post),
            _ => None,
        }
    }

    /// Closes a socket. Reports whether it was one of datagrams.
    pub(crate) fn close_post(&mut self, id: usize) -> bool {
        let is_one = self.post(id).is_some();
        if let Some(o) = self.objects.get_mut(id).filter(|_| is_one) {
            *o = None;
            self.mail.posts.retain(|post| *post != id);
        }
        is_one
    }

    fn open_post(&mut self, bound: SocketAddr, peer: Option<SocketAddr>) -> usize {
        let (token, inbox, error) = (None, VecDeque::new(), None);
        let id = self.add(Object::Post(Box::new(Post { bound, peer, token, inbox, error })));
        self.mail.posts.push(id);
        self.mail.made += 1;
        id
    }

    fn post_at(&mut self, address: SocketAddr) -> Option<&mut Post> {
        let ids = self.mail.posts.clone();
        let id = ids.into_iter().find(|id| self.post(*id).is_some_and(|p| p.bound == address))?;
        self.post(id)
    }

    /// Puts a datagram on its way, unless the network loses it.
    fn post_off(&mut self, datagram: Datagram) {
        if self.rng.chance(self.weather.lost) {
            return;
        }
        let us = self.latency();
        let at = self.mail.flying.len();
        self.mail.flying.push(Some(datagram));
        self.after(us, Coming::Datagram(at));
    }

    /// Delivers a datagram.
    pub(crate) fn deliver(&mut self, at: usize) {
        let Some(d) = self.mail.flying.get_mut(at).and_then(Option::take) else { return };
        let (from, to) = (d.from, d.to);
        if let Some(post) = self.post_at(to) {
            if post.peer.is_none_or(|peer| peer == from) && post.inbox.len() < KEPT {
                post.inbox.push_back(d);
            }
            return;
        }
        match self.remotes.get(&to) {
            // A socket that is closed.
            None if to.ip() == OURS => {}
            None | Some(Remote::Up) => self.mail.come.push_back(d),
            Some(Remote::Silent) => {}
            Some(Remote::Refuses) => self.tell_trouble(from, to, ErrorKind::ConnectionRefused),
            Some(Remote::Unreachable) => self.tell_trouble(from, to, ErrorKind::HostUnreachable),
        }
    }

    /// ICMP tells the sender, if it still has its socket.
    fn tell_trouble(&mut self, from: SocketAddr, to: SocketAddr, why: ErrorKind) {
        if let Some(post) = self.post_at(from).filter(|post| post.peer == Some(to)) {
            post.error = Some(why);
        }
    }

    fn send_post(&mut self, id: usize, to: Option<SocketAddr>, bytes: &[u8]) -> io::Result<()> {
        self.call();
        let blocked = self.rng.chance(self.weather.blocked_writes);
        let Some(post) = self.post(id) else { return Err(ErrorKind::NotConnected.into()) };
        if let Some(error) = post.error.take() {
            return Err(error.into());
        }
        let Some(to) = post.peer.or(to) else { return Err(ErrorKind::NotConnected.into()) };
        if blocked {
            return Err(ErrorKind::WouldBlock.into());
        }
        let from = post.bound;
        self.moved();
        self.note("send", id, bytes.len());
        self.post_off(Datagram { from, to, bytes: bytes.to_vec() });
        Ok(())
    }
}

/// Datagrams on their way through the engine.
pub struct Batch(Vec<(Vec<u8>, Option<Ends>)>);

impl Batch {
    /// Makes an empty one; no datagrams are joined here.
    pub fn new(_offload: Offload) -> Self {
        Self(Vec::new())
    }

    /// Returns how many datagrams it holds.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Reports whether it holds none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Reports whether there is no room for another one.
    pub fn is_full(&self) -> bool {
        self.len() == BATCH
    }

    /// Forgets every datagram.
    pub fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets all but the first so many.
    pub fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Returns the size of a datagram; 0 of one that is not there.
    pub fn size(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |(bytes, _)| bytes.len())
    }

    /// Returns the bytes of a datagram.
    pub fn bytes(&self, at: usize) -> &[u8] {
        self.0.get(at).map_or(&[], |(bytes, _)| bytes)
    }

    /// Returns who sent a datagram.
    pub fn ends(&self, at: usize) -> Option<Ends> {
        self.0.get(at)?.1
    }

    /// Returns the end of the datagrams that follow each other from one on and have its ends.
    pub fn end_of_same(&self, at: usize) -> usize {
        let rest = self.0.get(at..).unwrap_or_default();
        let first = rest.first().map(|(_, ends)| ends);
        at + rest.iter().take_while(|(_, ends)| Some(ends) == first).count()
    }

    /// Adds a datagram.
    pub fn add(&mut self, datagram: &[u8], ends: Ends) {
        self.0.push((datagram.to_vec(), Some(ends)));
    }

    /// Returns no counts.
    pub fn take_joined(&mut self) -> Joined {
        Joined::default()
    }

    /// Says who is to get some datagrams.
    pub fn address(&mut self, range: Range<usize>, ends: Ends) {
        self.0.get_mut(range).into_iter().flatten().for_each(|(_, e)| *e = Some(ends));
    }

    /// Appends what waits at a socket, as much as there is room for or less.
    ///
    /// # Errors
    /// Returns the error that ICMP has reported.
    pub fn receive(&mut self, fd: impl AsFd) -> io::Result<Range<usize>> {
        let from = self.len();
        let room = BATCH.saturating_sub(from);
        let got = try_with(|k| {
            k.call();
            let most = usize::try_from(k.rng.between(1, room.max(1) as u64)).unwrap_or(1);
            let Some(post) = k.post(fd.id()) else { return Err(ErrorKind::NotConnected.into()) };
            if let Some(error) = post.error.take() {
                k.moved();
                return Err(error.into());
            }
            let n = most.min(room).min(post.inbox.len());
            let got: Vec<Datagram> = post.inbox.drain(..n).collect();
            if n > 0 {
                k.moved();
            }
            k.note("receive", fd.id(), n);
            Ok(got)
        })?;
        let sender = |d: &Datagram| Some(Ends { client: d.from, local: None });
        self.0.extend(got.into_iter().map(|d| (sender(&d), d.bytes)).map(|(ends, b)| (b, ends)));
        Ok(from..self.len())
    }

    /// Sends some datagrams on a connected socket. Returns how many went out before an error.
    pub fn forward(
        &self,
        fd: impl AsFd,
        range: Range<usize>,
        front: Front<'_>,
    ) -> (usize, io::Result<()>) {
        self.send(fd, range, front, |_| None)
    }

    /// Sends some datagrams to whom they are addressed.
    pub fn reply(&self, fd: impl AsFd, range: Range<usize>) -> (usize, io::Result<()>) {
        self.send(fd, range, Front::default(), |ends| ends.map(|ends| ends.client))
    }

    fn send(
        &self,
        fd: impl AsFd,
        range: Range<usize>,
        front: Front<'_>,
        to: impl Fn(&Option<Ends>) -> Option<SocketAddr>,
    ) -> (usize, io::Result<()>) {
        let mut sent = 0;
        for (bytes, ends) in self.0.get(range).unwrap_or_default() {
            let rest = bytes.get(front.cut..).unwrap_or_default();
            let bytes = [front.header, rest].concat();
            if let Err(e) = try_with(|k| k.send_post(fd.id(), to(ends), &bytes)) {
                return (sent, Err(e));
            }
            sent += 1;
        }
        (sent, Ok(()))
    }
}

/// Makes a socket whose datagrams go to one address and come from nowhere else.
///
/// # Errors
/// Fails if there is no descriptor, or the address is known to be out of reach.
pub fn connect_datagrams(address: SocketAddr) -> io::Result<Fd> {
    let id = try_with(|k| {
        k.call();
        if k.rng.chance(k.weather.no_descriptors) {
            return Err(Error::other("no descriptor is free"));
        }
        if k.remotes.get(&address) == Some(&Remote::Unreachable) {
            return Err(ErrorKind::NetworkUnreachable.into());
        }
        k.moved();
        // No two sockets ever have the same port.
        let port = 1024 + k.mail.made;
        let id = k.open_post(SocketAddr::new(OURS, port), Some(address));
        k.note("flow", id, usize::from(port));
        Ok(id)
    })?;
    Ok(Fd::new(id))
}

/// Does nothing: each datagram comes alone.
///
/// # Errors
/// None.
pub fn receive_joined(_fd: impl AsFd) -> io::Result<()> {
    Ok(())
}

/// Sends a datagram on a connected socket, behind a header.
///
/// # Errors
/// As [`Batch::forward`].
pub fn pass_datagram(fd: impl AsFd, header: &[u8], bytes: &[u8]) -> io::Result<()> {
    try_with(|k| k.send_post(fd.id(), None, &[header, bytes].concat()))
}

/// Does nothing: there is one worker.
///
/// # Errors
/// None.
pub fn spread_datagrams(_fd: impl AsFd, _spread: &Spread, _is_v6: bool) -> io::Result<()> {
    Ok(())
}

/// Does nothing: every socket has one address.
///
/// # Errors
/// None.
pub fn tell_local_address(_fd: impl AsFd, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}

/// Opens a socket for the engine to which clients send.
pub fn listen_datagrams(address: SocketAddr) -> Fd {
    Fd::new(with(|k| k.open_post(address, None)))
}

/// Sends a datagram of a peer.
pub fn send_datagram(datagram: Datagram) {
    with(|k| {
        k.note("peer sends", usize::from(datagram.to.port()), datagram.bytes.len());
        k.post_off(datagram);
    });
}

/// Takes the next datagram that has come to a peer.
pub fn take_datagram() -> Option<Datagram> {
    with(|k| k.mail.come.pop_front())
}
