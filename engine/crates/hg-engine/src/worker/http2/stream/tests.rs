//! The part of a request's body that a stream keeps.

#![allow(clippy::indexing_slicing, reason = "tests")]

use super::*;

#[test]
fn of_a_body_as_much_goes_on_as_may() {
    let mut s = Stream { id: 1, ..Stream::default() };
    s.came(b"");
    assert_eq!((s.incoming.len(), s.waiting(), s.has_input()), (0, 0, false));
    s.came(b"abc");
    s.came(b"defg");
    assert_eq!((s.waiting(), s.has_input()), (7, true));
    for (most, expected, left) in [(2, "ab", 5), (4, "cdef", 1), (1, "g", 0)] {
        let input = s.take_input(most);
        assert_eq!(
            (&input[..RESERVE], &input[RESERVE..]),
            (&[0; RESERVE][..], expected.as_bytes())
        );
        assert_eq!((s.waiting(), s.has_input()), (left, left > 0));
    }
    assert_eq!(s.take_input(usize::MAX), [0; RESERVE], "there is always room before a body");
    s.has_ended = true;
    assert!(s.has_input(), "an end goes on, too");
}

#[test]
fn a_recycled_stream_is_one_of_http1_and_keeps_small_allocations_alone() {
    let mut s = Stream { id: 5, has_ended: true, is_grpc: true, is_fed: true, ..Stream::default() };
    assert!(s.is_http2());
    s.incoming = Vec::with_capacity(100_000);
    s.came(b"x");
    s.held.hold(b"y");
    let s = s.recycle();
    assert!(!s.is_http2() && !s.has_input() && !s.is_grpc && !s.is_fed && s.held.is_empty());
    assert!((1..=4096).contains(&s.incoming.capacity()));
    assert_eq!((s.deadline, s.timer), (Ticks::MAX, Entry::NONE));
}
