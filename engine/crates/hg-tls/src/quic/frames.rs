//! The frames of an Initial packet (RFC 9000 §12.4, §19).

use super::Unread;
use crate::reader::Reader;

const PADDING: u64 = 0;
const PING: u64 = 1;
const ACK: u64 = 2;
const ACK_WITH_ECN: u64 = 3;
const CRYPTO: u64 = 6;
const CLOSE: u64 = 0x1c;

/// Gives the place and the bytes of each CRYPTO frame.
///
/// # Errors
/// For a frame that Initial packets may not have, or that is cut off, and for those of `crypto`.
pub(super) fn read<'p>(
    payload: &'p [u8],
    mut crypto: impl FnMut(u64, &'p [u8]) -> Result<(), Unread>,
) -> Result<(), Unread> {
    let mut r = Reader(payload);
    while !r.0.is_empty() {
        match r.varint().ok_or(Unread::Malformed)? {
            PADDING | PING => {}
            CRYPTO => {
                let found = r.varint().zip(r.varint());
                let (offset, len) = found.ok_or(Unread::Malformed)?;
                crypto(offset, r.take_long(len).ok_or(Unread::Malformed)?)?;
            }
            kind @ (ACK | ACK_WITH_ECN) => {
                acknowledged(&mut r, kind == ACK_WITH_ECN).ok_or(Unread::Malformed)?;
            }
            CLOSE => {
                let (_code, _frame) = r.varint().zip(r.varint()).ok_or(Unread::Malformed)?;
                let reason = r.varint().ok_or(Unread::Malformed)?;
                r.take_long(reason).ok_or(Unread::Malformed)?;
            }
            _ => return Err(Unread::Malformed),
        }
    }
    Ok(())
}

/// Passes over an ACK frame.
fn acknowledged(r: &mut Reader<'_>, has_ecn: bool) -> Option<()> {
    let (_largest, _delay) = (r.varint()?, r.varint()?);
    let ranges = r.varint()?;
    let _first = r.varint()?;
    for _ in 0..ranges {
        let (_gap, _len) = (r.varint()?, r.varint()?);
    }
    for _ in 0..if has_ecn { 3 } else { 0 } {
        r.varint()?;
    }
    Some(())
}
