use super::*;
use proptest::prelude::*;

const KNOWN: [(&[u8], Detected); 30] = [
    (b"", Detected::NeedMore),
    (b"G", Detected::NeedMore),
    (b"GET ", Detected::NeedMore),
    (b"GET /", Detected::Http1),
    (b"\r\nGET /", Detected::Http1),
    (b"\r", Detected::NeedMore),
    (b"\n", Detected::Other),
    (b"VERSION-CONTROL /x", Detected::Http1),
    (b"GET HtTp://a/", Detected::Http1),
    (b"GET http:", Detected::NeedMore),
    (b"OPTIONS * HTTP/1.1\r\n", Detected::Http1),
    (b"OPTIONS * RTSP/1.0\r\n", Detected::Other),
    (b"OPTIONS rtsp://a/", Detected::Other),
    (b"INVITE sip:a@b SIP/2.0", Detected::Other),
    (b"CONNECT a:443", Detected::Http1),
    (b"PRI * HTTP/2.0\r\n", Detected::Http2),
    (b"PRI * HTTP/2", Detected::NeedMore),
    (b"PRI * HTTP/1", Detected::Http1),
    (b"PRI ", Detected::NeedMore),
    (b"PRINT /a", Detected::Http1),
    (b"get /", Detected::Other),
    (b" GET /", Detected::Other),
    (b"EHLO a.example\r\n", Detected::Other),
    (b"SSH-2.0-OpenSSH", Detected::Other),
    (b"PROXY TCP4 1.2.3.4", Detected::Other),
    (b"\x16\x03\x01\x02\x00\x01", Detected::Tls),
    (b"\x16\x03\x01\x02\x00", Detected::NeedMore),
    (b"\x16\x03\x01\x02\x00\x02", Detected::Other),
    (b"\x16\x02", Detected::Other),
    (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", Detected::Other),
];

#[test]
fn first_bytes_are_told_apart() {
    for (bytes, what) in KNOWN {
        assert_eq!(detect(bytes), what, "{}", bytes.escape_ascii());
    }
    assert_eq!(detect(&[b'A'; MAX_METHOD + 1]), Detected::Other);
}

/// Bytes that come near to something.
fn near() -> impl Strategy<Value = Vec<u8>> {
    let parts = prop::sample::select(vec![
        "GET ",
        "PRI * HTTP/2.0\r\n",
        "\r\n",
        "/",
        "* HTTP/1.1",
        "http://",
        "https:",
        "CONNECT ",
        "AB-C",
        "\x16\x03\x01",
        "\0\x01",
        "rtsp://",
        " ",
    ]);
    prop::collection::vec(
        prop_oneof![
            parts.prop_map(|p| p.as_bytes().to_vec()),
            prop::collection::vec(any::<u8>(), 1..4)
        ],
        0..24,
    )
    .prop_map(|all| all.concat())
}

proptest! {
    #[test]
    fn a_verdict_stands_and_comes_in_time(bytes in near()) {
        let whole = detect(&bytes);
        for cut in 0..bytes.len() {
            let part = detect(&bytes[..cut]);
            prop_assert!(part == Detected::NeedMore || part == whole, "{cut}: {part:?}");
        }
        prop_assert!(whole != Detected::NeedMore || bytes.len() < MAX_BYTES);
    }
}
