use super::*;
use proptest::prelude::*;

/// Returns the body, the trailers and the number of bytes used; feeds pieces of at most `piece`
/// bytes.
fn decode(wire: &[u8], piece: usize) -> Result<(Vec<u8>, String, usize), &'static str> {
    let mut decoder = ChunkedDecoder::new();
    let (mut body, mut used) = (Vec::new(), 0);
    for part in wire.chunks(piece) {
        let mut part = part.to_vec();
        let d = decoder.feed(&mut part).map_err(|r| r.code)?;
        body.extend_from_slice(&part[..d.data_len]);
        used += d.consumed;
        if d.done {
            return Ok((body, String::from_utf8_lossy(decoder.trailers()).into(), used));
        }
        assert_eq!(d.consumed, part.len());
    }
    Err("partial")
}

#[test]
fn bodies_are_decoded_whatever_the_split() {
    let wire = b"5\r\nhello\r\n00A;x=\"y\"\r\n0123456789\r\n0\r\nX-Sum: 1 \r\nHost: no\r\n\r\nnext";
    for piece in 1..=wire.len() {
        let (body, trailers, used) = decode(wire, piece).unwrap();
        assert_eq!(body, b"hello0123456789");
        assert_eq!(trailers, "X-Sum: 1\r\n");
        assert_eq!(used, wire.len() - 4);
    }
}

#[test]
fn the_smallest_body_is_the_last_chunk() {
    assert_eq!(decode(b"0\r\n\r\n", 5), Ok((vec![], String::new(), 5)));
    assert_eq!(decode(b"000\r\n\r\n", 9), Ok((vec![], String::new(), 7)));
    assert_eq!(decode(b"0\r\n", 9), Err("partial"));
}

#[test]
fn malformed_chunks_are_refused_whatever_the_split() {
    for (wire, code) in [
        ("\r\n", "chunk-size"),
        ("g\r\n", "chunk-size"),
        ("-1\r\n", "chunk-size"),
        ("0x5\r\n", "chunk-size"),
        (" 5\r\n", "chunk-size"),
        ("5 \r\n", "chunk-size"),
        ("5\t;a\r\n", "chunk-size"),
        ("5\n", "chunk-size"),
        ("5\r\r", "chunk-size"),
        (";a\r\n", "chunk-size"),
        ("00000000000000005\r\n", "chunk-size"),
        ("1\r\nab\r\n", "chunk-end"),
        ("1\r\na\n", "chunk-end"),
        ("1\r\na\rx", "chunk-end"),
        ("0\r\na\r\n\r\n", "trailer"),
        ("0\r\n a: b\r\n", "trailer"),
        ("0\r\na: b\r\n c\r\n", "trailer"),
        ("0\r\na : b\r\n", "trailer"),
        ("0\r\n: b\r\n", "trailer"),
        ("0\r\na: b\n", "trailer"),
        ("0\r\na: \0\r\n", "trailer"),
        ("0\r\n\n", "trailer"),
        ("0\r\na: b\rc", "trailer"),
        ("0\r\n\rx", "trailer"),
    ] {
        for piece in 1..=wire.len() {
            assert_eq!(decode(wire.as_bytes(), piece), Err(code), "{wire:?} by {piece}");
        }
    }
}

#[test]
fn malformed_extensions_are_refused_whatever_the_split() {
    for wire in [
        "1;a\nb",
        "1;\0\r\n",
        "1;\r\n",
        "1; \r\n",
        "1;;a\r\n",
        "1;a;\r\n",
        "1;=a\r\n",
        "1;a=\r\n",
        "1;a=b=c\r\n",
        "1;a b\r\n",
        "1;a \r\n",
        "1;a=b c\r\n",
        "1;a=b \r\n",
        "1;\"a\"\r\n",
        "1;a=\"b\r\n",
        "1;a=\"\r\nb\"\r\n",
        "1;a=\"\rb\"\r\n",
        "1;a=\"\nb\"\r\n",
        "1;a=\"b\\\r\n",
        "1;a=\"b\"c\r\n",
        "1;a=\"b\0\"\r\n",
        "1;a=b\"c\"\r\n",
        "1;a,b\r\n",
    ] {
        for piece in 1..=wire.len() {
            assert_eq!(
                decode(wire.as_bytes(), piece),
                Err("chunk-extension"),
                "{wire:?} by {piece}"
            );
        }
    }
}

