use super::*;
use crate::{Coding, Encoder, Levels};
use proptest::prelude::*;

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut encoder = Encoder::new(coding, Levels::default()).unwrap();
    let mut out = Vec::new();
    encoder.write(body, &mut out);
    encoder.finish(&mut out);
    out
}

/// Encodes a body with each of these, in order.
fn layered(codings: &[Coding], body: &[u8]) -> Vec<u8> {
    codings.iter().fold(body.to_vec(), |body, coding| encoded(*coding, &body))
}

fn layers(codings: &[Coding], bound: Bound) -> Option<Layers> {
    Layers::new(codings.iter().copied().map(Readable::from), bound)
}

/// Decodes bytes that come in parts of this size, with this room for each call.
fn decode(
    codings: &[Coding],
    bytes: &[u8],
    bound: Bound,
    (part, room): (usize, usize),
) -> Result<Vec<u8>, Fault> {
    let mut one = layers(codings, bound).unwrap();
    let (mut out, mut left) = (Vec::new(), Vec::new());
    for part in bytes.chunks(part) {
        left.extend_from_slice(part);
        loop {
            let before = out.len();
            let fed = one.feed(&left, room, &mut out)?;
            assert!(out.len() - before <= room);
            left.drain(..fed.consumed);
            if !fed.is_full {
                break;
            }
        }
        assert!(left.is_empty());
    }
    one.end().map(|()| out)
}

const ANY: Bound = Bound { bytes: u64::MAX, ratio: u32::MAX };

#[test]
fn the_coding_that_was_applied_last_is_taken_off_first() {
    let body = b"one over the other ".repeat(5000);
    for codings in [
        &[Coding::Gzip][..],
        &[Coding::Gzip, Coding::Brotli],
        &[Coding::Zstd, Coding::Gzip],
        &[Coding::Brotli, Coding::Zstd, Coding::Gzip],
    ] {
        let bytes = layered(codings, &body);
        for sizes in [(1, 64 * 1024), (7, 100), (100_000, 64 * 1024), (100_000, 1)] {
            assert_eq!(decode(codings, &bytes, ANY, sizes).as_deref(), Ok(&body[..]), "{sizes:?}");
        }
        let cut = &bytes[..bytes.len() - 1];
        assert_eq!(decode(codings, cut, ANY, (50, 500)), Err(Fault::Cut), "{codings:?}");
    }
}

#[test]
fn another_order_is_corrupt() {
    let bytes = layered(&[Coding::Gzip, Coding::Brotli], b"body");
    let codings = [Coding::Brotli, Coding::Gzip];
    assert_eq!(decode(&codings, &bytes, ANY, (100, 100)), Err(Fault::Corrupt));
}

#[test]
fn an_inner_body_that_ends_early_is_refused() {
    let inner = encoded(Coding::Gzip, b"a body");
    let codings = [Coding::Gzip, Coding::Zstd];
    let cut = encoded(Coding::Zstd, &inner[..inner.len() - 1]);
    assert_eq!(decode(&codings, &cut, ANY, (100, 100)), Err(Fault::Cut));
    let longer = encoded(Coding::Zstd, &[&inner[..], b"no member begins so"].concat());
    assert_eq!(decode(&codings, &longer, ANY, (100, 100)), Err(Fault::Corrupt));
}

#[test]
fn the_ratio_counts_from_the_outside_to_the_inside() {
    let codings = [Coding::Gzip, Coding::Gzip];
    let body = vec![0; 8 << 20];
    let bytes = layered(&codings, &body);
    let bound = Bound { bytes: u64::MAX, ratio: 1_100 };
    let sizes = (100_000, 64 * 1024);
    let inner = decode(&codings[..1], &bytes, bound, sizes).unwrap();
    assert_eq!(decode(&codings[..1], &inner, bound, sizes).as_deref(), Ok(&body[..]));
    assert_eq!(decode(&codings, &bytes, bound, sizes), Err(Fault::TooDense));
    assert_eq!(decode(&codings, &bytes, ANY, sizes).map(|out| out.len()), Ok(body.len()));
    let small = Bound { bytes: 1 << 20, ratio: u32::MAX };
    assert_eq!(decode(&codings, &bytes, small, sizes), Err(Fault::TooLarge));
}

#[test]
fn a_call_makes_no_more_between_the_codings_than_inside() {
    // Very many members without bytes pack well, and the inner coding makes nothing of them.
    let nothing = encoded(Coding::Gzip, b"").repeat(400_000);
    let bytes = encoded(Coding::Gzip, &nothing);
    let mut one = layers(&[Coding::Gzip; 2], ANY).unwrap();
    let (mut out, mut left, mut calls) = (Vec::new(), &bytes[..], 0);
    loop {
        let fed = one.feed(left, 64 * 1024, &mut out).unwrap();
        left = &left[fed.consumed..];
        calls += 1;
        if !fed.is_full {
            break;
        }
    }
    assert!(left.is_empty() && out.is_empty());
    assert!(calls * (64 + 16) * 1024 >= nothing.len(), "{calls} calls for {}", nothing.len());
}

#[test]
fn there_are_one_to_three() {
    assert!(layers(&[], ANY).is_none());
    assert!(layers(&[Coding::Gzip; MOST_LAYERS], ANY).is_some());
    assert!(layers(&[Coding::Gzip; MOST_LAYERS + 1], ANY).is_none());
}

#[test]
fn memory_counts_as_windows_are_filled() {
    let codings = [Coding::Zstd, Coding::Gzip];
    let bytes = layered(&codings, &vec![7; 3 << 20]);
    let mut one = layers(&codings, ANY).unwrap();
    let before = one.held();
    let mut out = Vec::new();
    let mut left = &bytes[..];
    loop {
        let fed = one.feed(left, 1 << 20, &mut out).unwrap();
        left = &left[fed.consumed..];
        if !fed.is_full {
            break;
        }
    }
    assert_eq!(one.held(), before + (3 << 20));
}

proptest! {
    #[test]
    fn any_bytes_end_within_the_bound(
        bytes in any::<Vec<u8>>(), room in 1usize..10_000,
        which in prop::collection::vec(0usize..3, 1..4), wraps in any::<bool>(),
    ) {
        let codings: Vec<_> = which.iter().map(|at| Coding::ALL[*at]).collect();
        let bytes = if wraps { encoded(*codings.last().unwrap(), &bytes) } else { bytes };
        let bound = Bound { bytes: 5_000, ratio: 10 };
        let mut one = layers(&codings, bound).unwrap();
        let (mut out, mut left) = (Vec::new(), &bytes[..]);
        while let Ok(fed) = one.feed(left, room, &mut out) {
            left = &left[fed.consumed..];
            if !fed.is_full {
                break;
            }
        }
        prop_assert!(out.len() <= 5_000 + room.min(8 * 1024));
    }
}
