//! Heads that the worker wrote as HTTP/1 text, taken apart for a session.

/// Returns the status of an answer's head; 502 if it has none.
pub(super) fn status(head: &[u8]) -> u16 {
    let digits = head.get(9..12).unwrap_or_default();
    std::str::from_utf8(digits).ok().and_then(|text| text.parse().ok()).unwrap_or(502)
}

/// Returns the lines of a head after its first one.
pub(super) fn lines(head: &[u8]) -> &[u8] {
    let first = head.iter().position(|b| *b == b'\n');
    first.and_then(|at| head.get(at + 1..)).unwrap_or_default()
}

/// Returns where the body begins that follows a head in the same buffer.
pub(super) fn body_start(bytes: &[u8]) -> usize {
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
    end.map_or(bytes.len(), |at| at + 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_taken_apart() {
        let text = b"HTTP/1.1 404 Not Found\r\nA: b\r\n\r\nC: body";
        let end = body_start(text);
        assert_eq!(text.get(end..), Some(&b"C: body"[..]));
        let head = text.get(..end).unwrap_or_default();
        assert_eq!((status(head), lines(head)), (404, &b"A: b\r\n\r\n"[..]));
    }
}
