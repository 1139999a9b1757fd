//! A body in one coding, or in several, one over the other.

use crate::coding::Readable;
use crate::decoder::{Bound, Decoder, Fault, Fed, dense};

/// Most codings of one body.
pub const MOST_LAYERS: usize = 3;

/// Bytes that wait between two codings.
const BETWEEN: usize = 16 * 1024;

/// Reads one body through all of its codings. [`Bound`] holds for each of them, and from the bytes
/// that come to those that leave.
#[derive(Debug)]
pub struct Layers {
    /// Those over the innermost one; the one that was applied last comes first.
    outer: Vec<Outer>,
    inner: Decoder,
    bound: Bound,
    taken: u64,
    made: u64,
}

/// A coding over another one.
#[derive(Debug)]
struct Outer {
    decoder: Decoder,
    /// The bytes that it has made and the next one has not taken.
    between: Vec<u8>,
}

impl Layers {
    /// Makes the decoders of a body whose codings were applied in this order. `None` if there is
    /// none, or more than [`MOST_LAYERS`], or no memory for them.
    pub fn new(
        mut codings: impl DoubleEndedIterator<Item = Readable>,
        bound: Bound,
    ) -> Option<Self> {
        let inner = Decoder::new(codings.next()?, bound)?;
        let mut outer = Vec::new();
        while let Some(coding) = codings.next_back() {
            if outer.len() + 1 == MOST_LAYERS {
                return None;
            }
            outer.push(Outer { decoder: Decoder::new(coding, bound)?, between: Vec::new() });
        }
        Some(Self { outer, inner, bound, taken: 0, made: 0 })
    }

    /// Decodes a part of a body and appends at most `room` bytes to `out`; no coding makes more than
    /// `room` bytes, and some, in one call.
    ///
    /// # Errors
    /// Returns why the body is refused; `out` then has what came before.
    pub fn feed(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> Result<Fed, Fault> {
        if self.outer.is_empty() {
            return self.inner.feed(input, room, out);
        }
        let before = out.len();
        let fed = through(&mut self.outer, &mut self.inner, input, room, out)?;
        self.taken += fed.consumed as u64;
        self.made += (out.len() - before) as u64;
        if dense(self.taken, self.made, self.bound.ratio) { Err(Fault::TooDense) } else { Ok(fed) }
    }

    /// Says that no more input comes.
    ///
    /// # Errors
    /// Returns [`Fault::Cut`] if the body is not complete.
    pub fn end(&self) -> Result<(), Fault> {
        for outer in &self.outer {
            outer.decoder.end()?;
        }
        self.inner.end()
    }

    /// Returns how much memory it takes, at most: windows as far as they are filled.
    pub fn held(&self) -> usize {
        let outer: usize = self.outer.iter().map(|outer| outer.decoder.held() + BETWEEN).sum();
        outer + self.inner.held()
    }
}

/// Feeds the first of these codings, and what it makes to the others.
fn through(
    outer: &mut [Outer],
    inner: &mut Decoder,
    input: &[u8],
    room: usize,
    out: &mut Vec<u8>,
) -> Result<Fed, Fault> {
    let [first, rest @ ..] = outer else {
        return inner.feed(input, room, out);
    };
    let (start, mut consumed, mut made) = (out.len(), 0, 0);
    loop {
        let (had, before) = (first.between.len(), out.len());
        let free = BETWEEN.saturating_sub(had);
        let input = input.get(consumed..).unwrap_or_default();
        let fed = first.decoder.feed(input, free, &mut first.between)?;
        let grown = first.between.len() - had;
        (consumed, made) = (consumed + fed.consumed, made + grown);
        let left = room.saturating_sub(before - start);
        let below = through(rest, inner, &first.between, left, out)?;
        first.between.drain(..below.consumed);
        // What the others make of it may be little: that is no reason to go on for long.
        if below.is_full || made >= room {
            return Ok(Fed { consumed, done: false, is_full: true });
        }
        if fed.consumed + grown + below.consumed == 0 && out.len() == before {
            let done = fed.done && below.done;
            return Ok(Fed { consumed, done, is_full: false });
        }
    }
}

#[cfg(test)]
#[path = "layers_tests.rs"]
mod tests;
