//! Frames as they go out, and the buffer that they go into.

use crate::close::Code;
use crate::encode::Encoder;
use crate::frame::{ACK, END_HEADERS, END_STREAM, HEADER_BYTES, Kind};

/// The output that waits to be sent. Grows while the peer does not read; the session says when to
/// stop.
#[derive(Debug, Default)]
pub(crate) struct Output {
    pub bytes: Vec<u8>,
    /// The number of the bytes that are sent.
    sent: usize,
    /// Control frames written since the buffer was last empty.
    control: u32,
    /// Header blocks that need more than one frame are cut here.
    block: Vec<u8>,
}

fn header(out: &mut Vec<u8>, len: usize, kind: Kind, flags: u8, stream: u32) {
    let [_, a, b, c] = (len as u32).to_be_bytes();
    let [s0, s1, s2, s3] = stream.to_be_bytes();
    out.extend_from_slice(&[a, b, c, kind.byte(), flags, s0, s1, s2, s3]);
}

impl Output {
    /// Returns the bytes that are not sent yet.
    pub(crate) fn pending(&self) -> &[u8] {
        self.bytes.get(self.sent..).unwrap_or_default()
    }

    pub(crate) fn len(&self) -> usize {
        self.bytes.len() - self.sent
    }

    pub(crate) fn control(&self) -> u32 {
        self.control
    }

    /// Drops `count` bytes that were sent.
    pub(crate) fn sent(&mut self, count: usize) {
        self.sent = (self.sent + count).min(self.bytes.len());
        if self.sent == self.bytes.len() {
            self.bytes.clear();
            (self.sent, self.control) = (0, 0);
        } else if self.sent > self.bytes.len() / 2 {
            self.bytes.drain(..self.sent);
            self.sent = 0;
        }
    }

    fn control_frame(&mut self, kind: Kind, flags: u8, stream: u32, payload: &[u8]) {
        self.control += 1;
        header(&mut self.bytes, payload.len(), kind, flags, stream);
        self.bytes.extend_from_slice(payload);
    }

    pub(crate) fn settings(&mut self, payload: &[u8]) {
        self.control_frame(Kind::Settings, 0, 0, payload);
    }

    pub(crate) fn settings_ack(&mut self) {
        self.control_frame(Kind::Settings, ACK, 0, &[]);
    }

    pub(crate) fn ping(&mut self, payload: [u8; 8], ack: bool) {
        self.control_frame(Kind::Ping, if ack { ACK } else { 0 }, 0, &payload);
    }

    pub(crate) fn reset(&mut self, stream: u32, code: Code) {
        self.control_frame(Kind::RstStream, 0, stream, &code.0.to_be_bytes());
    }

    pub(crate) fn window_update(&mut self, stream: u32, increment: u32) {
        self.control_frame(Kind::WindowUpdate, 0, stream, &increment.to_be_bytes());
    }

    pub(crate) fn go_away(&mut self, last: u32, code: Code) {
        let mut payload = [0; 8];
        let (id, error) = payload.split_at_mut(4);
        id.copy_from_slice(&last.to_be_bytes());
        error.copy_from_slice(&code.0.to_be_bytes());
        self.control_frame(Kind::GoAway, 0, 0, &payload);
    }

    pub(crate) fn data(&mut self, stream: u32, bytes: &[u8], end: bool) {
        header(&mut self.bytes, bytes.len(), Kind::Data, if end { END_STREAM } else { 0 }, stream);
        self.bytes.extend_from_slice(bytes);
    }

    /// Writes a header block that `fill` encodes: one HEADERS, with CONTINUATION if it is larger
    /// than a frame of the peer.
    pub(crate) fn head(
        &mut self,
        encoder: &mut Encoder,
        stream: u32,
        end: bool,
        most: usize,
        fill: impl FnOnce(&mut Encoder, &mut Vec<u8>),
    ) {
        let start = self.bytes.len();
        let end_stream = if end { END_STREAM } else { 0 };
        header(&mut self.bytes, 0, Kind::Headers, end_stream | END_HEADERS, stream);
        encoder.begin(&mut self.bytes);
        fill(encoder, &mut self.bytes);
        let len = self.bytes.len() - start - HEADER_BYTES;
        if len > most {
            return self.cut(start, stream, end_stream, most);
        }
        let [_, a, b, c] = (len as u32).to_be_bytes();
        if let Some(bytes) = self.bytes.get_mut(start..start + 3) {
            bytes.copy_from_slice(&[a, b, c]);
        }
    }

    #[cold]
    fn cut(&mut self, start: usize, stream: u32, end_stream: u8, most: usize) {
        self.block.clear();
        self.block.extend_from_slice(self.bytes.get(start + HEADER_BYTES..).unwrap_or_default());
        self.bytes.truncate(start);
        let pieces = self.block.chunks(most);
        let last = pieces.len().saturating_sub(1);
        for (at, piece) in pieces.enumerate() {
            let (kind, first) =
                if at == 0 { (Kind::Headers, end_stream) } else { (Kind::Continuation, 0) };
            let flags = first | if at == last { END_HEADERS } else { 0 };
            header(&mut self.bytes, piece.len(), kind, flags, stream);
            self.bytes.extend_from_slice(piece);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::encode::Sensitivity;

    #[test]
    fn a_large_block_is_cut_into_continuations() {
        let (mut out, mut encoder) = (Output::default(), Encoder::new());
        let value = vec![0x01; 250];
        out.head(&mut encoder, 3, true, 100, |encoder, bytes| {
            encoder.field(b"x", &value, Sensitivity::Secret, bytes);
        });
        let bytes = out.pending();
        let (mut at, mut seen) = (0, Vec::new());
        while let Some(first) = bytes.get(at..).and_then(|b| b.first_chunk()) {
            let h = crate::frame::Header::read(first);
            seen.push((h.kind, h.flags, h.len, h.stream));
            at += HEADER_BYTES + h.len as usize;
        }
        assert_eq!(at, bytes.len());
        assert_eq!(seen.len(), 3);
        assert_eq!(seen[0], (Kind::Headers, END_STREAM, 100, 3));
        assert_eq!(seen[1], (Kind::Continuation, 0, 100, 3));
        assert_eq!((seen[2].0, seen[2].1), (Kind::Continuation, END_HEADERS));
    }

    #[test]
    fn what_was_sent_leaves_the_buffer() {
        let mut out = Output::default();
        out.ping([7; 8], true);
        out.window_update(0, 5);
        assert_eq!((out.len(), out.control()), (30, 2));
        out.sent(17);
        assert_eq!(out.pending(), [0, 0, 4, 8, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
        out.sent(13);
        assert_eq!((out.len(), out.control(), out.bytes.len()), (0, 0, 0));
    }
}
