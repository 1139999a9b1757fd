//! What comes before the bytes of a relayed connection.

use hg_relay::detect::{Detected, MAX_BYTES as DETECT_BYTES, detect};
use hg_relay::proxy_protocol::{Fault, MAX_BYTES, Parse, Presence, parse, presence};

/// A PROXY header: a prefix never gets another verdict than the whole, and what is read stays
/// within the input and the bound.
pub fn proxy_header(data: &[u8]) {
    let whole = parse(data);
    assert_eq!(presence(data) == Presence::No, whole == Err(Fault::Missing));
    for cut in super::cuts(data.len()) {
        let part = parse(&data[..cut]);
        assert!(part == Ok(Parse::Partial) || part == whole, "{part:?} of {whole:?}");
    }
    let Ok(Parse::Complete(header)) = whole else {
        return;
    };
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
