//! Buffers on their way from workers to one thread, and empty ones back; bounded.

use crossbeam_queue::ArrayQueue;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Size of one buffer.
pub const BUFFER_BYTES: usize = 64 * 1024;
/// Least number of buffers in total.
pub const MIN_BUFFERS: usize = 64;
/// Buffers per worker, when there are many workers.
const BUFFERS_PER_WORKER: usize = 4;

/// The queues that workers and the thread share; `T` has a buffer, and what is to be known of it.
pub struct Buffers<T> {
    full: ArrayQueue<T>,
    free: ArrayQueue<Vec<u8>>,
    allocated: AtomicUsize,
}

impl<T> Buffers<T> {
    /// Makes it for so many workers; buffers are allocated when they are needed.
    pub fn new(workers: usize) -> Self {
        let count = MIN_BUFFERS.max(workers.saturating_mul(BUFFERS_PER_WORKER));
        let (full, free) = (ArrayQueue::new(count), ArrayQueue::new(count));
        Self { full, free, allocated: AtomicUsize::new(0) }
    }

    /// Returns an empty buffer, unless all are in use.
    pub fn take(&self) -> Option<Vec<u8>> {
        if let Some(buffer) = self.free.pop() {
            return Some(buffer);
        }
        let more = |n: usize| (n < self.free.capacity()).then_some(n + 1);
        self.allocated.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some(Vec::with_capacity(BUFFER_BYTES))
    }

    /// Takes a buffer back.
    pub fn give_back(&self, mut buffer: Vec<u8>) {
        buffer.clear();
        buffer.shrink_to(BUFFER_BYTES);
        // There is room for as many buffers as exist.
        let _ = self.free.push(buffer);
    }

    /// Hands a buffer over.
    ///
    /// # Errors
    /// Gives it back if there is no room, which there is for as many as were taken.
    pub fn push(&self, filled: T) -> Result<(), T> {
        self.full.push(filled)
    }

    /// Returns the oldest one that was handed over.
    pub fn pop(&self) -> Option<T> {
        self.full.pop()
    }

    /// Returns how many were handed over and not taken.
    pub fn waiting(&self) -> usize {
        self.full.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_of_many_workers_has_a_buffer_while_others_are_on_their_way() {
        let buffers: Buffers<Vec<u8>> = Buffers::new(100);
        let taken: Vec<_> = std::iter::from_fn(|| buffers.take()).collect();
        assert_eq!(taken.len(), 400);
        taken.into_iter().for_each(|one| buffers.push(one).unwrap());
        buffers.give_back(buffers.pop().unwrap());
        assert!(buffers.take().is_some());
        assert!(buffers.take().is_none());
    }
}
