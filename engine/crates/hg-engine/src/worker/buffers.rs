//! A worker's buffers. Idle connections hold none: there is one scratch buffer to read into, and a
//! connection whose peer is slow keeps the buffer its bytes are in (nothing is copied) while the
//! worker takes another.

use hg_net::{AsFd, Flow, Pipe};
use std::io;
use std::ops::Range;

/// Room kept before what is read, for a chunk header.
pub(crate) const RESERVE: usize = 32;
/// Room kept after it, for a chunk's end and the last chunk.
pub(crate) const TAIL: usize = 32;
/// Largest single read.
pub(crate) const READ_MAX: usize = 512 * 1024;
/// Largest read when many connections hold buffers already.
const READ_FEW: usize = 64 * 1024;
/// Largest read when very many do.
const READ_MIN: usize = 16 * 1024;
const BIG: usize = RESERVE + READ_MAX + TAIL;
/// Number of spare big buffers kept, and of spare pipes.
const SPARE: usize = 4;
/// Number of connections that may hold a big buffer or a pipe before others get less.
const MANY: usize = 64;
/// Bytes that peers have not taken with which a worker collects no more of answers.
const ANSWERS_MOST: usize = 32 * 1024 * 1024;

/// Big buffers and pipes, recycled.
#[derive(Default)]
pub(crate) struct BufferPool {
    spare: Vec<Vec<u8>>,
    #[expect(clippy::vec_box, reason = "a connection has room for a pointer, not for a pipe")]
    pipes: Vec<Box<Pipe>>,
    /// Big buffers and pipes held by connections.
    held: usize,
    /// Bytes that connections keep because their peers have not taken them.
    pub(crate) kept: usize,
    /// Bytes of bodies that are collected before the worker asks their upstream.
    pub(crate) collected: usize,
    /// Memory of answers that clients over HTTP/2 have not taken.
    pub(crate) pending: usize,
    /// The amount of it that there may be before the worker looks again for clients to close.
    pub(crate) endured: usize,
    /// Memory of requests' bodies that endpoints over HTTP/2 have not taken.
    pub(crate) uploads: usize,
}

impl BufferPool {
    /// Returns a buffer of full length.
    pub(crate) fn take(&mut self) -> Vec<u8> {
        self.spare.pop().unwrap_or_else(|| vec![0; BIG])
    }

    /// Takes a buffer back; drops it unless it is a big one and there is room.
    pub(crate) fn put(&mut self, buffer: Vec<u8>) {
        if buffer.len() == BIG && self.spare.len() < SPARE {
            self.spare.push(buffer);
        }
    }

    /// Returns an empty pipe; `None` if many connections hold one, or the kernel gives none. Its
    /// caller then reads bytes.
    pub(crate) fn take_pipe(&mut self) -> Option<Box<Pipe>> {
        if self.held >= MANY {
            return None;
        }
        self.pipes.pop().or_else(|| Pipe::new().ok().map(Box::new))
    }

    /// Takes a pipe back; closes one that is not empty.
    pub(crate) fn put_pipe(&mut self, pipe: Box<Pipe>) {
        if pipe.is_empty() && self.pipes.len() < SPARE {
            self.pipes.push(pipe);
        }
    }

    /// Notes that a request on its way to an endpoint over HTTP/2 holds more, or less, than before.
    pub(crate) fn note_upload(&mut self, before: usize, after: usize) {
        self.uploads = (self.uploads + after).saturating_sub(before);
    }

    /// Returns the number of big buffers and pipes that connections hold.
    pub(super) fn held(&self) -> usize {
        self.held
    }

    /// Returns the memory that requests' bodies take here.
    pub(crate) fn bodies(&self) -> usize {
        self.collected.saturating_add(self.uploads)
    }

    /// Reports whether more of answers may be collected here than their clients take. Far below what
    /// closes connections of HTTP/2 whose clients have stalled.
    pub(crate) fn may_collect_answers(&self) -> bool {
        self.kept.saturating_add(self.pending) < ANSWERS_MOST
    }

    /// Returns how much one connection may read at once, which bounds all that slow peers hold.
    pub(crate) fn read_limit(&self) -> usize {
        match self.held {
            0..MANY => READ_MAX,
            MANY..256 => READ_FEW,
            _ => READ_MIN,
        }
    }
}

/// Bytes that a connection has accepted and its socket has not taken.
#[derive(Default)]
pub(crate) struct Out {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    adopted: bool,
    /// The number of bytes that its pool counts of it.
    noted: usize,
    /// Never empty; its bytes follow the buffer's, and nothing is appended after them.
    pipe: Option<Box<Pipe>>,
}

impl Out {
    pub(crate) fn is_empty(&self) -> bool {
        self.start == self.end && self.pipe.is_none()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.buffer.get(self.start..self.end).unwrap_or_default()
    }

    /// Returns how many bytes wait; `None` if more cannot be appended.
    pub(crate) fn waiting(&self) -> Option<usize> {
        self.pipe.is_none().then_some(self.end - self.start)
    }

