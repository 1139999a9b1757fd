use super::*;
use crate::decode::{BlockLimits, Decoder};
use crate::text::Text;
use proptest::prelude::*;

const LIMITS: BlockLimits = BlockLimits { fields: 1000, bytes: 1 << 20 };

type Fields = Vec<(Vec<u8>, Vec<u8>)>;

fn block(encoder: &mut Encoder, fields: &[(&str, &str)]) -> Vec<u8> {
    let mut out = Vec::new();
    encoder.begin(&mut out);
    for (name, value) in fields {
        encoder.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal, &mut out);
    }
    out
}

fn read(decoder: &mut Decoder, block: &[u8]) -> Vec<(String, String, bool)> {
    let mut text = Text::new();
    decoder.block(block, &mut text, LIMITS).unwrap();
    let s = |b: &[u8]| String::from_utf8_lossy(b).into_owned();
    text.iter().map(|f| (s(f.name), s(f.value), f.never_indexed)).collect()
}

#[test]
fn a_repeated_field_becomes_one_byte() {
    let mut encoder = Encoder::new();
    let fields = [(":method", "GET"), ("user-agent", "h2load"), ("x-own", "value")];
    let first = block(&mut encoder, &fields);
    assert!(first.len() > 10);
    assert_eq!(block(&mut encoder, &fields), [0x82, 0xbf, 0xbe]);
}

#[test]
fn values_that_take_turns_are_found() {
    let mut encoder = Encoder::new();
    for name in ["server", "x-own"] {
        for value in ["one", "two"] {
            assert!(block(&mut encoder, &[(name, value)]).len() > 3);
        }
        for (value, index) in [("one", 0xbf), ("two", 0xbe), ("one", 0xbf)] {
            assert_eq!(block(&mut encoder, &[(name, value)]), [index]);
        }
    }
}

#[test]
fn secrets_never_enter_a_table() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    let secrets = [
        ("authorization", "Basic YTpi"),
        ("cookie", "a=b"),
        ("set-cookie", "a=b; Secure; HttpOnly; Path=/"),
    ];
    let first = block(&mut encoder, &secrets);
    assert_eq!(block(&mut encoder, &secrets), first);
    assert!(read(&mut decoder, &first).iter().all(|(_, _, never)| *never));
    let mut own = Vec::new();
    encoder.field(b"x-key", b"s3cret", Sensitivity::Secret, &mut own);
    assert!(read(&mut decoder, &own)[0].2);
    let long = [("cookie", "session=0123456789abcdef0123456789abcdef")];
    block(&mut encoder, &long);
    assert_eq!(block(&mut encoder, &long).len(), 1);
}

#[test]
fn changes_of_the_size_are_announced_at_the_next_block() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    block(&mut encoder, &[("x-a", "1")]);
    encoder.set_peer_max(0);
    encoder.set_peer_max(1 << 20);
    let out = block(&mut encoder, &[]);
    assert_eq!(out, [0x20, 0x3f, 0xe1, 0x1f], "down to 0, then up to our own cap of 4096");
    assert!(read(&mut decoder, &out).is_empty());
    encoder.set_peer_max(4096);
    assert_eq!(block(&mut encoder, &[]), b"");
}

#[test]
fn a_table_of_size_0_is_never_used() {
    let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
    encoder.set_peer_max(0);
    for _ in 0..3 {
        let out = block(&mut encoder, &[("x-a", "1"), ("x-a", "1")]);
        assert_eq!(read(&mut decoder, &out).len(), 2);
    }
}

proptest! {
    #[test]
    fn blocks_survive_the_way_through_encoder_and_decoder(
        blocks in prop::collection::vec((prop::collection::vec(
            ("(:path|cookie|x-[a-c]|user-agent|etag|set-cookie|[a-z]{0,300})", "[ -~]{0,60}"),
            0..30), prop::option::of(0_usize..6000)), 0..20))
    {
        let (mut encoder, mut decoder) = (Encoder::new(), Decoder::new(4096));
        let mut text = Text::new();
        for (fields, size) in blocks {
            if let Some(size) = size {
                encoder.set_peer_max(size);
            }
            let mut out = Vec::new();
            encoder.begin(&mut out);
            for (name, value) in &fields {
                encoder.field(name.as_bytes(), value.as_bytes(), Sensitivity::Normal, &mut out);
            }
            decoder.block(&out, &mut text, LIMITS).unwrap();
            let back: Fields = text.iter().map(|f| (f.name.into(), f.value.into())).collect();
            let sent: Fields = fields.into_iter().map(|(n, v)| (n.into(), v.into())).collect();
            prop_assert_eq!(back, sent);
        }
    }
}
