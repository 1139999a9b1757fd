//! A body's decoder, which stops at a bound: a small body can hold a large one.

use crate::coding::{Coding, Readable};
use crate::{br, gzip, zst};

/// The limits of a decoded body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bound {
    /// Bytes of the decoded body.
    pub bytes: u64,
    /// Decoded bytes for each byte that came, counted from [`RATIO_FROM`] decoded bytes on: the
    /// beginning of any body packs well.
    pub ratio: u32,
}

/// Decoded bytes from which on [`Bound::ratio`] counts.
pub const RATIO_FROM: u64 = 64 * 1024;

impl Default for Bound {
    /// 1 MiB, and 100 bytes for each.
    fn default() -> Self {
        Self { bytes: 1024 * 1024, ratio: 100 }
    }
}

/// The reason why a body is not decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// It is not what its coding says.
    Corrupt,
    /// It goes on after its end.
    Trailing,
    /// It ends before its end.
    Cut,
    /// It is larger than [`Bound::bytes`].
    TooLarge,
    /// It grows by more than [`Bound::ratio`].
    TooDense,
}

/// The result of one call of [`Decoder::feed`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Fed {
    /// Bytes of the input that were used; call again with the others once there is room.
    pub consumed: usize,
    /// The body is complete, unless another member follows.
    pub done: bool,
    /// There was no room for more: call again, also without input.
    pub is_full: bool,
}

/// The result of one call of a coding's decoder.
pub(crate) struct Step {
    pub(crate) consumed: usize,
    pub(crate) made: usize,
    pub(crate) done: bool,
}

/// Bytes that are decoded at once.
const TURN: usize = 8 * 1024;

/// Reads one body in a coding. A body of gzip may have several members (RFC 1952 §2.2), one of
/// Zstandard several frames (RFC 8878 §3.1). Its memory is that of the largest window: 32 KiB for
/// gzip and deflate, 16 MiB for Brotli, 8 MiB for Zstandard, if the body says that it needs so much
/// and decodes to so much.
pub struct Decoder {
    work: Work,
    bound: Bound,
    taken: u64,
    made: u64,
    done: bool,
}

enum Work {
    /// gzip and deflate.
    Zlib(gzip::Decoder),
    Brotli(br::Decoder),
    Zstd(zst::Decoder),
}

impl std::fmt::Debug for Decoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Decoder").field("taken", &self.taken).finish_non_exhaustive()
    }
}

impl Decoder {
    /// Makes a decoder for one body. `None` if there is no memory for it.
    pub fn new(coding: impl Into<Readable>, bound: Bound) -> Option<Self> {
        let work = match coding.into() {
            Readable::Written(Coding::Gzip) => Work::Zlib(gzip::Decoder::new()),
            Readable::Written(Coding::Brotli) => Work::Brotli(br::Decoder::new()),
            Readable::Written(Coding::Zstd) => Work::Zstd(zst::Decoder::new()?),
            Readable::Deflate => Work::Zlib(gzip::Decoder::deflate()),
        };
        Some(Self { work, bound, taken: 0, made: 0, done: false })
    }

    /// Decodes a part of a body and appends at most `room` bytes to `out`.
    ///
    /// # Errors
    /// Returns why the body is refused; `out` then has what came before.
    pub fn feed(&mut self, input: &[u8], room: usize, out: &mut Vec<u8>) -> Result<Fed, Fault> {
        let (mut consumed, mut left) = (0, room);
        while left > 0 {
            let mut turn = [0; TURN];
            let place = turn.get_mut(..left.min(TURN)).unwrap_or_default();
            let input = input.get(consumed..).unwrap_or_default();
            if self.done {
                if input.is_empty() {
                    break;
                }
                if !self.work.begin_member() {
                    return Err(Fault::Trailing);
                }
            }
            let step = self.work.step(input, place).ok_or(Fault::Corrupt)?;
            out.extend_from_slice(turn.get(..step.made).unwrap_or_default());
            consumed += step.consumed;
            left = left.saturating_sub(step.made);
            self.count(step.consumed, step.made)?;
            self.done = step.done;
            if step.made == 0 && step.consumed == 0 {
                break;
            }
        }
        Ok(Fed { consumed, done: self.done, is_full: left == 0 })
    }

    /// Says that no more input comes.
    ///
    /// # Errors
    /// Returns [`Fault::Cut`] if the body is not complete.
    pub fn end(&self) -> Result<(), Fault> {
        if self.done { Ok(()) } else { Err(Fault::Cut) }
    }

    /// Returns how much memory it takes, at most: its window as far as that is filled, and its tables.
    pub(crate) fn held(&self) -> usize {
        let (window, tables) = self.work.memory();
        let filled = usize::try_from(self.made).unwrap_or(usize::MAX).min(window);
        filled + tables
    }

    fn count(&mut self, taken: usize, made: usize) -> Result<(), Fault> {
        self.taken += taken as u64;
        self.made += made as u64;
        if self.made > self.bound.bytes {
            return Err(Fault::TooLarge);
        }
        let is_dense = dense(self.taken, self.made, self.bound.ratio);
        if is_dense { Err(Fault::TooDense) } else { Ok(()) }
    }
}

/// Reports whether so many bytes were made of so few.
pub(crate) fn dense(taken: u64, made: u64, ratio: u32) -> bool {
    made > RATIO_FROM && made > taken.saturating_mul(ratio.into())
}

impl Work {
    /// Prepares for another member after one that has ended. Returns false if there can be none.
    fn begin_member(&mut self) -> bool {
        match self {
            Self::Zlib(decoder) => decoder.begin_member(),
            Self::Brotli(_) => false,
            // A frame begins where one has ended.
            Self::Zstd(_) => true,
        }
    }

    /// Returns the bytes of the largest window, and of all else that it needs.
    fn memory(&self) -> (usize, usize) {
        match self {
            Self::Zlib(_) => gzip::MEMORY,
            Self::Brotli(_) => br::MEMORY,
            Self::Zstd(_) => zst::MEMORY,
        }
    }

    fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        match self {
            Self::Zlib(decoder) => decoder.step(input, out),
            Self::Brotli(decoder) => decoder.step(input, out),
            Self::Zstd(decoder) => decoder.step(input, out),
        }
    }
}

#[cfg(test)]
#[path = "decoder_tests.rs"]
mod tests;
