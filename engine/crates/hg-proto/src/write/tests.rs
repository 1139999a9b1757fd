use super::*;
use crate::{Admission, HeaderSlots, Known, Limits, Parse, parse_request};
use proptest::prelude::*;

#[test]
fn a_rebuilt_head_has_what_is_ours_once() {
    let input =
        b"POST /a{b}?x|y HTTP/1.1\r\nHost:  a\r\nX-A:1\r\nX-B: 2\r\nConnection: x-a, close\r\n\
        Content-Length: 3\r\nUser-Agent: u\r\nTE: trailers\r\n\r\n";
    let mut slots = HeaderSlots::new();
    let Ok(Parse::Complete(head)) =
        parse_request(input, &mut slots, &Limits::default(), Admission::MOST)
    else {
        panic!("refused");
    };
    let mut out = Vec::new();
    request_line(&mut out, head.method.as_str(), head.path, head.query);
    line(&mut out, "host", head.host.as_bytes());
    fields(&mut out, &head.fields, |f| f.known == Known::UserAgent);
    request_framing(&mut out, head.framing);
    connection(&mut out, Persistence::Implied);
    end(&mut out);
    let expected =
        "POST /a%7Bb%7D?x%7Cy HTTP/1.1\r\nhost: a\r\nX-B: 2\r\ncontent-length: 3\r\n\r\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
}

#[test]
fn response_lines_are_written_for_every_framing() {
    let text = |framing, length| {
        let mut out = Vec::new();
        response_framing(&mut out, framing, length);
        String::from_utf8_lossy(&out).into_owned()
    };
    assert_eq!(text(RespFraming::NoBody, None), "");
    assert_eq!(text(RespFraming::NoBody, Some(9)), "content-length: 9\r\n");
    assert_eq!(text(RespFraming::Length(0), Some(0)), "content-length: 0\r\n");
    assert_eq!(text(RespFraming::UntilClose, None), "transfer-encoding: chunked\r\n");
    let mut out = Vec::new();
    status_line(&mut out, 418, b"I'm a teapot");
    assert_eq!(out, b"HTTP/1.1 418 I'm a teapot\r\n");
}

#[test]
fn dates_are_those_of_the_calendar() {
    for (s, text) in [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (784_111_777, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_827_696, "Tue, 29 Feb 2000 12:34:56 GMT"),
        (4_107_542_399, "Sun, 28 Feb 2100 23:59:59 GMT"),
        (4_107_542_400, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ] {
        assert_eq!(String::from_utf8_lossy(&date(s)), text);
    }
}

proptest! {
    #[test]
    fn targets_are_encoded_as_byte_by_byte(part in "[a-z?/={}|^\"<>`\\[\\]]{0,40}|[a-z/]{0,40}[|}]?") {
        let mut expected = String::new();
        for c in part.chars() {
            match u8::try_from(c) {
                Ok(b) if ENCODED.contains(&b) => expected += &format!("%{b:02X}"),
                _ => expected.push(c),
            }
        }
        let mut out = Vec::new();
        target_part(&mut out, &part);
        prop_assert_eq!(String::from_utf8_lossy(&out), expected);
    }

    #[test]
    fn chunk_headers_are_the_shortest_hex(len in prop_oneof![1u64..300, any::<u64>()]) {
        let header = ChunkHeader::new(len);
        let text = format!("{len:x}\r\n");
        prop_assert_eq!(header.as_bytes(), text.as_bytes());
    }
}
