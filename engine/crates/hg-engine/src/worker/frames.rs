//! The bounds of WebSocket frames, followed so that our close frame never falls inside one.

/// Follows the frames of one direction (RFC 6455 §5.2); reads headers only.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Frames {
    /// Payload bytes to come.
    left: u64,
    header: [u8; 14],
    have: u8,
    /// True if a message of several frames is incomplete.
    continues: bool,
}

impl Frames {
    /// Takes the next bytes of this direction.
    pub(crate) fn feed(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            if self.left > 0 {
                let n = usize::try_from(self.left).unwrap_or(usize::MAX).min(bytes.len());
                self.left -= n as u64;
                bytes = bytes.get(n..).unwrap_or_default();
                continue;
            }
            let Some((first, rest)) = bytes.split_first() else {
                return;
            };
            if let Some(place) = self.header.get_mut(usize::from(self.have)) {
                *place = *first;
            }
            self.have += 1;
            bytes = rest;
            if let Some(len) = self.payload() {
                let [first, ..] = self.header;
                // Control frames (opcode 8 and up) may occur inside a message.
                if first & 0x08 == 0 {
                    self.continues = first & 0x80 == 0;
                }
                self.left = len;
                self.have = 0;
            }
        }
    }

    /// Returns the length of the payload, once the header is complete.
    fn payload(&self) -> Option<u64> {
        let h = &self.header;
        let have = usize::from(self.have);
        if have < 2 {
            return None;
        }
        let [_, second, ..] = *h;
        let extended = match second & 0x7f {
            126 => 2,
            127 => 8,
            _ => 0,
        };
        let mask = if second & 0x80 != 0 { 4 } else { 0 };
        if have < 2 + extended + mask {
            return None;
        }
        let bytes = h.get(2..2 + extended).unwrap_or_default();
        Some(if extended == 0 {
            u64::from(second & 0x7f)
        } else {
            bytes.iter().fold(0, |n, b| n * 256 + u64::from(*b))
        })
    }

    /// Reports whether no frame and no message is incomplete.
    pub(crate) fn is_between(&self) -> bool {
        self.left == 0 && self.have == 0 && !self.continues
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn boundaries_are_found_however_the_bytes_are_split() {
        // "Hello" in one frame; 126 bytes with a 16-bit length; a masked fragment and its end.
        let mut bytes = vec![0x81, 5, b'H', b'e', b'l', b'l', b'o', 0x82, 126, 0, 126];
        bytes.extend([7; 126]);
        bytes.extend([0x01, 0x82, 1, 2, 3, 4, 9, 9, 0x89, 0, 0x80, 0]);
        let short = bytes.len();
        // 65,536 bytes with a 64-bit length.
        bytes.extend([0x82, 127, 0, 0, 0, 0, 0, 1, 0, 0]);
        bytes.extend(vec![7; 65_536]);
        let boundaries = [7, 7 + 4 + 126, short, bytes.len()];
        for step in 1..9 {
            let mut frames = Frames::default();
            let mut at = 0;
            for part in bytes.chunks(step) {
                frames.feed(part);
                at += part.len();
                if boundaries.contains(&at) {
                    assert!(frames.is_between(), "at {at}, steps of {step}");
                } else {
                    assert!(!frames.is_between(), "at {at}, steps of {step}");
                }
            }
        }
    }
}
