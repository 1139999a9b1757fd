//! Pipes between sockets.

use crate::Flow;
use crate::calls::{AsFd, try_with};
use crate::kernel::with;
use std::io;

/// A pipe and what is in it.
#[derive(Debug)]
pub struct Pipe {
    held: Vec<u8>,
}

impl Pipe {
    /// The most bytes that one pipe holds.
    pub const CAPACITY: usize = real::Pipe::CAPACITY;

    /// An empty pipe.
    ///
    /// # Errors
    /// Fails if there is no descriptor.
    pub fn new() -> io::Result<Self> {
        try_with(|k| {
            k.call();
            let refused = k.weather.no_descriptors;
            if k.rng.chance(refused) {
                return Err(io::Error::other("no descriptor is free"));
            }
            k.figures.open += 1;
            Ok(Self { held: Vec::new() })
        })
    }

    /// Reports whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.held.is_empty()
    }

    /// Takes at most `limit` bytes from a socket; fewer do not say that it has no more.
    ///
    /// # Errors
    /// Connection errors.
    pub fn fill(&mut self, from: impl AsFd, limit: usize) -> io::Result<Flow> {
        debug_assert!(self.is_empty());
        let (held, flow) = try_with(|k| {
            k.call();
            let most = limit.min(Self::CAPACITY);
            let less = usize::try_from(k.rng.between(1, most.max(1) as u64)).unwrap_or(1);
            let most = if k.rng.chance(300) { less } else { most };
            let (bytes, flow) = k.receive(from.id(), most)?;
            k.note("fill", from.id(), bytes.len());
            if flow != Flow::Blocked {
                k.moved();
            }
            Ok((bytes, flow))
        })?;
        self.held = held;
        Ok(flow)
    }

    /// Moves its bytes to a socket, as many as that accepts. The pipe must not be empty.
    ///
    /// # Errors
    /// Connection errors.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<Flow> {
        let flow = try_with(|k| k.send_from(to.id(), &self.held))?;
        if let Flow::Bytes(n) = flow {
            self.held.drain(..n.min(self.held.len()));
        }
        Ok(flow)
    }
}

impl Drop for Pipe {
    fn drop(&mut self) {
        with(|k| k.figures.open = k.figures.open.saturating_sub(1));
    }
}
