//! gzip and deflate, over zlib-rs.

use crate::decoder::Step;
use flate2::{Compress, Compression, Decompress, FlushCompress, FlushDecompress, Status};

/// log2 of the window; the largest of DEFLATE (RFC 1951 §2).
const WINDOW_BITS: u8 = 15;

/// Room that is made for each turn of the encoder, in bytes.
const TURN: usize = 4096;

/// A decoder's memory beside its window, which it has from the beginning: none that grows.
pub(crate) const MEMORY: (usize, usize) = (0, 48 * 1024);

#[derive(Debug)]
pub(crate) struct Encoder(Compress);

impl Encoder {
    /// Makes an encoder of a level from 1 to 9; about 256 KiB.
    pub(crate) fn new(level: u32) -> Self {
        Self(Compress::new_gzip(Compression::new(level.clamp(1, 9)), WINDOW_BITS))
    }

    pub(crate) fn reset(&mut self) {
        self.0.reset();
    }

    pub(crate) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.run(input, FlushCompress::None, out);
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.run(&[], FlushCompress::Sync, out);
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        self.run(&[], FlushCompress::Finish, out);
    }

    fn run(&mut self, mut input: &[u8], flush: FlushCompress, out: &mut Vec<u8>) {
        loop {
            out.reserve(TURN);
            let before = self.0.total_in();
            let status = self.0.compress_vec(input, out, flush);
            let taken = usize::try_from(self.0.total_in() - before).unwrap_or(usize::MAX);
            input = input.get(taken..).unwrap_or_default();
            let is_full = out.len() == out.capacity();
            let is_over = match flush {
                FlushCompress::Finish => matches!(status, Ok(Status::StreamEnd)),
                _ => input.is_empty() && !is_full,
            };
            // A stuck encoder would turn for ever: no input taken, no room used.
            if is_over || status.is_err() || (taken == 0 && !is_full) {
                return;
            }
        }
    }
}

#[derive(Debug)]
pub(crate) struct Decoder {
    inner: Decompress,
    /// True for gzip, of which a body may have several members; false for zlib's wrapping.
    is_gzip: bool,
}

impl Decoder {
    pub(crate) fn new() -> Self {
        Self { inner: Decompress::new_gzip(WINDOW_BITS), is_gzip: true }
    }

    /// Makes one for `deflate`, which is zlib's format (RFC 9110 §8.4.1.2).
    pub(crate) fn deflate() -> Self {
        Self { inner: Decompress::new(true), is_gzip: false }
    }

    /// Prepares for another member. Returns false if there can be none.
    pub(crate) fn begin_member(&mut self) -> bool {
        if self.is_gzip {
            self.inner = Decompress::new_gzip(WINDOW_BITS);
        }
        self.is_gzip
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        let (before_in, before_out) = (self.inner.total_in(), self.inner.total_out());
        let status = self.inner.decompress(input, out, FlushDecompress::None).ok()?;
        Some(Step {
            consumed: usize::try_from(self.inner.total_in() - before_in).ok()?,
            made: usize::try_from(self.inner.total_out() - before_out).ok()?,
            done: status == Status::StreamEnd,
        })
    }
}
