//! Protocol Buffers, as far as items need them (proto3, "Encoding"). Only writes, into one buffer.

const VARINT: u32 = 0;
const FIXED64: u32 = 1;
const BYTES: u32 = 2;
const FIXED32: u32 = 5;

fn tag(out: &mut Vec<u8>, field: u32, kind: u32) {
    varint(out, (field << 3 | kind).into());
}

fn varint(out: &mut Vec<u8>, mut number: u64) {
    while number >= 0x80 {
        out.push(number as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}

/// Writes a number (`uint64`, `int64` that is not negative, `bool`, an enum).
pub fn number(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, VARINT);
    varint(out, number);
}

/// Writes a number of eight bytes.
pub fn fixed64(out: &mut Vec<u8>, field: u32, number: u64) {
    tag(out, field, FIXED64);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes a number of four bytes.
pub fn fixed32(out: &mut Vec<u8>, field: u32, number: u32) {
    tag(out, field, FIXED32);
    out.extend_from_slice(&number.to_le_bytes());
}

/// Writes bytes, or a text that is UTF-8.
pub fn bytes(out: &mut Vec<u8>, field: u32, bytes: &[u8]) {
    head(out, field, bytes.len());
    out.extend_from_slice(bytes);
}

/// Writes what comes before a value of so many bytes.
pub fn head(out: &mut Vec<u8>, field: u32, len: usize) {
    tag(out, field, BYTES);
    varint(out, len as u64);
}

/// Writes a message within a message. Its length stands before it, and is known after it.
pub fn nested(out: &mut Vec<u8>, field: u32, write: impl FnOnce(&mut Vec<u8>)) {
    tag(out, field, BYTES);
    let at = out.len();
    write(out);
    let end = out.len();
    varint(out, (end - at) as u64);
    let length = out.len() - end;
    if let Some(message) = out.get_mut(at..) {
        message.rotate_right(length);
    }
}

/// Writes a text of at most `most` bytes; what is not UTF-8 becomes U+FFFD.
pub fn text(out: &mut Vec<u8>, field: u32, text: &[u8], most: usize) {
    let text = String::from_utf8_lossy(text.get(..most).unwrap_or(text));
    bytes(out, field, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_examples_of_the_encoding() {
        let mut out = Vec::new();
        number(&mut out, 1, 150);
        assert_eq!(out, [0x08, 0x96, 0x01]);
        out.clear();
        text(&mut out, 2, b"testing", 100);
        assert_eq!(out, *b"\x12\x07testing");
        out.clear();
        nested(&mut out, 3, |out| number(out, 1, 150));
        assert_eq!(out, [0x1a, 0x03, 0x08, 0x96, 0x01]);
        out.clear();
        fixed64(&mut out, 7, 0x0102);
        fixed32(&mut out, 16, 0x0102);
        // A number of a field above 15 takes two bytes.
        assert_eq!(out, [0x39, 2, 1, 0, 0, 0, 0, 0, 0, 0x85, 0x01, 2, 1, 0, 0]);
    }

    #[test]
    fn a_long_message_has_a_long_length() {
        let mut out = Vec::new();
        nested(&mut out, 1, |out| out.extend_from_slice(&[7; 300]));
        assert_eq!(out.get(..3), Some(&[0x0a, 0xac, 0x02][..]));
        assert_eq!(out.len(), 303);
        assert!(out.iter().skip(3).all(|b| *b == 7));
    }

    #[test]
    fn a_text_is_cut_and_stays_a_text() {
        let mut out = Vec::new();
        text(&mut out, 1, "é".as_bytes(), 1);
        assert_eq!(out, "\n\u{3}\u{fffd}".as_bytes());
    }
}
