//! A body's encoder, whatever its coding.

use crate::coding::Coding;
use crate::{br, gzip, zst};

/// The compression levels of the encoders, one for each coding.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Levels {
    /// 1 to 9.
    pub gzip: u8,
    /// 0 to 9.
    pub brotli: u8,
    /// 1 to 12.
    pub zstd: u8,
}

impl Default for Levels {
    /// Levels for answers that are made as they are sent: gzip's 5 as Envoy and Caddy have it,
    /// Brotli's 4, Zstandard's own default of 3.
    fn default() -> Self {
        Self { gzip: 5, brotli: 4, zstd: 3 }
    }
}

/// Writes one body in a coding. What it holds is bounded by its window: about 256 KiB for gzip,
/// 1 MiB for the others.
pub struct Encoder {
    work: Work,
    levels: Levels,
}

enum Work {
    Gzip(gzip::Encoder),
    Brotli(Box<br::Encoder>),
    Zstd(zst::Encoder),
}

impl std::fmt::Debug for Encoder {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Encoder").field("coding", &self.coding()).finish_non_exhaustive()
    }
}

impl Encoder {
    /// Makes an encoder for one body. `None` if there is no memory for it.
    pub fn new(coding: Coding, levels: Levels) -> Option<Self> {
        let work = match coding {
            Coding::Gzip => Work::Gzip(gzip::Encoder::new(levels.gzip.into())),
            Coding::Brotli => Work::Brotli(Box::new(br::Encoder::new(levels.brotli.into()))),
            Coding::Zstd => Work::Zstd(zst::Encoder::new(levels.zstd.into())?),
        };
        Some(Self { work, levels })
    }

    /// Returns its coding.
    pub fn coding(&self) -> Coding {
        match self.work {
            Work::Gzip(_) => Coding::Gzip,
            Work::Brotli(_) => Coding::Brotli,
            Work::Zstd(_) => Coding::Zstd,
        }
    }

    pub(crate) fn levels(&self) -> Levels {
        self.levels
    }

    /// Takes a part of the body and appends what is ready to `out`, which may be nothing.
    pub fn write(&mut self, input: &[u8], out: &mut Vec<u8>) {
        match &mut self.work {
            Work::Gzip(encoder) => encoder.write(input, out),
            Work::Brotli(encoder) => encoder.write(input, out),
            Work::Zstd(encoder) => encoder.write(input, out),
        }
    }

    /// Appends everything that is held back, so that a client can read what came so far. Costs a
    /// few bytes each time.
    pub fn flush(&mut self, out: &mut Vec<u8>) {
        match &mut self.work {
            Work::Gzip(encoder) => encoder.flush(out),
            Work::Brotli(encoder) => encoder.flush(out),
            Work::Zstd(encoder) => encoder.flush(out),
        }
    }

    /// Appends the end of the body. Returns an encoder for another body, if this one can be used
    /// again; those of Brotli cannot.
    pub fn finish(self, out: &mut Vec<u8>) -> Option<Self> {
        let levels = self.levels;
        let mut work = self.work;
        match &mut work {
            Work::Gzip(encoder) => encoder.finish(out),
            Work::Zstd(encoder) => encoder.finish(out),
            Work::Brotli(_) => {}
        }
        match work {
            Work::Brotli(encoder) => {
                encoder.finish(out);
                None
            }
            work => Self { work, levels }.again(),
        }
    }

    /// Forgets a body. Returns an encoder for another one, as [`Encoder::finish`] does.
    pub fn again(mut self) -> Option<Self> {
        let is_usable = match &mut self.work {
            Work::Gzip(encoder) => {
                encoder.reset();
                true
            }
            Work::Zstd(encoder) => encoder.reset(),
            Work::Brotli(_) => false,
        };
        is_usable.then_some(self)
    }
}

#[cfg(test)]
#[path = "encoder_tests.rs"]
mod tests;
