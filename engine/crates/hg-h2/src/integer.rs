//! Integers with a prefix (RFC 7541 §5.1).

/// Bytes after the prefix that an integer may have: enough for 2^28, far above every limit.
const MOST_BYTES: u32 = 4;

/// Reads an integer whose first byte is `first`, with a prefix of `bits` (1 to 7); the rest comes
/// off the front of `input`. Returns `None` if the input ends within it or it is too large.
#[inline]
pub(crate) fn read(first: u8, bits: u32, input: &mut &[u8]) -> Option<usize> {
    let most = (1_usize << bits) - 1;
    let value = usize::from(first) & most;
    if value < most { Some(value) } else { read_more(value, input) }
}

fn read_more(mut value: usize, input: &mut &[u8]) -> Option<usize> {
    for at in 0..MOST_BYTES {
        let (byte, rest) = input.split_first()?;
        *input = rest;
        value += usize::from(byte & 0x7f) << (7 * at);
        if byte & 0x80 == 0 {
            return Some(value);
        }
    }
    None
}

/// Appends an integer with a prefix of `bits`; `pattern` fills the first byte's other bits.
#[inline]
pub(crate) fn write(value: usize, bits: u32, pattern: u8, out: &mut Vec<u8>) {
    let most = (1_usize << bits) - 1;
    if value < most {
        out.push(pattern | value as u8);
        return;
    }
    out.push(pattern | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn round(value: usize, bits: u32) -> Vec<u8> {
        let mut out = Vec::new();
        write(value, bits, 0, &mut out);
        out
    }

    #[test]
    fn the_examples_of_appendix_c_1() {
        assert_eq!(round(10, 5), [0b01010]);
        assert_eq!(round(1337, 5), [0b11111, 0b1001_1010, 0b0000_1010]);
        assert_eq!(round(42, 7), [0b0010_1010]);
    }

    #[test]
    fn endless_and_cut_integers_are_refused() {
        assert_eq!(read(0x1f, 5, &mut &b""[..]), None);
        assert_eq!(read(0x1f, 5, &mut &b"\x80"[..]), None);
        assert_eq!(read(0x1f, 5, &mut &b"\x80\x80\x80\x80\x01"[..]), None);
        assert_eq!(read(0x1f, 5, &mut &b"\x80\x80\x80\x01"[..]), Some(31 + (1 << 21)));
    }

    proptest! {
        #[test]
        fn integers_survive(value in 0_usize..1 << 28, bits in 1_u32..8) {
            let out = round(value, bits);
            let (first, mut rest) = out.split_first().unwrap();
            prop_assert_eq!(read(*first, bits, &mut rest), Some(value));
            prop_assert!(rest.is_empty());
        }
    }
}
