//! Content codings.

use hg_codec::{Accept, Bound, Coding, Decoder, Encoder, Fault, Levels};

const BOUND: Bound = Bound { bytes: 200_000, ratio: 100 };

/// A list of codings means the same on one line and on many; a coded body decodes to the same
/// however it is cut, and never to more than its bound; what is encoded decodes.
pub fn codings(data: &[u8]) {
    let mut joined = Accept::new();
    joined.line(data);
    let mut apart = Accept::new();
    data.split(|b| *b == b',').for_each(|member| apart.line(member));
    assert_eq!(joined, apart);
    if let Some(chosen) = joined.choose(&Coding::ALL) {
        assert_eq!(joined.choose(&[chosen]), Some(chosen));
    }

    let Some((first, rest)) = data.split_first() else { return };
    let coding = Coding::ALL[usize::from(*first) % Coding::ALL.len()];
    let whole = decode(coding, rest, rest.len().max(1));
    for piece in [1, 3, 64] {
        let cut = decode(coding, rest, piece);
        // How much of the input was used when a body grows depends on the pieces.
        if [&cut, &whole].iter().any(|result| **result == Err(Fault::TooDense)) {
            continue;
        }
        // So does which of two faults is seen first.
        assert_eq!(cut.ok(), whole.clone().ok(), "{coding:?} by {piece}");
    }

    let mut out = Vec::new();
    let mut encoder = Encoder::new(coding, Levels::default()).expect("memory");
    for part in rest.chunks(100) {
        encoder.write(part, &mut out);
        encoder.flush(&mut out);
    }
    encoder.finish(&mut out);
    let bound = Bound { bytes: u64::MAX, ratio: u32::MAX };
    assert_eq!(decode_within(coding, &out, 50, bound).as_deref(), Ok(rest));
}

fn decode(coding: Coding, data: &[u8], piece: usize) -> Result<Vec<u8>, Fault> {
    decode_within(coding, data, piece, BOUND)
}

fn decode_within(
    coding: Coding,
    data: &[u8],
    piece: usize,
    bound: Bound,
) -> Result<Vec<u8>, Fault> {
    let mut decoder = Decoder::new(coding, bound).expect("memory");
    let mut out = Vec::new();
    for mut part in data.chunks(piece) {
        loop {
            let before = out.len();
            let fed = decoder.feed(part, 1000, &mut out)?;
            assert!(out.len() as u64 <= bound.bytes.saturating_add(1000));
            part = &part[fed.consumed..];
            if out.len() == before && fed.consumed == 0 {
                break;
            }
        }
    }
    decoder.end()?;
    Ok(out)
}
