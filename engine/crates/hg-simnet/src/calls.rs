//! The system calls of the engine.

use crate::kernel::{Kernel, Listener, Object, with};
use crate::tcp::State;
use crate::{Address, Flow};
use std::collections::VecDeque;
use std::io::{self, Error, ErrorKind, IoSlice};
use std::net::SocketAddr;
use std::sync::Arc;

/// A socket that is closed when this is dropped.
#[derive(Debug)]
pub struct Fd(usize);

impl Fd {
    pub(crate) fn new(id: usize) -> Self {
        with(|k| k.figures.open += 1);
        Self(id)
    }
}

impl Drop for Fd {
    fn drop(&mut self) {
        with(|k| {
            k.figures.open = k.figures.open.saturating_sub(1);
            k.note("close", self.0, 0);
            k.release(self.0, false);
        });
    }
}

/// A type that has a descriptor.
pub trait AsFd {
    /// Returns the descriptor's number.
    fn id(&self) -> usize;
}

impl AsFd for Fd {
    fn id(&self) -> usize {
        self.0
    }
}

impl<T: AsFd> AsFd for &T {
    fn id(&self) -> usize {
        (**self).id()
    }
}

impl<T: AsFd> AsFd for Arc<T> {
    fn id(&self) -> usize {
        (**self).id()
    }
}

impl Kernel {
    fn release(&mut self, id: usize, reset: bool) {
        self.moved();
        if self.listener(id).is_some() {
            let waiting = self.listener(id).map(|l| std::mem::take(&mut l.queue));
            for (end, _) in waiting.unwrap_or_default() {
                self.close(end, true);
            }
            if let Some(o) = self.objects.get_mut(id) {
                *o = None;
            }
            return;
        }
        if self.close_post(id) {
            return;
        }
        self.close(id, reset);
    }

    fn descriptor_is_refused(&mut self) -> bool {
        let per_mille = self.weather.no_descriptors;
        self.rng.chance(per_mille)
    }

    fn receive_into(&mut self, id: usize, buf: &mut [u8]) -> io::Result<Flow> {
        self.call();
        let (bytes, flow) = self.receive(id, buf.len())?;
        if let Some(space) = buf.get_mut(..bytes.len()) {
            space.copy_from_slice(&bytes);
        }
        if flow != Flow::Blocked {
            self.moved();
        }
        self.note("read", id, bytes.len());
        Ok(flow)
    }

    pub(crate) fn send_from(&mut self, id: usize, bytes: &[u8]) -> io::Result<Flow> {
        self.call();
        let flow = self.send(id, bytes)?;
        if let Flow::Bytes(n) = flow {
            self.moved();
            self.note("write", id, n);
        }
        Ok(flow)
    }
}

/// Calls the kernel; without one every call fails.
pub(crate) fn try_with<T>(call: impl FnOnce(&mut Kernel) -> io::Result<T>) -> io::Result<T> {
    with(|k| Some(call(k))).unwrap_or_else(|| Err(Error::other("no virtual kernel")))
}

/// Reads into `buf`, which must not be empty.
///
/// # Errors
/// Connection errors.
pub fn read(fd: impl AsFd, buf: &mut [u8]) -> io::Result<Flow> {
    try_with(|k| k.receive_into(fd.id(), buf))
}

/// Writes from `buf`, which must not be empty.
///
/// # Errors
/// Connection errors.
pub fn write(fd: impl AsFd, buf: &[u8]) -> io::Result<Flow> {
    try_with(|k| k.send_from(fd.id(), buf))
}

