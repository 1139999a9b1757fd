//! What comes before the bytes of a relayed connection.

use hg_relay::detect::{Detected, MAX_BYTES as DETECT_BYTES, detect};
use hg_relay::proxy_protocol::{
    Addresses, Fault, MAX_BYTES, Parse, Presence, Transport, parse, parse_datagram, presence,
};

/// A PROXY header: a prefix never gets another verdict than the whole, and what is read stays
/// within the input and the bound.
pub fn proxy_header(data: &[u8]) {
    let whole = parse(data);
    assert_eq!(presence(data) == Presence::No, whole == Err(Fault::Missing));
    for cut in super::cuts(data.len()) {
        let part = parse(&data[..cut]);
        assert!(part == Ok(Parse::Partial) || part == whole, "{part:?} of {whole:?}");
    }
    let in_front = parse_datagram(data);
    let Ok(Parse::Complete(header)) = whole else {
        assert!(in_front.is_err(), "{in_front:?} of {whole:?}");
        return;
    };
    // What stands in front of a datagram is read alike, but for what tells of streams.
    let is_stream =
        matches!(header.addresses, Addresses::Passed { transport: Transport::Stream, .. });
    assert!(in_front == Ok(header) || is_stream || data.starts_with(b"PROXY "));
    assert!(header.len <= data.len().min(MAX_BYTES));
    let values: usize = header.tlvs.iter().map(|tlv| tlv.value.len() + 3).sum();
    assert!(values < header.len, "{values} of {}", header.len);
    assert_eq!(parse(&data[..header.len]), whole, "what follows changed the header");
}

/// The first bytes of a connection: a verdict stands whatever follows, and comes in bounded time.
pub fn first_bytes(data: &[u8]) {
    let whole = detect(data);
    for cut in super::cuts(data.len()) {
        let part = detect(&data[..cut]);
        assert!(part == Detected::NeedMore || part == whole, "{part:?} of {whole:?}");
    }
    assert!(whole != Detected::NeedMore || data.len() < DETECT_BYTES);
}
