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
        if fed.done {
            return Ok(out);
        }
        if fed.consumed == 0 && out.len() == before {
            decoder.end()?;
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
        longer.push(b'x');
        assert_eq!(decode(coding, &longer, Bound::default()), Err(Fault::Trailing), "{coding:?}");
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
fn a_window_larger_than_clients_know_is_refused() {
    // A frame whose window is 128 MiB (RFC 8878 §3.1.1.1.2), with one block that says so.
    let huge = [0x28, 0xb5, 0x2f, 0xfd, 0x00, 0x88, 0x01, 0x00, 0x00];
    assert_eq!(decode(Coding::Zstd, &huge, Bound::default()), Err(Fault::Corrupt));
}

proptest! {
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
