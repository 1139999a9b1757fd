use super::*;
use crate::{Encoder, Levels};
use proptest::prelude::*;

fn encoded(coding: Coding, body: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let mut encoder = Encoder::new(coding, Levels::default()).unwrap();
    encoder.write(body, &mut out);
    encoder.finish(&mut out);
    out
}

/// Decodes with as much room as asked for at each call.
fn run(decoder: &mut Decoder, mut bytes: &[u8], room: usize) -> Result<Vec<u8>, Fault> {
    let mut out = Vec::new();
    loop {
        let before = out.len();
        let fed = decoder.feed(bytes, room, &mut out)?;
        assert!(out.len() - before <= room);
        bytes = &bytes[fed.consumed..];
        assert_eq!(fed.is_full, out.len() - before == room);
        if bytes.is_empty() && !fed.is_full {
            return decoder.end().map(|()| out);
        }
    }
}

fn decode(coding: Coding, bytes: &[u8], bound: Bound) -> Result<Vec<u8>, Fault> {
    run(&mut Decoder::new(coding, bound).unwrap(), bytes, 4000)
}

#[test]
fn a_bomb_stops_at_its_bytes() {
    let zeros = vec![0; 50_000_000];
    for coding in Coding::ALL {
        let bomb = encoded(coding, &zeros);
        assert!(bomb.len() < 60_000, "{coding:?}: {}", bomb.len());
        let bound = Bound { bytes: 100_000, ratio: u32::MAX };
        let mut decoder = Decoder::new(coding, bound).unwrap();
        assert_eq!(run(&mut decoder, &bomb, usize::MAX), Err(Fault::TooLarge), "{coding:?}");
        assert!(decoder.made <= 100_000 + TURN as u64, "{coding:?}");
    }
}

#[test]
fn a_bomb_stops_at_its_ratio() {
    let zeros = vec![0; 5_000_000];
    for coding in Coding::ALL {
        let bound = Bound { bytes: u64::MAX, ratio: 100 };
        let mut decoder = Decoder::new(coding, bound).unwrap();
        let result = run(&mut decoder, &encoded(coding, &zeros), usize::MAX);
        assert_eq!(result, Err(Fault::TooDense), "{coding:?}");
    }
}

#[test]
fn a_small_body_may_be_dense() {
    for coding in Coding::ALL {
        let zeros = vec![0; 60_000];
        assert_eq!(decode(coding, &encoded(coding, &zeros), Bound::default()), Ok(zeros));
    }
}

#[test]
fn a_body_ends_where_it_ends() {
    for coding in Coding::ALL {
        let whole = encoded(coding, b"a body of some length, a body of some length");
        let mut longer = whole.clone();
        longer.extend_from_slice(b"no member begins so");
        let wrong = if coding == Coding::Brotli { Fault::Trailing } else { Fault::Corrupt };
        assert_eq!(decode(coding, &longer, Bound::default()), Err(wrong), "{coding:?}");
        for len in 0..whole.len() {
            let result = decode(coding, &whole[..len], Bound::default());
            assert_eq!(result, Err(Fault::Cut), "{coding:?} {len}");
        }
    }
}

#[test]
fn a_body_of_another_coding_is_refused() {
    for coding in Coding::ALL {
        let result = decode(coding, b"<!doctype html>", Bound::default());
        assert!(matches!(result, Err(Fault::Corrupt | Fault::Cut | Fault::Trailing)), "{coding:?}");
    }
}

#[test]
fn a_body_may_have_several_members() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let whole = [&b"one "[..], b"", b"two"].map(|part| encoded(coding, part)).concat();
        for room in [1, 3, 4, 4000] {
            let mut decoder = Decoder::new(coding, Bound::default()).unwrap();
            assert_eq!(run(&mut decoder, &whole, room).as_deref(), Ok(&b"one two"[..]));
        }
        let cut = &whole[..whole.len() - 1];
        assert_eq!(decode(coding, cut, Bound::default()), Err(Fault::Cut), "{coding:?}");
    }
}

/// `deflate` of the text "deflate, deflate, deflate", as Python's zlib.compress writes it.
const DEFLATED: &[u8] = &[
    0x78, 0x9c, 0x4b, 0x49, 0x4d, 0xcb, 0x49, 0x2c, 0x49, 0xd5, 0x51, 0x48, 0x41, 0x63, 0x00, 0x00,
    0x75, 0xfc, 0x09, 0x18,
];

