//! Encoders that wait for their next body, and how many there are.

use crate::coding::Coding;
use crate::encoder::{Encoder, Levels};

/// The encoders of one worker: how many there are at most, and those that wait for a body.
#[derive(Debug)]
pub struct Pool {
    idle: Vec<Encoder>,
    busy: usize,
    most: usize,
}

/// Encoders that wait at most.
const MOST_IDLE: usize = 4;

impl Pool {
    /// Makes a pool that gives out at most `most` encoders at a time.
    pub fn new(most: usize) -> Self {
        Self { idle: Vec::new(), busy: 0, most }
    }

    /// Gives out an encoder; give it back with [`Pool::finish`] or [`Pool::abandon`]. `None` if as many
    /// are at work as may be, or there is no memory for another: the body then stays as it is.
    pub fn take(&mut self, coding: Coding, levels: Levels) -> Option<Encoder> {
        if self.busy >= self.most {
            return None;
        }
        let fits = |e: &Encoder| e.coding() == coding && e.levels() == levels;
        let kept = self.idle.iter().position(fits).map(|at| self.idle.swap_remove(at));
        let encoder = kept.or_else(|| Encoder::new(coding, levels))?;
        self.busy += 1;
        Some(encoder)
    }

    /// Ends a body: appends its end to `out` and takes the encoder back.
    pub fn finish(&mut self, encoder: Encoder, out: &mut Vec<u8>) {
        let again = encoder.finish(out);
        self.give_back(again);
    }

    /// Takes an encoder back whose body is not completed.
    pub fn abandon(&mut self, encoder: Encoder) {
        self.give_back(encoder.again());
    }

    /// Returns how many are at work.
    pub fn busy(&self) -> usize {
        self.busy
    }

    fn give_back(&mut self, encoder: Option<Encoder>) {
        self.busy = self.busy.saturating_sub(1);
        if let Some(encoder) = encoder.filter(|_| self.idle.len() < MOST_IDLE) {
            self.idle.push(encoder);
        }
    }
}

#[cfg(test)]
#[path = "pool_tests.rs"]
mod tests;
