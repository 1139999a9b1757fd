//! SipHash-1-3 (Aumasson and Bernstein, 2012), the keyed hash that std's maps use, which offers no
//! way to choose its key. Who does not know the key cannot find keys of clients that collide.

/// A hash in the making.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sip {
    v: [u64; 4],
    /// Bytes that fill no word yet, the first of them lowest.
    tail: u64,
    /// Bytes written so far.
    len: usize,
}

impl Sip {
    pub(crate) fn new([k0, k1]: [u64; 2]) -> Self {
        let v = [
            k0 ^ 0x736f_6d65_7073_6575,
            k1 ^ 0x646f_7261_6e64_6f6d,
            k0 ^ 0x6c79_6765_6e65_7261,
            k1 ^ 0x7465_6462_7974_6573,
        ];
        Self { v, tail: 0, len: 0 }
    }

    #[inline]
    pub(crate) fn word(&mut self, word: u64) {
        let filled = (self.len % 8) * 8;
        self.len = self.len.wrapping_add(8);
        if filled == 0 {
            self.compress(word);
        } else {
            self.compress(self.tail | word << filled);
            self.tail = word >> (64 - filled);
        }
    }

    #[inline]
    pub(crate) fn bytes(&mut self, bytes: &[u8]) {
        let (words, rest) = bytes.as_chunks::<8>();
        for word in words {
            self.word(u64::from_le_bytes(*word));
        }
        for byte in rest {
            let filled = (self.len % 8) * 8;
            self.tail |= u64::from(*byte) << filled;
            self.len = self.len.wrapping_add(1);
            if filled == 56 {
                self.compress(self.tail);
                self.tail = 0;
            }
        }
    }

    #[inline]
    pub(crate) fn finish(mut self) -> u64 {
        self.compress(self.tail | (self.len as u64) << 56);
        let [a, b, c, d] = self.v;
        self.v = [a, b, c ^ 0xff, d];
        for _ in 0..3 {
            self.round();
        }
        self.v.iter().fold(0, |sum, word| sum ^ word)
    }

    #[inline]
    fn compress(&mut self, word: u64) {
        let [a, b, c, d] = self.v;
        self.v = [a, b, c, d ^ word];
        self.round();
        let [a, b, c, d] = self.v;
        self.v = [a ^ word, b, c, d];
    }

    #[inline]
    fn round(&mut self) {
        let [mut a, mut b, mut c, mut d] = self.v;
        a = a.wrapping_add(b);
        b = b.rotate_left(13) ^ a;
        a = a.rotate_left(32);
        c = c.wrapping_add(d);
        d = d.rotate_left(16) ^ c;
        a = a.wrapping_add(d);
        d = d.rotate_left(21) ^ a;
        c = c.wrapping_add(b);
        b = b.rotate_left(17) ^ c;
        c = c.rotate_left(32);
        self.v = [a, b, c, d];
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::hash::{DefaultHasher, Hasher};

    proptest! {
        #[test]
        fn it_is_the_hash_of_std_under_its_key_of_zeros(
            pieces in prop::collection::vec(
                prop_oneof![
                    prop::collection::vec(any::<u8>(), 0..20).prop_map(Ok),
                    any::<u64>().prop_map(Err),
                ],
                0..6,
            )
        ) {
            let (mut ours, mut theirs) = (Sip::new([0, 0]), DefaultHasher::new());
            for piece in pieces {
                match piece {
                    Ok(bytes) => {
                        ours.bytes(&bytes);
                        theirs.write(&bytes);
                    }
                    Err(word) => {
                        ours.word(word);
                        theirs.write(&word.to_le_bytes());
                    }
                }
            }
            prop_assert_eq!(ours.finish(), theirs.finish());
        }
    }

    #[test]
    fn another_key_gives_another_hash() {
        let hash = |key| {
            let mut sip = Sip::new(key);
            sip.bytes(b"192.0.2.1");
            sip.finish()
        };
        assert_ne!(hash([0, 0]), hash([0, 1]));
        assert_ne!(hash([0, 1]), hash([1, 0]));
    }
}
