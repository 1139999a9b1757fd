//! Zstandard, over zstd-safe.

use crate::decoder::Step;
use zstd_safe::{CCtx, CParameter, DCtx, DParameter, InBuffer, OutBuffer, ResetDirective};

/// log2 of the encoder's window: 256 KiB.
const WINDOW_BITS: u32 = 18;
/// log2 of the largest window that a decoder takes: 8 MiB, as RFC 9659 §3 says for the web.
const MOST_WINDOW_BITS: u32 = 23;

/// Room that is made for each turn of the encoder, in bytes.
const TURN: usize = 4096;

/// A decoder's largest window, and its tables with a block of input and one of output.
pub(crate) const MEMORY: (usize, usize) = (1 << MOST_WINDOW_BITS, 512 * 1024);

pub(crate) struct Encoder(CCtx<'static>);

impl Encoder {
    /// Makes an encoder of a level from 1 to 12; about 1 MiB. `None` if there is no memory for it.
    pub(crate) fn new(level: i32) -> Option<Self> {
        let mut context = CCtx::try_create()?;
        context.set_parameter(CParameter::CompressionLevel(level.clamp(1, 12))).ok()?;
        context.set_parameter(CParameter::WindowLog(WINDOW_BITS)).ok()?;
        Some(Self(context))
    }

    /// Forgets the body, keeps the parameters. Returns false if that fails.
    pub(crate) fn reset(&mut self) -> bool {
        self.0.reset(ResetDirective::SessionOnly).is_ok()
    }

    pub(crate) fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        let mut input = InBuffer::around(input);
        while input.pos() < input.src.len() {
            let left = self.turn(out, |context, out| context.compress_stream(out, &mut input));
            if left.is_none() {
                return;
            }
        }
    }

    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        while self.turn(out, CCtx::flush_stream).is_some_and(|left| left > 0) {}
    }

    pub(crate) fn finish(&mut self, out: &mut Vec<u8>) {
        while self.turn(out, CCtx::end_stream).is_some_and(|left| left > 0) {}
    }

    /// Makes room, appends to `out`, and returns how many bytes are left to flush; `None` if the
    /// encoder failed, which it does only without memory.
    fn turn(
        &mut self,
        out: &mut Vec<u8>,
        act: impl FnOnce(&mut CCtx<'static>, &mut OutBuffer<'_, Vec<u8>>) -> zstd_safe::SafeResult,
    ) -> Option<usize> {
        out.reserve(TURN);
        let at = out.len();
        act(&mut self.0, &mut OutBuffer::around_pos(out, at)).ok()
    }
}

/// The most bytes of a frame's header (RFC 8878 §3.1.1.1), with its magic number.
const MOST_HEADER: usize = 18;

pub(crate) struct Decoder {
    context: DCtx<'static>,
    /// The first bytes of the frame that is read, as far as they have come.
    header: Vec<u8>,
    /// Bytes that this frame decoded to.
    made: u64,
}

impl Decoder {
    /// Makes a decoder. `None` if there is no memory for it.
    pub(crate) fn new() -> Option<Self> {
        let mut context = DCtx::try_create()?;
        context.set_parameter(DParameter::WindowLogMax(MOST_WINDOW_BITS)).ok()?;
        Some(Self { context, header: Vec::new(), made: 0 })
    }

    pub(crate) fn step(&mut self, input: &[u8], out: &mut [u8]) -> Option<Step> {
        let mut from = InBuffer::around(input);
        let mut into = OutBuffer::around(out);
        let hint = self.context.decompress_stream(&mut into, &mut from).ok()?;
        let (consumed, made) = (from.pos(), into.pos());
        let room = MOST_HEADER.saturating_sub(self.header.len());
        self.header.extend(input.iter().take(consumed.min(room)));
        self.made += made as u64;
        let done = hint == 0;
        if done && !self.end_frame() {
            return None;
        }
        Some(Step { consumed, made, done })
    }

    /// Ends a frame. Returns false if it has not as many bytes as its header says: the library checks
    /// this unless the frame ends with an empty block and comes in pieces.
    fn end_frame(&mut self) -> bool {
        let says = zstd_safe::get_frame_content_size(&self.header);
        let made = std::mem::take(&mut self.made);
        self.header.clear();
        says.is_ok_and(|bytes| bytes.is_none_or(|bytes| bytes == made))
    }
}
