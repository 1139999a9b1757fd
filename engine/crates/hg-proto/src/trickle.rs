//! Heads that come in many small pieces.

use crate::types::Limits;
use memchr::memchr;

/// Bytes of a head up to which each piece has it parsed again, so that what can be no head is
/// refused at once.
const SMALL: usize = 1024;

/// Reports whether a head that was parsed and found incomplete is worth parsing again: `before`
/// bytes of it were there, and `more` have come since.
///
/// Parsing begins anew each time, so that a head that trickles in byte by byte would cost the square
/// of its length. A head ends with the end of a line, and the number of lines is limited: only those
/// are worth it, besides what is small and what is longer than allowed.
#[inline]
pub fn is_worth_parsing(before: usize, more: &[u8], limits: &Limits) -> bool {
    let len = before.saturating_add(more.len());
    len <= SMALL || len >= limits.head_bytes || memchr(b'\n', more).is_some()
}

#[cfg(test)]
mod tests;