#[test]
fn extensions_that_the_grammar_has_are_dropped_whatever_the_split() {
    for extension in [
        "a",
        " a",
        "\ta ;b",
        "a=b",
        "a = b",
        "a\t=\t\"b\" ; c",
        "a=\"\"",
        "a=\"b c;\t\\\"d\\\\\"",
        "!#$%&'*+-.^_`|~09=az;AZ",
    ] {
        let wire = format!("1;{extension}\r\nx\r\n0;{extension}\r\n\r\n");
        for piece in 1..=wire.len() {
            let got = decode(wire.as_bytes(), piece).map(|d| d.0);
            assert_eq!(got, Ok(b"x".to_vec()), "{wire:?} by {piece}");
        }
    }
}

#[test]
fn what_may_grow_is_bounded() {
    let ext = |n| format!("1;{}\r\na\r\n", "x".repeat(n));
    assert_eq!(
        decode(format!("{}0\r\n\r\n", ext(256)).as_bytes(), 99).map(|d| d.0),
        Ok(b"a".to_vec())
    );
    assert_eq!(decode(ext(257).as_bytes(), 99), Err("chunk-extension"));
    assert_eq!(decode(ext(250).repeat(66).as_bytes(), 999), Err("chunk-extension"));
    let lines = |n: usize| format!("0\r\n{}\r\n", "a: b\r\n".repeat(n));
    assert!(decode(lines(32).as_bytes(), 999).is_ok());
    assert_eq!(decode(lines(33).as_bytes(), 999), Err("trailer-bytes"));
    let long = format!("0\r\na: {}", "b".repeat(9000));
    assert_eq!(decode(long.as_bytes(), 999), Err("trailer-bytes"));
}

#[test]
fn trailers_never_carry_framing_routing_or_credentials() {
    let names = [
        "Content-Length",
        "transfer-encoding",
        "Host",
        "Connection",
        "Keep-Alive",
        "TE",
        "Trailer",
        "Upgrade",
        "Authorization",
        "Cookie",
        "Set-Cookie",
        "Content-Type",
        "Content-Encoding",
        "X-Forwarded-For",
        "X-Forwarded-Anything",
        "Forwarded",
        "X-Real-IP",
        "Proxy-Authorization",
        "Cache-Control",
        "Expect",
        "Range",
        "Location",
    ];
    let lines: String = names.iter().map(|n| format!("{n}: 1\r\n")).collect();
    let wire = format!("0\r\n{lines}Digest: x\r\nServer-Timing:y\r\n\r\n");
    assert_eq!(decode(wire.as_bytes(), 7).unwrap().1, "Digest: x\r\nServer-Timing: y\r\n");
}

#[test]
fn the_largest_size_does_not_overflow() {
    let mut decoder = ChunkedDecoder::new();
    let mut wire = b"ffffffffffffffff\r\nabc".to_vec();
    let d = decoder.feed(&mut wire).unwrap();
    assert_eq!((d.data_len, &wire[..3]), (3, &b"abc"[..]));
    assert_eq!(decoder.chunk_left(), u64::MAX - 3);
}

proptest! {
    #[test]
    fn what_was_encoded_is_decoded(chunks in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 0..8), piece in 1usize..50) {
        let mut wire = Vec::new();
        for chunk in &chunks {
            crate::write::chunk_header(&mut wire, chunk.len() as u64);
            wire.extend_from_slice(chunk);
            wire.extend_from_slice(b"\r\n");
        }
        crate::write::last_chunk(&mut wire, b"x: y\r\n");
        let (body, trailers, used) = decode(&wire, piece).unwrap();
        prop_assert_eq!(body, chunks.concat());
        prop_assert_eq!(trailers, "x: y\r\n");
        prop_assert_eq!(used, wire.len());
    }

    #[test]
    fn any_bytes_give_the_same_whatever_the_split(wire in "[0-9a-f;\r\nx: =\"\\\\]{0,60}", piece in 1usize..9) {
        prop_assert_eq!(decode(wire.as_bytes(), piece), decode(wire.as_bytes(), 1000));
    }
}