#[test]
fn deflate_is_what_zlib_writes() {
    let decoded = |bytes: &[u8]| {
        run(&mut Decoder::new(Readable::Deflate, Bound::default()).unwrap(), bytes, 7)
    };
    assert_eq!(decoded(DEFLATED).as_deref(), Ok(&b"deflate, deflate, deflate"[..]));
    assert_eq!(decoded(&DEFLATED[2..]), Err(Fault::Corrupt), "without zlib's wrapping");
    assert_eq!(decoded(&[DEFLATED, DEFLATED].concat()), Err(Fault::Trailing));
    assert_eq!(decoded(&DEFLATED[..19]), Err(Fault::Cut));
}

#[test]
fn a_window_larger_than_clients_know_is_refused() {
    // A frame whose window is 128 MiB (RFC 8878 §3.1.1.1.2), with one block that says so.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
    assert_eq!(decode(Coding::Zstd, &huge, Bound::default()), Err(Fault::Corrupt));
}

/// Returns a frame that says how many bytes it decodes to, with one block of these (RFC 8878 §3.1.1).
fn frame(says: u8, bytes: &[u8]) -> Vec<u8> {
    let block = u8::try_from(bytes.len()).unwrap() << 3 | 1;
    [&[0x28, 0xb5, 0x2f, 0xfd, 0x20, says, block, 0, 0], bytes].concat()
}

#[test]
fn a_frame_has_as_many_bytes_as_it_says_however_it_is_cut() {
    let in_pieces = |bytes: &[u8], piece: usize| {
        let mut decoder = Decoder::new(Coding::Zstd, Bound::default()).unwrap();
        let mut out = Vec::new();
        for part in bytes.chunks(piece) {
            let fed = decoder.feed(part, 1000, &mut out)?;
            assert_eq!(fed.consumed, part.len());
        }
        decoder.end().map(|()| out)
    };
    for piece in 1..40 {
        let whole = [frame(2, b"ok"), frame(0, b""), frame(7, b" at all")].concat();
        assert_eq!(in_pieces(&whole, piece).as_deref(), Ok(&b"ok at all"[..]), "{piece}");
        for (says, bytes) in [(136, &b""[..]), (1, b""), (3, b"ok"), (1, b"ok"), (0, b"ok")] {
            for before in [Vec::new(), frame(3, b"yes")] {
                let wrong = [before, frame(says, bytes)].concat();
                assert_eq!(in_pieces(&wrong, piece), Err(Fault::Corrupt), "{says} {piece}");
            }
        }
    }
}

proptest! {
    #[test]
    fn any_parts_make_the_whole(
        body in any::<Vec<u8>>(), repeats in 1usize..200,
        cuts in prop::collection::vec(1usize..300, 1..20), room in 1usize..5000, which in 0usize..3,
    ) {
        let body = body.repeat(repeats);
        let bytes = encoded(Coding::ALL[which], &body);
        let bound = Bound { bytes: u64::MAX, ratio: u32::MAX };
        let mut decoder = Decoder::new(Coding::ALL[which], bound).unwrap();
        let (mut out, mut left, mut at) = (Vec::new(), Vec::new(), 0);
        let mut cuts = cuts.iter().cycle();
        while at < bytes.len() || !left.is_empty() {
            let next = (at + cuts.next().unwrap()).min(bytes.len());
            left.extend_from_slice(&bytes[at..next]);
            at = next;
            let fed = decoder.feed(&left, room, &mut out).unwrap();
            left.drain(..fed.consumed);
        }
        while decoder.feed(&[], room, &mut out).unwrap().is_full {}
        prop_assert_eq!(decoder.end(), Ok(()));
        prop_assert_eq!(out, body);
    }

    #[test]
    fn any_bytes_end_within_the_bound(
        bytes in any::<Vec<u8>>(), room in 1usize..10_000, which in 0usize..3,
    ) {
        let bound = Bound { bytes: 50_000, ratio: 100 };
        let mut decoder = Decoder::new(Coding::ALL[which], bound).unwrap();
        let _ = run(&mut decoder, &bytes, room);
        prop_assert!(decoder.made <= 50_000 + TURN as u64);
    }

    #[test]
    fn a_damaged_body_ends_within_the_bound(
        body in any::<Vec<u8>>(), at in any::<prop::sample::Index>(), byte: u8, which in 0usize..3,
    ) {
        let coding = Coding::ALL[which];
        let mut bytes = encoded(coding, &body);
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let bound = Bound { bytes: 50_000, ratio: 100 };
        let mut decoder = Decoder::new(coding, bound).unwrap();
        let _ = run(&mut decoder, &bytes, 1000);
        prop_assert!(decoder.made <= 50_000 + TURN as u64);
    }
}
