//! Brotli, over the crate of that name.

use crate::decoder::Step;
use brotli::enc::StandardAlloc;
use brotli::{BrotliDecompressStream, BrotliResult, BrotliState, CompressorWriter};
use std::io::Write as _;

/// log2 of the window: 256 KiB, beyond which texts of the web gain little and memory grows.
const WINDOW_BITS: u32 = 18;

/// Bytes that the encoder hands over at once.
const TURN: usize = 4096;

/// A decoder's largest window (RFC 7932 §9.1), and its tables.
pub(crate) const MEMORY: (usize, usize) = (16 * 1024 * 1024, 128 * 1024);

pub(crate) struct Encoder(CompressorWriter<Vec<u8>>);

impl Encoder {
    /// Makes an encoder of a level from 0 to 9; about 1 MiB. It serves one body.
    pub(crate) fn new(level: u32) -> Self {
        Self(CompressorWriter::new(Vec::new(), TURN, level.min(9), WINDOW_BITS))
    }

    pub(crate) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        self.with(out, |writer| {
            // Writing to a vector does not fail.
            let _ = writer.write_all(input);
        });
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        self.with(out, |writer| {
            let _ = writer.flush();
        });
    }

    pub(crate) fn finish(self, out: &mut Vec<u8>) {
        let mut writer = self.0;
        std::mem::swap(writer.get_mut(), out);
        *out = writer.into_inner();
    }

    /// Lets the writer append to `out`.
    fn with(&mut self, out: &mut Vec<u8>, act: impl FnOnce(&mut CompressorWriter<Vec<u8>>)) {
        std::mem::swap(self.0.get_mut(), out);
        act(&mut self.0);
        std::mem::swap(self.0.get_mut(), out);
    }
}

type State = BrotliState<StandardAlloc, StandardAlloc, StandardAlloc>;

pub(crate) struct Decoder(Box<State>);

impl Decoder {
    /// Makes a decoder for windows up to 16 MiB, those of RFC 7932; larger ones are refused.
    pub(crate) fn new() -> Self {
        let memory = StandardAlloc::default();
        Self(Box::new(State::new_strict(memory, memory, memory)))
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        let (mut left, mut room) = (input.len(), out.len());
        let (mut consumed, mut made, mut total) = (0, 0, 0);
        let result = BrotliDecompressStream(
            &mut left,
            &mut consumed,
            input,
            &mut room,
            &mut made,
            out,
            &mut total,
            &mut self.0,
        );
        match result {
            BrotliResult::ResultFailure => None,
            result => {
                Some(Step { consumed, made, done: matches!(result, BrotliResult::ResultSuccess) })
            }
        }
    }
}
