//! Frames as they come in (RFC 9113 §4, §6): headers, and what each type demands as a table.

use crate::close::{Close, Code, Reason};
use std::ops::Range;

/// Bytes of a frame's header.
pub const HEADER_BYTES: usize = 9;

pub(crate) const END_STREAM: u8 = 0x1;
pub(crate) const ACK: u8 = 0x1;
pub(crate) const END_HEADERS: u8 = 0x4;
pub(crate) const PADDED: u8 = 0x8;
pub(crate) const PRIORITY: u8 = 0x20;
/// The reserved bit is ignored wherever it stands.
const U31: u32 = 0x7fff_ffff;

/// The type of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// DATA
    Data,
    /// HEADERS
    Headers,
    /// PRIORITY; read and ignored (RFC 9113 §5.3.2).
    Priority,
    /// RST_STREAM
    RstStream,
    /// SETTINGS
    Settings,
    /// PUSH_PROMISE; never accepted.
    PushPromise,
    /// PING
    Ping,
    /// GOAWAY
    GoAway,
    /// WINDOW_UPDATE
    WindowUpdate,
    /// CONTINUATION
    Continuation,
    /// PRIORITY_UPDATE (RFC 9218 §7.1)
    PriorityUpdate,
    /// Any other type; ignored (RFC 9113 §5.5).
    Unknown(u8),
}

impl Kind {
    fn of(byte: u8) -> Kind {
        match byte {
            0x0 => Kind::Data,
            0x1 => Kind::Headers,
            0x2 => Kind::Priority,
            0x3 => Kind::RstStream,
            0x4 => Kind::Settings,
            0x5 => Kind::PushPromise,
            0x6 => Kind::Ping,
            0x7 => Kind::GoAway,
            0x8 => Kind::WindowUpdate,
            0x9 => Kind::Continuation,
            0x10 => Kind::PriorityUpdate,
            other => Kind::Unknown(other),
        }
    }

    /// Returns the type as it is written.
    pub fn byte(self) -> u8 {
        match self {
            Kind::Data => 0x0,
            Kind::Headers => 0x1,
            Kind::Priority => 0x2,
            Kind::RstStream => 0x3,
            Kind::Settings => 0x4,
            Kind::PushPromise => 0x5,
            Kind::Ping => 0x6,
            Kind::GoAway => 0x7,
            Kind::WindowUpdate => 0x8,
            Kind::Continuation => 0x9,
            Kind::PriorityUpdate => 0x10,
            Kind::Unknown(other) => other,
        }
    }

