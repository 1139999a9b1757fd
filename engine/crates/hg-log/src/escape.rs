//! Escapes values so that they are harmless in a line.

use std::net::IpAddr;

const ONES: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

/// Reports whether eight bytes are all printable ASCII other than `"` and `\`. Uses the
/// zero-in-word test of "Bit Twiddling Hacks" (Sean Eron Anderson): it may report a zero too many
/// above a true one, never one too few.
fn is_plain_word(word: u64) -> bool {
    let zero = |x: u64| x.wrapping_sub(ONES) & !x & HIGH;
    let equals = |byte: u8| zero(word ^ (ONES * u64::from(byte)));
    let control = word.wrapping_sub(ONES * 0x20) & !word & HIGH;
    (word & HIGH) | control | equals(b'"') | equals(b'\\') | equals(0x7f) == 0
}

fn is_plain_byte(byte: u8) -> bool {
    (0x20..0x7f).contains(&byte) && byte != b'"' && byte != b'\\'
}

/// Reports whether all bytes are printable ASCII other than `"` and `\`.
pub(crate) fn is_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk::<8>() else {
        return bytes.iter().all(|b| is_plain_byte(*b));
    };
    let (words, _) = bytes.as_chunks::<8>();
    // The last eight bytes overlap the words before, which saves a loop over single bytes.
    words.iter().all(|w| is_plain_word(u64::from_le_bytes(*w)))
        && is_plain_word(u64::from_le_bytes(*last))
}

/// Appends the inside of a JSON string (RFC 8259 §7), cut after `limit` bytes of input; invalid
/// UTF-8 becomes U+FFFD.
pub(crate) fn push_json(value: &[u8], limit: usize, out: &mut Vec<u8>) {
    let value = value.get(..limit).unwrap_or(value);
    if is_plain(value) {
        return out.extend_from_slice(value);
    }
    for chunk in value.utf8_chunks() {
        for byte in chunk.valid().bytes() {
            match byte {
                b'"' => out.extend_from_slice(b"\\\""),
                b'\\' => out.extend_from_slice(b"\\\\"),
                b'\n' => out.extend_from_slice(b"\\n"),
                b'\r' => out.extend_from_slice(b"\\r"),
                b'\t' => out.extend_from_slice(b"\\t"),
                0..0x20 | 0x7f => {
                    out.extend_from_slice(b"\\u00");
                    push_hex(byte, out);
                }
                _ => out.push(byte),
            }
        }
        if !chunk.invalid().is_empty() {
            out.extend_from_slice(b"\\ufffd");
        }
    }
}

/// Appends a value of the combined format, cut after `limit` bytes of input: `"`, `\` and
/// everything that is not printable ASCII as `\xHH`, as nginx does; `-` if it is empty.
pub(crate) fn push_combined(value: &[u8], limit: usize, out: &mut Vec<u8>) {
    let value = value.get(..limit).unwrap_or(value);
    if value.is_empty() {
        return out.push(b'-');
    }
    if is_plain(value) {
        return out.extend_from_slice(value);
    }
    for byte in value {
        if is_plain_byte(*byte) {
            out.push(*byte);
        } else {
            out.extend_from_slice(b"\\x");
            push_hex(*byte, out);
        }
    }
}

fn push_hex(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789ABCDEF";
    out.extend([byte >> 4, byte & 15].iter().filter_map(|n| HEX.get(usize::from(*n))));
}

/// Appends a number in decimal.
pub(crate) fn push_number(n: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(itoa::Buffer::new().format(n).as_bytes());
}

/// Appends an address.
pub(crate) fn push_address(ip: IpAddr, out: &mut Vec<u8>) {
    match ip {
        IpAddr::V4(v4) => {
            for (i, octet) in v4.octets().into_iter().enumerate() {
                if i > 0 {
                    out.push(b'.');
                }
                out.extend_from_slice(itoa::Buffer::new().format(octet).as_bytes());
            }
        }
        // Writing to a vector does not fail.
        IpAddr::V6(v6) => drop(std::io::Write::write_fmt(out, format_args!("{v6}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn escaped(value: &[u8], limit: usize, push: fn(&[u8], usize, &mut Vec<u8>)) -> String {
        let mut out = Vec::new();
        push(value, limit, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn json_strings_are_escaped() {
        let value = "a\"b\\c\n\r\t\u{1}\u{7f} é€𝄞";
        assert_eq!(
            escaped(value.as_bytes(), 99, push_json),
            "a\\\"b\\\\c\\n\\r\\t\\u0001\\u007F é€𝄞"
        );
        assert_eq!(escaped(b"a\xffb\xe2\x82", 99, push_json), "a\\ufffdb\\ufffd");
    }

    #[test]
    fn combined_values_are_escaped() {
        assert_eq!(escaped(b"", 9, push_combined), "-");
        assert_eq!(escaped(b"a\"\\\n\xff z", 9, push_combined), "a\\x22\\x5C\\x0A\\xFF z");
    }

    #[test]
    fn long_values_are_cut() {
        assert_eq!(escaped(b"abcdefghij", 4, push_json), "abcd");
        assert_eq!(escaped("ab€".as_bytes(), 4, push_json), "ab\\ufffd");
        assert_eq!(escaped(b"abcdefghij", 4, push_combined), "abcd");
    }

    proptest! {
        #[test]
        fn the_fast_test_equals_the_slow_one(bytes in prop::collection::vec(any::<u8>(), 0..40)) {
            prop_assert_eq!(is_plain(&bytes), bytes.iter().all(|b| is_plain_byte(*b)));
        }

        #[test]
        fn one_odd_byte_is_found_anywhere(length in 1usize..40, at in 0usize..40, odd: u8) {
            let mut bytes = vec![b'x'; length];
            bytes[at % length] = odd;
            prop_assert_eq!(is_plain(&bytes), is_plain_byte(odd));
        }

        #[test]
        fn json_reads_back(value in ".*") {
            let json = format!("\"{}\"", escaped(value.as_bytes(), usize::MAX, push_json));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), value);
        }

        #[test]
        fn combined_stays_on_its_line(value in prop::collection::vec(any::<u8>(), 0..40)) {
            let text = escaped(&value, usize::MAX, push_combined);
            prop_assert!(text.bytes().all(|b| (0x20..0x7f).contains(&b) && b != b'"'));
        }

        #[test]
        fn addresses_read_back(ip: IpAddr) {
            let mut out = Vec::new();
            push_address(ip, &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap().parse::<IpAddr>().unwrap(), ip);
        }
    }
}
