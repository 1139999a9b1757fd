use super::is_worth_parsing;
use crate::{Admission, HeaderSlots, Limits, Method, Parse, Reject, parse_request, parse_response};
use proptest::prelude::*;

/// Feeds a head in pieces. Returns what it was judged, and how many bytes the parser was given.
fn fed(
    head: &[u8],
    sizes: impl Iterator<Item = usize>,
    limits: &Limits,
    parse: impl Fn(&[u8]) -> Result<Option<usize>, Reject>,
) -> (Result<Option<usize>, Reject>, usize) {
    let (mut at, mut work) = (0, 0);
    for size in sizes {
        let end = head.len().min(at + size.max(1));
        if at == 0 || is_worth_parsing(at, &head[at..end], limits) {
            work += end;
            match parse(&head[..end]) {
                Ok(None) => {}
                told => return (told, work),
            }
        }
        at = end;
        if at == head.len() {
            break;
        }
    }
    (Ok(None), work)
}

fn request(limits: &Limits) -> impl Fn(&[u8]) -> Result<Option<usize>, Reject> + '_ {
    |bytes| match parse_request(bytes, &mut HeaderSlots::new(), limits, Admission::default())? {
        Parse::Complete(head) => Ok(Some(head.head_len)),
        Parse::Partial => Ok(None),
    }
}

fn response(limits: &Limits) -> impl Fn(&[u8]) -> Result<Option<usize>, Reject> + '_ {
    |bytes| match parse_response(bytes, &mut HeaderSlots::new(), limits, Method::Get)? {
        Parse::Complete(head) => Ok(Some(head.head_len)),
        Parse::Partial => Ok(None),
    }
}

fn lines(first: &str, count: usize, size: usize) -> Vec<u8> {
    let mut head = first.to_owned();
    (0..count).for_each(|i| head += &format!("x-{i}: {}\r\n", "v".repeat(size)));
    (head + "\r\n").into_bytes()
}

#[test]
fn a_head_that_trickles_in_is_parsed_once_a_line() {
    let limits = Limits::default();
    for (count, size) in [(1, 30_000), (90, 300), (90, 1)] {
        let head = lines("GET / HTTP/1.1\r\nhost: a\r\n", count, size);
        let (told, work) = fed(&head, std::iter::repeat(1), &limits, request(&limits));
        assert_eq!(told.unwrap(), Some(head.len()));
        assert!(work <= 1024 * 1024 + (count + 4) * head.len(), "{count} {size}: {work}");
        let head = lines("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n", count, size);
        let (told, work) = fed(&head, std::iter::repeat(1), &limits, response(&limits));
        assert_eq!(told.unwrap(), Some(head.len()));
        assert!(work <= 1024 * 1024 + (count + 4) * head.len(), "{count} {size}: {work}");
    }
}

#[test]
fn a_head_without_an_end_is_refused_at_the_limit() {
    let limits = Limits::default();
    let endless = [b"GET /".to_vec(), vec![b'a'; limits.head_bytes]].concat();
    let (told, work) = fed(&endless, std::iter::repeat(1), &limits, request(&limits));
    assert_eq!(told.unwrap_err().status, 414);
    assert!(work <= 1024 * 1024 + 2 * limits.head_bytes, "{work}");
}

proptest! {
    #[test]
    fn pieces_are_judged_as_the_whole(
        (count, size) in (0usize..140, 0usize..400),
        sizes in proptest::collection::vec(1usize..3_000, 1..40),
        damage in proptest::option::of((any::<prop::sample::Index>(), any::<u8>())),
    ) {
        let limits = Limits::default();
        let mut head = lines("GET / HTTP/1.1\r\nhost: a\r\n", count, size);
        if let Some((at, byte)) = damage {
            let at = at.index(head.len());
            head[at] = byte;
        }
        let whole = request(&limits)(&head);
        let (told, _) = fed(&head, sizes.iter().copied().cycle(), &limits, request(&limits));
        // Heads of several faults may be refused for the first one that is there.
        match (told, whole) {
            (Ok(told), Ok(whole)) => prop_assert_eq!(told, whole),
            (told, whole) => prop_assert_eq!(told.is_err(), whole.is_err()),
        }
    }
}
