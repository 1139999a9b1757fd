//! The framing of a part of a body.

#![allow(clippy::indexing_slicing, reason = "tests")]

use super::*;

const START: usize = 40;

/// Frames a part of these bytes that stands behind 40 others, and before as much as a decoder may have
/// left behind it. Returns what goes out.
fn framed(relay: &mut Relay, body: &[u8], done: bool) -> Vec<u8> {
    let mut buffer = [&[b'#'; START][..], body, &[b'#'; 3]].concat();
    let fed = Fed { consumed: body.len(), data_len: body.len(), done };
    let range = frame(relay, &mut buffer, START, &fed);
    assert_eq!(&buffer[..START - RESERVE], [b'#'; START - RESERVE], "only the reserve is used");
    buffer[range].to_vec()
}

fn relay(chunked: bool, trailers: &str) -> Relay {
    let trailers = trailers.as_bytes().to_vec();
    Relay { chunked, trailers, done: false, ..Relay::default() }
}

#[test]
fn a_part_is_a_chunk_where_the_message_is_chunked() {
    let mut plain = relay(false, "");
    assert_eq!(framed(&mut plain, b"abc", false), b"abc");
    assert_eq!((plain.bytes, plain.done), (3, false));
    assert_eq!(framed(&mut plain, b"de", true), b"de");
    assert_eq!((plain.bytes, plain.done), (5, true));
    let mut chunked = relay(true, "");
    assert_eq!(framed(&mut chunked, b"", false), b"");
    assert_eq!(
        framed(&mut chunked, &[b'x'; 26], false),
        [b"1a\r\n", &[b'x'; 26][..], b"\r\n"].concat()
    );
    assert_eq!((chunked.bytes, chunked.done), (26, false));
    assert_eq!(framed(&mut chunked, b"abc", true), b"3\r\nabc\r\n0\r\n\r\n");
    assert_eq!((chunked.bytes, chunked.done), (29, true));
    assert_eq!(framed(&mut relay(true, ""), b"", true), b"0\r\n\r\n");
}

#[test]
fn trailers_follow_the_last_chunk() {
    let long = format!("a: {}\r\nb: c\r\n", "x".repeat(200));
    let end = format!("2\r\nab\r\n0\r\n{long}\r\n");
    assert_eq!(framed(&mut relay(true, &long), b"ab", true), end.as_bytes());
    assert_eq!(framed(&mut relay(false, &long), b"ab", true), b"ab");
}

#[test]
fn the_part_at_hand_is_the_last_where_its_sender_says_so() {
    let mut one = relay(true, "");
    one.ends = true;
    assert_eq!(framed(&mut one, b"a", false), b"1\r\na\r\n0\r\n\r\n");
    assert!(one.done);
}
