//! SHA-1 (FIPS 180-4 §6.1), for the WebSocket handshake only, where it protects nothing: it shows
//! that the server read the key. Small enough not to be worth a dependency.

/// The digest of the parts, one after the other. Meant for less than a few hundred bytes.
pub(crate) fn sha1(parts: &[&[u8]]) -> [u8; 20] {
    let mut state = [0x6745_2301u32, 0xEFCD_AB89, 0x98BA_DCFE, 0x1032_5476, 0xC3D2_E1F0];
    let mut block = Block { bytes: [0; 64], used: 0 };
    let mut total = 0u64;
    for &byte in parts.iter().flat_map(|p| p.iter()) {
        total += 8;
        block.push(byte, &mut state);
    }
    block.push(0x80, &mut state);
    while block.used != 56 {
        block.push(0, &mut state);
    }
    for byte in total.to_be_bytes() {
        block.push(byte, &mut state);
    }
    let mut digest = [0; 20];
    for (out, word) in digest.chunks_exact_mut(4).zip(state) {
        out.copy_from_slice(&word.to_be_bytes());
    }
    digest
}

struct Block {
    bytes: [u8; 64],
    used: usize,
}

impl Block {
    fn push(&mut self, byte: u8, state: &mut [u32; 5]) {
        self.bytes[self.used % 64] = byte;
        self.used += 1;
        if self.used == 64 {
            self.used = 0;
            compress(state, &self.bytes);
        }
    }
}

fn compress(state: &mut [u32; 5], block: &[u8; 64]) {
    let mut w = [0u32; 80];
    for (word, bytes) in w.iter_mut().zip(block.chunks_exact(4)) {
        *word = bytes.iter().fold(0, |n, &b| n << 8 | u32::from(b));
    }
    for t in 16..80 {
        w[t] = (w[t - 3] ^ w[t - 8] ^ w[t - 14] ^ w[t - 16]).rotate_left(1);
    }
    let [mut a, mut b, mut c, mut d, mut e] = *state;
    for (t, word) in w.iter().enumerate() {
        let (f, k) = match t / 20 {
            0 => ((b & c) | (!b & d), 0x5A82_7999),
            1 => (b ^ c ^ d, 0x6ED9_EBA1),
            2 => ((b & c) | (b & d) | (c & d), 0x8F1B_BCDC),
            _ => (b ^ c ^ d, 0xCA62_C1D6u32),
        };
        let next =
            a.rotate_left(5).wrapping_add(f).wrapping_add(e).wrapping_add(k).wrapping_add(*word);
        (e, d, c, b, a) = (d, c, b.rotate_left(30), a, next);
    }
    for (s, v) in state.iter_mut().zip([a, b, c, d, e]) {
        *s = s.wrapping_add(v);
    }
}

#[cfg(test)]
mod tests {
    use super::sha1;

    fn hex(parts: &[&[u8]]) -> String {
        sha1(parts).iter().map(|b| format!("{b:02x}")).collect()
    }

    #[test]
    fn digests_of_the_standard_are_reached() {
        assert_eq!(hex(&[b"abc"]), "a9993e364706816aba3e25717850c26c9cd0d89d");
        assert_eq!(hex(&[]), "da39a3ee5e6b4b0d3255bfef95601890afd80709");
        let two_blocks = b"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq";
        assert_eq!(hex(&[two_blocks]), "84983e441c3bd26ebaae4aa1f95129e5e54670f1");
        assert_eq!(hex(&[b"a", b"bc"]), hex(&[b"abc"]));
    }
}