/// Writes several parts, not all of them empty, in one call.
///
/// # Errors
/// Connection errors.
pub fn write_parts(fd: impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<Flow> {
    let all: Vec<u8> = parts.iter().flat_map(|p| p.iter().copied()).collect();
    write(fd, &all)
}

/// Accepts one connection; `None` if none waits.
///
/// # Errors
/// Fails if there is no descriptor.
pub fn accept(listener: impl AsFd) -> io::Result<Option<(Fd, SocketAddr)>> {
    let taken = try_with(|k| {
        k.call();
        if k.descriptor_is_refused() {
            return Err(Error::other("no descriptor is free"));
        }
        let next = k.listener(listener.id()).and_then(|l| l.queue.pop_front());
        if let Some((id, _)) = next {
            k.moved();
            k.note("accept", id, 0);
        }
        Ok(next)
    })?;
    Ok(taken.map(|(id, peer)| (Fd::new(id), peer)))
}

/// Sets what accepted connections inherit: here nothing.
///
/// # Errors
/// None.
pub fn tune_listener(
    _fd: impl AsFd,
    _keepalive_ms: u64,
    _backlog: u32,
    _fast_open: u32,
) -> io::Result<()> {
    Ok(())
}

/// Makes a listener drop every further connection.
///
/// # Errors
/// None.
pub fn drop_new_connections(fd: impl AsFd) -> io::Result<()> {
    set_deaf(fd.id(), true);
    Ok(())
}

/// Undoes [`drop_new_connections`].
///
/// # Errors
/// None.
pub fn take_new_connections(fd: impl AsFd) -> io::Result<()> {
    set_deaf(fd.id(), false);
    Ok(())
}

fn set_deaf(id: usize, deaf: bool) {
    with(|k| {
        if let Some(l) = k.listener(id) {
            l.deaf = deaf;
        }
    });
}

/// Begins to connect. The socket becomes writable, or closed if that failed; [`take_error`] then
/// returns why.
///
/// # Errors
/// Fails if there is no descriptor, or the address is known to be out of reach.
pub fn connect(address: &Address) -> io::Result<Fd> {
    let id = try_with(|k| {
        k.call();
        if k.descriptor_is_refused() {
            return Err(Error::other("no descriptor is free"));
        }
        k.moved();
        let inet = Kernel::inet(address).ok_or(ErrorKind::Unsupported)?;
        k.call_remote(inet)
    })?;
    Ok(Fd::new(id))
}

/// Makes a socket that stays without a peer.
///
/// # Errors
/// Fails if there is no descriptor.
pub fn unconnected() -> io::Result<Fd> {
    let id = try_with(|k| {
        k.call();
        if k.descriptor_is_refused() {
            return Err(Error::other("no descriptor is free"));
        }
        Ok(k.add(Object::Listener(nowhere())))
    })?;
    Ok(Fd::new(id))
}

/// Returns the address to which the peer of an accepted connection connected; here always the same.
///
/// # Errors
/// None.
pub fn local_address(_fd: impl AsFd) -> io::Result<SocketAddr> {
    Ok(SocketAddr::from(([127, 0, 0, 1], 80)))
}

/// Takes the pending error of a socket: how a connect ended.
///
/// # Errors
/// The pending error itself.
pub fn take_error(fd: impl AsFd) -> io::Result<()> {
    let error = with(|k| {
        k.call();
        k.socket(fd.id()).and_then(|s| s.error.take())
    });
    error.map_or(Ok(()), |e| Err(e.into()))
}

/// Reports whether an idle connection has bytes or an end waiting.
pub fn is_readable_or_closed(fd: impl AsFd) -> bool {
    with(|k| {
        k.call();
        k.socket(fd.id()).is_none_or(|s| s.is_readable())
    })
}

/// Ends our half of the connection.
pub fn shutdown_write(fd: impl AsFd) {
    with(|k| {
        k.call();
        k.moved();
        k.note("shutdown", fd.id(), 0);
        k.finish(fd.id());
    });
}

/// Closes with a reset instead of an end of stream.
pub fn close_with_reset(fd: Fd) {
    with(|k| {
        k.call();
        k.note("reset", fd.0, 0);
        if k.socket(fd.0).is_some_and(|s| s.state == State::Open) {
            k.release(fd.0, true);
        }
    });
    drop(fd);
}

/// Returns a listener that nobody knows.
fn nowhere() -> Listener {
    let address = SocketAddr::from(([0, 0, 0, 0], 0));
    Listener { address, queue: VecDeque::new(), token: None, deaf: false }
}

/// Makes a listening socket of the engine.
pub(crate) fn open_listener(address: SocketAddr) -> Fd {
    let listener = Listener { address, ..nowhere() };
    let id = with(|k| {
        let id = k.add(Object::Listener(listener));
        k.watched.listeners.push(id);
        id
    });
    Fd::new(id)
}