    /// Returns which streams the type may stand on, and its least and greatest length.
    fn demands(self) -> (On, u32, u32) {
        match self {
            Kind::Data | Kind::Headers | Kind::Continuation => (On::Stream, 0, u32::MAX),
            Kind::Priority => (On::Stream, 5, 5),
            Kind::RstStream => (On::Stream, 4, 4),
            Kind::Settings => (On::Connection, 0, u32::MAX),
            Kind::PushPromise => (On::Stream, 4, u32::MAX),
            Kind::Ping => (On::Connection, 8, 8),
            Kind::GoAway => (On::Connection, 8, u32::MAX),
            Kind::WindowUpdate => (On::Either, 4, 4),
            Kind::PriorityUpdate => (On::Connection, 4, u32::MAX),
            Kind::Unknown(_) => (On::Either, 0, u32::MAX),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum On {
    Stream,
    Connection,
    Either,
}

/// A frame's header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// Bytes that follow.
    pub len: u32,
    /// The type.
    pub kind: Kind,
    /// The flags; those without a meaning for the type are ignored.
    pub flags: u8,
    /// The stream, 0 for the connection; without the reserved bit.
    pub stream: u32,
}

/// The fault of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Wrong {
    Connection(Close),
    Stream(Code),
}

impl Header {
    /// Reads a header.
    #[inline]
    pub fn read(bytes: &[u8; HEADER_BYTES]) -> Header {
        let [a, b, c, kind, flags, s0, s1, s2, s3] = *bytes;
        Header {
            len: u32::from_be_bytes([0, a, b, c]),
            kind: Kind::of(kind),
            flags,
            stream: u32::from_be_bytes([s0, s1, s2, s3]) & U31,
        }
    }

    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Checks stream and length against the type; `most` is the greatest length that we announced.
    #[inline]
    pub(crate) fn check(&self, most: u32) -> Result<(), Wrong> {
        let (on, least, greatest) = self.kind.demands();
        if self.len > most {
            return Err(Wrong::Connection(Close::size(Reason::FrameLength)));
        }
        if (on == On::Stream && self.stream == 0) || (on == On::Connection && self.stream != 0) {
            return Err(Wrong::Connection(Close::protocol(Reason::FrameStream)));
        }
        if self.len < least || self.len > greatest {
            // Only PRIORITY does not change the state of the connection (RFC 9113 §6.3).
            return Err(match self.kind {
                Kind::Priority => Wrong::Stream(Code::FRAME_SIZE_ERROR),
                _ => Wrong::Connection(Close::size(Reason::FrameLength)),
            });
        }
        if self.kind == Kind::Settings && !self.len.is_multiple_of(6) {
            return Err(Wrong::Connection(Close::size(Reason::SettingsLength)));
        }
        if self.kind == Kind::Settings && self.has(ACK) && self.len != 0 {
            return Err(Wrong::Connection(Close::size(Reason::SettingsAckLength)));
        }
        Ok(())
    }
}

/// Returns where the content of a DATA or HEADERS payload stands, without padding.
///
/// # Errors
/// The padding is as long as the payload or longer.
#[inline]
pub(crate) fn unpad(header: &Header, payload: &[u8]) -> Result<Range<usize>, Close> {
    if !header.has(PADDED) {
        return Ok(0..payload.len());
    }
    let Some((pad, rest)) = payload.split_first() else {
        return Err(Close::size(Reason::Padding));
    };
    match rest.len().checked_sub(usize::from(*pad)) {
        Some(len) => Ok(1..1 + len),
        None => Err(Close::protocol(Reason::Padding)),
    }
}

/// Returns where the block of a HEADERS payload stands, and the stream it depends on if it has
/// the fields of RFC 7540 priorities.
pub(crate) fn headers(
    header: &Header,
    payload: &[u8],
) -> Result<(Range<usize>, Option<u32>), Close> {
    let inner = unpad(header, payload)?;
    if !header.has(PRIORITY) {
        return Ok((inner, None));
    }
    let fields = payload.get(inner.clone()).and_then(|bytes| bytes.first_chunk::<5>());
    let [a, b, c, d, _] = fields.ok_or(Close::size(Reason::HeadersPriority))?;
    Ok((inner.start + 5..inner.end, Some(u32::from_be_bytes([*a, *b, *c, *d]) & U31)))
}

/// Returns the integer at the front without its reserved bit; 0 if the payload is shorter, which
/// [`Header::check`] excludes.
pub(crate) fn u31(payload: &[u8]) -> u32 {
    u32_at(payload, 0) & U31
}

/// Returns the integer at an offset.
pub(crate) fn u32_at(payload: &[u8], at: usize) -> u32 {
    payload.get(at..).and_then(|p| p.first_chunk()).map_or(0, |b| u32::from_be_bytes(*b))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(kind: u8, flags: u8, stream: u32, len: u32) -> Header {
        Header { len, kind: Kind::of(kind), flags, stream }
    }

    #[test]
    fn every_type_checks_its_stream_and_length() {
        use Wrong::{Connection as C, Stream as S};
        let stream = C(Close::protocol(Reason::FrameStream));
        let length = C(Close::size(Reason::FrameLength));
        for (kind, flags, on, len, expected) in [
            (0, 0, 1, 16_384, Ok(())),
            (0, 0, 1, 16_385, Err(length)),
            (0, 0, 0, 1, Err(stream)),
            (1, 0, 0, 1, Err(stream)),
            (2, 0, 1, 5, Ok(())),
            (2, 0, 1, 4, Err(S(Code::FRAME_SIZE_ERROR))),
            (2, 0, 0, 5, Err(stream)),
            (3, 0, 1, 4, Ok(())),
            (3, 0, 1, 5, Err(length)),
            (3, 0, 0, 4, Err(stream)),
            (4, 0, 0, 12, Ok(())),
            (4, 0, 0, 7, Err(C(Close::size(Reason::SettingsLength)))),
            (4, 1, 0, 6, Err(C(Close::size(Reason::SettingsAckLength)))),
            (4, 0, 1, 0, Err(stream)),
            (6, 0, 0, 8, Ok(())),
            (6, 0, 0, 7, Err(length)),
            (6, 0, 1, 8, Err(stream)),
            (7, 0, 0, 8, Ok(())),
            (7, 0, 0, 7, Err(length)),
            (7, 0, 3, 8, Err(stream)),
            (8, 0, 0, 4, Ok(())),
            (8, 0, 1, 4, Ok(())),
            (8, 0, 1, 3, Err(length)),
            (9, 0, 0, 3, Err(stream)),
            (16, 0, 0, 4, Ok(())),
            (16, 0, 1, 4, Err(stream)),
            (16, 0, 0, 3, Err(length)),
            (0x21, 0xff, 9, 77, Ok(())),
        ] {
            assert_eq!(header(kind, flags, on, len).check(16_384), expected, "{kind} {on} {len}");
        }
    }

    #[test]
    fn the_reserved_bit_is_ignored() {
        let read = Header::read(&[0, 0, 4, 8, 0, 0x80, 0, 0, 5]);
        assert_eq!(read, Header { len: 4, kind: Kind::WindowUpdate, flags: 0, stream: 5 });
        assert_eq!(u31(&[0x80, 0, 0, 1]), 1);
    }

    #[test]
    fn padding_must_leave_room_for_itself() {
        let padded = |payload: &[u8]| unpad(&header(0, PADDED, 1, payload.len() as u32), payload);
        assert_eq!(padded(&[0]), Ok(1..1));
        assert_eq!(padded(&[2, 9, 0, 0]), Ok(1..2));
        assert_eq!(padded(&[3, 0, 0, 0]), Ok(1..1));
        assert_eq!(padded(&[4, 0, 0, 0]), Err(Close::protocol(Reason::Padding)));
        assert_eq!(padded(&[]), Err(Close::size(Reason::Padding)));
    }

    #[test]
    fn the_priority_flag_needs_five_bytes() {
        let h = |flags, payload: &[u8]| headers(&header(1, flags, 1, 0), payload);
        assert_eq!(h(PRIORITY, &[0x80, 0, 0, 3, 9, 7]), Ok((5..6, Some(3))));
        assert_eq!(h(PRIORITY, &[0; 4]), Err(Close::size(Reason::HeadersPriority)));
        assert_eq!(
            h(PRIORITY | PADDED, &[1, 0, 0, 0, 0, 0]),
            Err(Close::size(Reason::HeadersPriority))
        );
        assert_eq!(h(PRIORITY | PADDED, &[1, 0, 0, 0, 0, 0, 8, 0]), Ok((6..7, Some(0))));
    }
}
