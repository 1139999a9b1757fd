//! The changes that encoding makes to a head, and the buffers that it uses.

use super::*;

#[test]
fn a_body_without_a_length_is_in_chunks_once_it_is_encoded() {
    let gzip = Coded::As(Coding::Gzip);
    for (coded, framing, expected) in [
        (gzip, RespFraming::Length(5), RespFraming::Chunked),
        (gzip, RespFraming::UntilClose, RespFraming::Chunked),
        (gzip, RespFraming::Chunked, RespFraming::Chunked),
        (gzip, RespFraming::NoBody, RespFraming::NoBody),
        (Coded::Plain, RespFraming::Length(5), RespFraming::Length(5)),
        (Coded::Varies, RespFraming::UntilClose, RespFraming::UntilClose),
    ] {
        assert_eq!(coded.framing(framing), expected, "{coded:?} {framing:?}");
    }
    for (coded, keeps) in
        [(Coded::Plain, true), (Coded::Varies, true), (gzip, false), (Coded::Page, false)]
    {
        assert_eq!(coded.keeps_length(), keeps, "{coded:?}");
    }
}

#[test]
fn a_buffer_is_kept_for_the_next_bodies_unless_it_is_large() {
    let mut codecs = Codecs::default();
    let plain = Relay::default();
    codecs.keep(Vec::with_capacity(LARGE));
    assert!(codecs.buffer.capacity() >= LARGE);
    assert_eq!(codecs.buffer_for(&plain).capacity(), 0, "it is not encoded");
    assert!(codecs.buffer.capacity() >= LARGE);
    let encoder = codecs.pool.take(Coding::Gzip, hg_codec::Levels::default());
    let encoded = encoder.map(|encoder| Box::new(Encoded { encoder, flushes: false }));
    let coded = Relay { encoded, ..Relay::default() };
    assert!(codecs.buffer_for(&coded).capacity() >= LARGE);
    assert_eq!(codecs.buffer.capacity(), 0);
    codecs.keep(Vec::with_capacity(LARGE + 1));
    codecs.keep(Vec::new());
    assert_eq!(codecs.buffer.capacity(), 0);
}
