//! Frames of HTTP/2 (RFC 9113 §4), written and read without the engine's code.

pub(crate) const DATA: u8 = 0;
pub(crate) const HEADERS: u8 = 1;
pub(crate) const RST_STREAM: u8 = 3;
pub(crate) const SETTINGS: u8 = 4;
pub(crate) const PING: u8 = 6;
pub(crate) const GOAWAY: u8 = 7;
pub(crate) const WINDOW_UPDATE: u8 = 8;
pub(crate) const CONTINUATION: u8 = 9;
pub(crate) const PRIORITY_UPDATE: u8 = 16;

/// END_STREAM of DATA and HEADERS, ACK of SETTINGS and PING.
pub(crate) const END: u8 = 1;
pub(crate) const END_HEADERS: u8 = 4;
pub(crate) const PADDED: u8 = 8;

/// Error codes (RFC 9113 §7).
pub(crate) const NO_ERROR: u32 = 0;
pub(crate) const INTERNAL_ERROR: u32 = 2;
pub(crate) const REFUSED_STREAM: u32 = 7;
pub(crate) const CANCEL: u32 = 8;

/// The bytes with which a client's connection begins.
pub(crate) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// One frame.
#[derive(Clone, Debug)]
pub(crate) struct Frame {
    pub(crate) kind: u8,
    pub(crate) flags: u8,
    pub(crate) stream: u32,
    pub(crate) payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }

    /// Returns the payload as numbers of 32 bits.
    pub(crate) fn number(&self, at: usize) -> Option<u32> {
        let bytes = self.payload.get(at..at + 4)?;
        Some(bytes.iter().fold(0, |sum, b| sum << 8 | u32::from(*b)))
    }

    /// Returns the payload of DATA or HEADERS without padding and priority.
    pub(crate) fn content(&self) -> Option<&[u8]> {
        let mut content = self.payload.as_slice();
        if self.has(PADDED) {
            let (pad, rest) = content.split_first()?;
            content = rest.get(..rest.len().checked_sub(usize::from(*pad))?)?;
        }
        if self.kind == HEADERS && self.has(0x20) { content.get(5..) } else { Some(content) }
    }
}

/// Appends a frame.
pub(crate) fn put(out: &mut Vec<u8>, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
    let len = u32::try_from(payload.len()).unwrap_or(u32::MAX);
    out.extend_from_slice(len.to_be_bytes().get(1..).unwrap_or_default());
    out.extend_from_slice(&[kind, flags]);
    out.extend_from_slice(&stream.to_be_bytes());
    out.extend_from_slice(payload);
}

/// Appends a frame whose payload is one number.
pub(crate) fn put_number(out: &mut Vec<u8>, kind: u8, stream: u32, number: u32) {
    put(out, kind, 0, stream, &number.to_be_bytes());
}

/// Takes a whole frame from the front, if one is there.
pub(crate) fn take(input: &mut Vec<u8>) -> Option<Frame> {
    let [a, b, c, kind, flags, s1, s2, s3, s4] = *input.first_chunk::<9>()?;
    let len = usize::from(a) << 16 | usize::from(b) << 8 | usize::from(c);
    let payload = input.get(9..9 + len)?.to_vec();
    input.drain(..9 + len);
    let stream = u32::from_be_bytes([s1, s2, s3, s4]) & 0x7fff_ffff;
    Some(Frame { kind, flags, stream, payload })
}
