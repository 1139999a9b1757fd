//! Puts the pieces of a handshake in order, as they come in CRYPTO frames.

use super::Unread;
use crate::hello::MAX_HELLO;

/// The handshake of one client so far: at most as long as a hello may be, and a bit for each byte.
#[derive(Default)]
pub(super) struct CryptoStream {
    bytes: Vec<u8>,
    /// A bit for each of them, set if it has come.
    come: Vec<u64>,
    /// The number of those that have come without a gap, from the first one on.
    whole: usize,
}

impl CryptoStream {
    /// Adds a piece. Pieces may overlap, but not say different things of one byte: an endpoint might
    /// take the other one.
    ///
    /// # Errors
    /// When they do, and when the hello is longer than allowed.
    pub(super) fn put(&mut self, offset: u64, piece: &[u8]) -> Result<(), Unread> {
        let at = usize::try_from(offset).map_err(|_| Unread::TooLong)?;
        let end = at.checked_add(piece.len()).filter(|end| *end <= MAX_HELLO);
        let end = end.ok_or(Unread::TooLong)?;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
            self.come.resize(end.div_ceil(64), 0);
        }
        for (at, byte) in (at..).zip(piece) {
            let (Some(place), Some(come)) = (self.bytes.get_mut(at), self.come.get_mut(at / 64))
            else {
                return Err(Unread::TooLong);
            };
            let bit = 1 << (at % 64);
            if *come & bit != 0 && *place != *byte {
                return Err(Unread::Malformed);
            }
            *come |= bit;
            *place = *byte;
        }
        while self.come.get(self.whole / 64).is_some_and(|c| c & (1 << (self.whole % 64)) != 0) {
            self.whole += 1;
        }
        Ok(())
    }

    /// Returns what has come without a gap.
    pub(super) fn whole(&self) -> &[u8] {
        self.bytes.get(..self.whole).unwrap_or_default()
    }
}
