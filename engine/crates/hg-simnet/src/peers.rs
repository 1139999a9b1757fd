//! The other side: whoever talks to the engine, played by the simulator.

use crate::Flow;
use crate::calls::{Fd, open_listener};
use crate::kernel::{Coming, Figures, Kernel, Remote, Weather, install, with};
use crate::tcp::{Owner, State};
use std::cell::RefCell;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};

/// An event for the peers. Sockets are theirs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Happening {
    /// The engine accepted, or will.
    Connected(usize),
    /// There is data, an end or a reset.
    Readable(usize),
    /// There is room again.
    Writable(usize),
    /// The engine connected to a remote's port.
    Accepted {
        /// The port.
        port: u16,
        /// The remote's socket.
        socket: usize,
    },
    /// A timer's time has come.
    Timer(u64),
    /// Datagrams have come; [`crate::take_datagram`] returns them.
    Datagrams,
}

/// Everyone who talks to the engine.
pub trait Peers {
    /// Acts on what happened.
    ///
    /// # Errors
    /// Returns the fault of the engine, or the end of the run.
    fn on(&mut self, what: Happening) -> io::Result<()>;
}

thread_local! {
    static PEERS: RefCell<Option<Box<dyn Peers>>> = const { RefCell::new(None) };
}

/// Starts this thread's kernel.
pub fn begin(seed: u64, weather: Weather, traced: bool) {
    install(Some(Kernel::new(seed, weather, traced)));
}

/// Sets who answers. Call it after [`begin`].
pub fn play(peers: Box<dyn Peers>) {
    PEERS.with(|cell| *cell.borrow_mut() = Some(peers));
}

/// Ends this thread's kernel and its peers. Returns the trace, if it was kept.
pub fn end() -> Vec<String> {
    let peers = PEERS.with(|cell| cell.borrow_mut().take());
    drop(peers);
    install(None).map(|mut k| k.take_lines()).unwrap_or_default()
}

/// Tells the peers what happened. Reports whether anything did.
pub(crate) fn hand_on() -> io::Result<bool> {
    let mut any = false;
    while let Some(what) = with(|k| k.happened.pop_front()) {
        any = true;
        PEERS.with(|cell| match &mut *cell.borrow_mut() {
            Some(peers) => peers.on(what),
            None => Ok(()),
        })?;
    }
    Ok(any)
}

/// The result of receiving at a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Received {
    /// So many bytes.
    Bytes(usize),
    /// Nothing now.
    Nothing,
    /// The end of the stream.
    End,
    /// A reset, or a refused connection.
    Reset,
}

/// Begins a connection to a listener of the engine.
pub fn dial(from: Ipv4Addr, port: u16) -> usize {
    with(|k| {
        let (id, far) = k.pair(Owner::Peer, Owner::Engine, State::Connecting);
        if let Some(s) = k.socket(far) {
            s.calls = u64::from(port) | u64::from(u32::from_be_bytes(from.octets())) << 32;
        }
        let us = k.latency();
        k.after(us, Coming::Call(id));
        id
    })
}

/// Opens a listening socket for the engine.
pub fn listen(address: SocketAddr) -> Fd {
    open_listener(address)
}

/// Says how a remote address answers from now on.
pub fn remote(address: SocketAddr, how: Remote) {
    with(|k| {
        k.remotes.insert(address, how);
    });
}

/// Appends at most `most` bytes to `to`.
pub fn receive(socket: usize, to: &mut Vec<u8>, most: usize) -> Received {
    let got = with(|k| {
        let got = k.receive(socket, most);
        k.note("peer reads", socket, got.as_ref().map_or(0, |(bytes, _)| bytes.len()));
        Some(got)
    });
    match got {
        Some(Ok((bytes, Flow::Bytes(n)))) => {
            to.extend_from_slice(&bytes);
            Received::Bytes(n)
        }
        Some(Ok((_, Flow::Blocked))) => Received::Nothing,
        Some(Ok((_, Flow::End))) => Received::End,
        Some(Err(_)) | None => Received::Reset,
    }
}

/// Sends; returns how many bytes were taken, nothing if the connection is broken.
pub fn send(socket: usize, bytes: &[u8]) -> Option<usize> {
    if bytes.is_empty() {
        return Some(0);
    }
    with(|k| {
        let sent = k.send(socket, bytes);
        k.note("peer writes", socket, bytes.len());
        match sent {
            Ok(Flow::Bytes(n)) => Some(n),
            Ok(_) => Some(0),
            Err(_) => None,
        }
    })
}

/// Ends a peer's half.
pub fn finish(socket: usize) {
    with(|k| {
        k.note("peer ends", socket, 0);
        k.finish(socket);
    });
}

/// Closes a peer's socket.
pub fn close(socket: usize) {
    with(|k| {
        k.note("peer closes", socket, 0);
        k.close(socket, false);
    });
}

/// Closes a peer's socket with a reset.
pub fn abort(socket: usize) {
    with(|k| {
        k.note("peer resets", socket, 0);
        k.close(socket, true);
    });
}

/// Sets a timer.
pub fn timer(after_us: u64, tag: u64) {
    with(|k| k.after(after_us, Coming::Timer(tag)));
}

/// Returns the virtual time, microseconds.
pub fn now_us() -> u64 {
    with(|k| k.now)
}

/// Adds a line to the trace.
pub fn trace(line: impl FnOnce() -> String) {
    with(|k| {
        if k.is_traced() {
            k.tell(line());
        }
    });
}

/// Returns what the run has used by now.
pub fn figures() -> Figures {
    with(|k| k.figures)
}
