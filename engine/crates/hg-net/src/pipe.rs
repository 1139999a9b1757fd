//! Bytes from one socket to another without a copy in between: their pages pass through a pipe
//! (splice(2)).

use crate::Flow;
use rustix::io::Errno;
use rustix::pipe::{PipeFlags, SpliceFlags, fcntl_setpipe_size, pipe_with, splice};
use std::io;
use std::os::fd::{AsFd, OwnedFd};

/// A pipe and how many bytes are in it.
#[derive(Debug)]
pub struct Pipe {
    read_end: OwnedFd,
    write_end: OwnedFd,
    held: usize,
}

impl Pipe {
    /// The most bytes that one pipe holds.
    pub const CAPACITY: usize = 256 * 1024;

    /// An empty pipe.
    ///
    /// # Errors
    /// When the kernel gives no descriptors.
    pub fn new() -> io::Result<Self> {
        let (read_end, write_end) = pipe_with(PipeFlags::CLOEXEC | PipeFlags::NONBLOCK)?;
        // Refused beyond the user's share (pipe(7), pipe-user-pages-soft): a smaller pipe works.
        let _ = fcntl_setpipe_size(&write_end, Self::CAPACITY);
        Ok(Self { read_end, write_end, held: 0 })
    }

    /// Reports whether nothing is in it.
    pub fn is_empty(&self) -> bool {
        self.held == 0
    }

    /// Takes at most `limit` bytes (more than 0) from a socket. The pipe must be empty: a full one
    /// could not be told from a socket that has nothing. Fewer bytes than asked for do not say that
    /// the socket has no more.
    ///
    /// # Errors
    /// Connection errors.
    pub fn fill(&mut self, from: impl AsFd, limit: usize) -> io::Result<Flow> {
        debug_assert!(self.is_empty());
        let flow = pass(&from, &self.write_end, limit.min(Self::CAPACITY))?;
        if let Flow::Bytes(n) = flow {
            self.held += n;
        }
        Ok(flow)
    }

    /// Moves its bytes to a socket, as many as that accepts. The pipe must not be empty; the process
    /// must ignore SIGPIPE.
    ///
    /// # Errors
    /// Connection errors.
    pub fn drain(&mut self, to: impl AsFd) -> io::Result<Flow> {
        let flow = pass(&self.read_end, &to, self.held)?;
        if let Flow::Bytes(n) = flow {
            self.held = self.held.saturating_sub(n);
        }
        Ok(flow)
    }
}

fn pass(from: impl AsFd, to: impl AsFd, len: usize) -> io::Result<Flow> {
    let flags = SpliceFlags::MOVE | SpliceFlags::NONBLOCK;
    loop {
        match splice(&from, None, &to, None, len, flags) {
            Ok(0) => return Ok(Flow::End),
            Ok(n) => return Ok(Flow::Bytes(n)),
            Err(Errno::AGAIN) => return Ok(Flow::Blocked),
            Err(Errno::INTR) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read, Write};
    use std::net::Shutdown;
    use std::os::unix::net::UnixStream;

    #[test]
    fn bytes_pass_in_order_and_an_end_is_seen() {
        let (mut client, from) = UnixStream::pair().unwrap();
        let (to, mut server) = UnixStream::pair().unwrap();
        from.set_nonblocking(true).unwrap();
        let mut pipe = Pipe::new().unwrap();
        assert_eq!(pipe.fill(&from, 100).unwrap(), Flow::Blocked);
        client.write_all(b"hello world").unwrap();
        assert_eq!(pipe.fill(&from, 5).unwrap(), Flow::Bytes(5));
        assert!(!pipe.is_empty());
        assert_eq!(pipe.drain(&to).unwrap(), Flow::Bytes(5));
        assert!(pipe.is_empty());
        // A process that another test starts may hold the socket too, until its exec.
        client.shutdown(Shutdown::Write).unwrap();
        assert_eq!(pipe.fill(&from, 100).unwrap(), Flow::Bytes(6));
        assert_eq!(pipe.drain(&to).unwrap(), Flow::Bytes(6));
        assert_eq!(pipe.fill(&from, 100).unwrap(), Flow::End);
        drop(to);
        let mut all = Vec::new();
        server.read_to_end(&mut all).unwrap();
        assert_eq!(all, b"hello world");
    }

    #[test]
    fn what_a_socket_does_not_take_stays_in_the_pipe() {
        let (mut client, from) = UnixStream::pair().unwrap();
        let (to, mut server) = UnixStream::pair().unwrap();
        to.set_nonblocking(true).unwrap();
        let writer = std::thread::spawn(move || client.write_all(&vec![b'x'; 4 << 20]));
        let mut pipe = Pipe::new().unwrap();
        let (mut filled, mut drained) = (0, 0);
        loop {
            match pipe.fill(&from, usize::MAX).unwrap() {
                Flow::Bytes(n) => filled += n,
                Flow::Blocked => {
                    std::thread::yield_now();
                    continue;
                }
                Flow::End => panic!("the other side took everything"),
            }
            while let Ok(Flow::Bytes(n)) = pipe.drain(&to)
                && n > 0
            {
                drained += n;
                if pipe.is_empty() {
                    break;
                }
            }
            if !pipe.is_empty() {
                break;
            }
        }
        assert_eq!(pipe.drain(&to).unwrap(), Flow::Blocked);
        server.set_nonblocking(true).unwrap();
        let mut buffer = vec![0; 1 << 20];
        let mut got = 0;
        while let Ok(n) = server.read(&mut buffer) {
            got += n;
        }
        assert_eq!(got, drained);
        assert!(matches!(pipe.drain(&to).unwrap(), Flow::Bytes(_)));
        assert!(filled > drained);
        drop((from, to, pipe));
        let _ = writer.join();
    }
}
