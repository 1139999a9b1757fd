//! Encoders that wait for their next body, and how many are at work.

use crate::coding::Coding;
use crate::encoder::{Encoder, Levels};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

/// The encoders of one worker: how many there are at most, and those that wait for a body.
#[derive(Debug)]
pub struct Pool {
    idle: Vec<Encoder>,
    busy: Arc<AtomicUsize>,
    most: usize,
}

/// Encoders that wait at most.
const MOST_IDLE: usize = 4;

impl Pool {
    /// Makes a pool that gives out at most `most` encoders at a time.
    pub fn new(most: usize) -> Self {
        Self { idle: Vec::new(), busy: Arc::default(), most }
    }

    /// Gives out an encoder until it is dropped. `None` if as many are at work as may be, or there
    /// is no memory for another: the body then stays as it is.
    pub fn take(&mut self, coding: Coding, levels: Levels) -> Option<Leased> {
        if self.busy() >= self.most {
            return None;
        }
        let fits = |e: &Encoder| e.coding() == coding && e.levels() == levels;
        let kept = self.idle.iter().position(fits).map(|at| self.idle.swap_remove(at));
        let encoder = kept.or_else(|| Encoder::new(coding, levels))?;
        self.busy.fetch_add(1, Relaxed);
        Some(Leased { encoder: Some(encoder), busy: Arc::clone(&self.busy) })
    }

    /// Ends a body: appends its end to `out` and keeps the encoder for another one.
    pub fn finish(&mut self, mut leased: Leased, out: &mut Vec<u8>) {
        let again = leased.encoder.take().and_then(|encoder| encoder.finish(out));
        if let Some(encoder) = again.filter(|_| self.idle.len() < MOST_IDLE) {
            self.idle.push(encoder);
        }
    }

    /// Returns how many are at work.
    pub fn busy(&self) -> usize {
        self.busy.load(Relaxed)
    }
}

/// An encoder of a [`Pool`], which counts it until it is dropped.
#[derive(Debug)]
pub struct Leased {
    /// There until its body ends.
    encoder: Option<Encoder>,
    busy: Arc<AtomicUsize>,
}

impl Leased {
    /// Does as [`Encoder::write`].
    pub fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.encoder.iter_mut().for_each(|encoder| encoder.write(input, out));
    }

    /// Does as [`Encoder::flush`].
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        self.encoder.iter_mut().for_each(|encoder| encoder.flush(out));
    }
}

impl Drop for Leased {
    fn drop(&mut self) {
        self.busy.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
