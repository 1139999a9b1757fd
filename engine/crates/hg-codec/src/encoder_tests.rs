use super::*;
use crate::{Bound, Decoder};
use proptest::prelude::*;

const WIDE: Bound = Bound { bytes: u64::MAX, ratio: u32::MAX };

fn decoded(coding: Coding, mut bytes: &[u8]) -> Vec<u8> {
    let mut decoder = Decoder::new(coding, WIDE).unwrap();
    let mut out = Vec::new();
    loop {
        let fed = decoder.feed(bytes, 1000, &mut out).unwrap();
        bytes = &bytes[fed.consumed..];
        if fed.done {
            assert!(bytes.is_empty());
            return out;
        }
    }
}

/// Returns what a client has before the end of the body.
fn decoded_so_far(coding: Coding, bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let fed = Decoder::new(coding, WIDE).unwrap().feed(bytes, usize::MAX, &mut out).unwrap();
    assert!(!fed.done);
    out
}

fn encoder(coding: Coding) -> Encoder {
    Encoder::new(coding, Levels::default()).unwrap()
}

fn text() -> Vec<u8> {
    (0..3000)
        .flat_map(|n| format!("{{\"id\": {n}, \"name\": \"item {}\"}}\n", n * 7).into_bytes())
        .collect()
}

#[test]
fn a_text_becomes_smaller_and_comes_back() {
    for coding in Coding::ALL {
        let (mut encoder, mut out) = (encoder(coding), Vec::new());
        for part in text().chunks(700) {
            encoder.write(part, &mut out);
        }
        encoder.finish(&mut out);
        assert!(out.len() * 4 < text().len(), "{coding:?}: {} of {}", out.len(), text().len());
        assert_eq!(decoded(coding, &out), text(), "{coding:?}");
    }
}

#[test]
fn what_is_flushed_can_be_read_at_once() {
    for coding in Coding::ALL {
        let (mut encoder, mut out, mut sent) = (encoder(coding), Vec::new(), Vec::new());
        for event in ["data: one\n\n", "data: two\n\n", "data: three\n\n"] {
            encoder.write(event.as_bytes(), &mut out);
            encoder.flush(&mut out);
            sent.extend_from_slice(event.as_bytes());
            assert_eq!(decoded_so_far(coding, &out), sent, "{coding:?}");
        }
        encoder.finish(&mut out);
        assert_eq!(decoded(coding, &out), sent, "{coding:?}");
    }
}

#[test]
fn an_empty_body_has_an_end() {
    for coding in Coding::ALL {
        let mut out = Vec::new();
        encoder(coding).finish(&mut out);
        assert_eq!(decoded(coding, &out), b"", "{coding:?}");
    }
}

#[test]
fn an_encoder_serves_several_bodies() {
    for coding in [Coding::Gzip, Coding::Zstd] {
        let mut out = Vec::new();
        let mut next = encoder(coding);
        next.write(b"abandoned", &mut out);
        let mut next = next.again().unwrap();
        for body in [b"one".as_slice(), b"two"] {
            out.clear();
            next.write(body, &mut out);
            next = next.finish(&mut out).unwrap();
            assert_eq!(decoded(coding, &out), body, "{coding:?}");
        }
    }
}

#[test]
fn every_level_makes_what_can_be_read() {
    for level in 0..=255 {
        let levels = Levels { gzip: level, brotli: level, zstd: level };
        for coding in Coding::ALL {
            if level > 12 && level < 255 {
                continue;
            }
            let (mut encoder, mut out) = (Encoder::new(coding, levels).unwrap(), Vec::new());
            encoder.write(&text()[..5000], &mut out);
            encoder.finish(&mut out);
            assert_eq!(decoded(coding, &out), text()[..5000], "{coding:?} {level}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn any_body_comes_back_however_it_is_cut_and_flushed(
        parts in proptest::collection::vec((any::<Vec<u8>>(), any::<bool>()), 0..8),
    ) {
        for coding in Coding::ALL {
            let (mut encoder, mut out) = (encoder(coding), b"before".to_vec());
            for (part, flushes) in &parts {
                encoder.write(part, &mut out);
                if *flushes {
                    encoder.flush(&mut out);
                }
            }
            encoder.finish(&mut out);
            let whole: Vec<u8> = parts.iter().flat_map(|(part, _)| part.clone()).collect();
            prop_assert_eq!(&out[..6], b"before");
            prop_assert_eq!(decoded(coding, &out[6..]), whole);
        }
    }
}