    /// Writes some of it with one call. Must not be empty.
    pub(crate) fn write(&mut self, fd: impl AsFd, pool: &mut BufferPool) -> io::Result<Flow> {
        if self.start < self.end {
            let flow = hg_net::write(fd, self.bytes())?;
            if let Flow::Bytes(n) = flow {
                self.advance(n, pool);
            }
            return Ok(flow);
        }
        let Some(mut pipe) = self.pipe.take() else {
            return Ok(Flow::Blocked);
        };
        pool.held -= 1;
        let flow = pipe.drain(fd)?;
        self.keep_pipe(pipe, pool);
        Ok(flow)
    }

    /// Keeps what a pipe still holds; recycles an empty one.
    pub(crate) fn keep_pipe(&mut self, pipe: Box<Pipe>, pool: &mut BufferPool) {
        debug_assert!(self.pipe.is_none());
        if pipe.is_empty() {
            pool.put_pipe(pipe);
        } else {
            pool.held += 1;
            self.pipe = Some(pipe);
        }
    }

    /// Appends a copy of the bytes.
    pub(crate) fn push(&mut self, bytes: &[u8], pool: &mut BufferPool) {
        if !bytes.is_empty() {
            debug_assert!(self.pipe.is_none());
            self.append(bytes);
            self.note(pool);
        }
    }

    fn append(&mut self, bytes: &[u8]) {
        if self.buffer.len() == BIG {
            let room = BIG - self.end;
            let fits = bytes.len().min(room);
            let (now, later) = bytes.split_at(fits);
            if later.is_empty() {
                if let Some(to) = self.buffer.get_mut(self.end..self.end + fits) {
                    to.copy_from_slice(now);
                    self.end += fits;
                }
                return;
            }
            self.buffer.truncate(self.end);
        }
        self.buffer.truncate(self.end);
        // Bytes move once for as many that were written before them.
        if self.start >= self.end - self.start {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        self.buffer.extend_from_slice(bytes);
        self.end = self.buffer.len();
    }

    /// Takes over a whole buffer, of which `range` is left to write. Only for an empty `Out`.
    pub(crate) fn adopt(
        &mut self,
        scratch: &mut Vec<u8>,
        range: Range<usize>,
        pool: &mut BufferPool,
    ) {
        debug_assert!(self.is_empty());
        let old = std::mem::replace(&mut self.buffer, std::mem::replace(scratch, pool.take()));
        pool.put(old);
        pool.held += 1;
        self.adopted = true;
        self.start = range.start;
        self.end = range.end;
        self.note(pool);
    }

    /// Has the pool count what waits now.
    fn note(&mut self, pool: &mut BufferPool) {
        let now = self.end - self.start;
        pool.kept = (pool.kept + now).saturating_sub(self.noted);
        self.noted = now;
    }

    /// Removes `n` written bytes; recycles the buffer once all are written.
    fn advance(&mut self, n: usize, pool: &mut BufferPool) {
        self.start += n;
        if self.start == self.end {
            self.release_buffer(pool);
        }
        self.note(pool);
    }

    /// Drops what is left.
    pub(crate) fn release(&mut self, pool: &mut BufferPool) {
        pool.held -= usize::from(self.pipe.take().is_some());
        self.release_buffer(pool);
        self.note(pool);
    }

    fn release_buffer(&mut self, pool: &mut BufferPool) {
        let buffer = std::mem::take(&mut self.buffer);
        pool.held -= usize::from(std::mem::take(&mut self.adopted));
        pool.put(buffer);
        self.start = 0;
        self.end = 0;
    }
}

/// Most that a [`Pending`] without bytes keeps for the next ones.
const KEPT: usize = 16 * 1024;

/// Bytes of one direction of a stream that its session has not taken.
#[derive(Default)]
pub(crate) struct Pending {
    bytes: Vec<u8>,
    taken: usize,
}

impl Pending {
    pub(crate) fn is_empty(&self) -> bool {
        self.taken == self.bytes.len()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        self.bytes.get(self.taken..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.taken
    }

    /// Returns the memory that it takes, of which bytes that were taken are a part until the last one
    /// is; 0 for an empty one, which keeps at most [`KEPT`].
    pub(crate) fn memory(&self) -> usize {
        if self.is_empty() { 0 } else { self.bytes.capacity() }
    }

    pub(crate) fn hold(&mut self, bytes: &[u8]) {
        // Bytes move once for as many that were taken before them.
        if self.taken >= self.len() {
            self.bytes.drain(..self.taken);
            self.taken = 0;
        }
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn took(&mut self, bytes: usize) {
        self.taken += bytes;
        if self.taken >= self.bytes.len() {
            self.bytes.clear();
            self.taken = 0;
            if self.bytes.capacity() > KEPT {
                self.bytes = Vec::new();
            }
        }
    }

    /// Empties it; keeps a small allocation.
    pub(crate) fn recycle(&mut self) -> Self {
        let mut bytes = std::mem::take(&mut self.bytes);
        bytes.clear();
        bytes.shrink_to(4096);
        Self { bytes, taken: 0 }
    }
}

#[cfg(test)]
mod tests;
