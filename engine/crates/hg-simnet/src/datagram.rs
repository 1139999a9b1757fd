//! Datagrams: the virtual kernel has none, so that nothing of UDP ever happens.

use crate::{AsFd, Ends, Fd};
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::ops::Range;

/// A batch that stays empty.
#[derive(Default)]
pub struct Batch;

impl Batch {
    /// Returns 0.
    pub fn len(&self) -> usize {
        0
    }

    /// Reports that it is.
    pub fn is_empty(&self) -> bool {
        true
    }

    /// Reports that it is not.
    pub fn is_full(&self) -> bool {
        false
    }

    /// Does nothing.
    pub fn clear(&mut self) {}

    /// Returns 0.
    pub fn size(&self, _at: usize) -> usize {
        0
    }

    /// Returns nothing.
    pub fn ends(&self, _at: usize) -> Option<Ends> {
        None
    }

    /// Does nothing.
    pub fn address(&mut self, _range: Range<usize>, _ends: Ends) {}

    /// Receives nothing.
    ///
    /// # Errors
    /// None.
    pub fn receive(&mut self, _fd: impl AsFd) -> io::Result<Range<usize>> {
        Ok(0..0)
    }

    /// Sends nothing.
    pub fn forward(&self, _fd: impl AsFd, _range: Range<usize>) -> (usize, io::Result<()>) {
        (0, Ok(()))
    }

    /// Sends nothing.
    pub fn reply(&self, _fd: impl AsFd, _range: Range<usize>) -> (usize, io::Result<()>) {
        (0, Ok(()))
    }
}

/// Refuses.
///
/// # Errors
/// Always.
pub fn connect_datagrams(_address: SocketAddr) -> io::Result<Fd> {
    Err(ErrorKind::Unsupported.into())
}

/// Does nothing.
///
/// # Errors
/// None.
pub fn tell_local_address(_fd: impl AsFd, _address: SocketAddr) -> io::Result<()> {
    Ok(())
}
