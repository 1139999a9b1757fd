use super::*;
use crate::reject::rejects;
use crate::{HeaderSlots, Limits, Method, Parse, RespFraming, parse_response};

const DATE: &[u8] = b"Sun, 06 Nov 1994 08:49:37 GMT";

#[test]
fn every_refusal_makes_an_answer_that_parses() {
    for reject in rejects::ALL {
        let mut out = Vec::new();
        write_error(&mut out, &ErrorAnswer::refusal(reject, DATE), "headgate");
        let mut slots = HeaderSlots::new();
        let parsed = parse_response(&out, &mut slots, &Limits::default(), Method::Get);
        let Ok(Parse::Complete(head)) = parsed else { panic!("{}: {parsed:?}", reject.code) };
        assert_eq!(head.status, reject.status);
        assert!(!head.keep_alive);
        assert!(!head.reason.is_empty());
        assert_eq!(head.framing, RespFraming::Length((out.len() - head.head_len) as u64));
    }
}

#[test]
fn codes_are_unique_and_error_tokens_are_registered() {
    let registered = [
        "http_request_error",
        "http_request_denied",
        "http_protocol_error",
        "http_response_header_section_size",
        "http_response_transfer_coding",
        "http_response_trailer_section_size",
        "http_response_incomplete",
        "http_upgrade_failed",
    ];
    let mut codes: Vec<_> = rejects::ALL.iter().map(|r| r.code).collect();
    codes.sort_unstable();
    codes.dedup();
    assert_eq!(codes.len(), rejects::ALL.len());
    for reject in rejects::ALL {
        assert!(registered.contains(&reject.reason), "{}", reject.reason);
    }
}

#[test]
fn the_answer_reads_as_documented() {
    let answer = ErrorAnswer {
        status: 503,
        error: "destination_unavailable",
        detail: "no \"endpoint\"\r\n",
        persistence: Persistence::Implied,
        head_only: false,
        date: DATE,
        retry_after_s: None,
        page: None,
    };
    let mut out = Vec::new();
    write_error(&mut out, &answer, "headgate");
    let expected = "HTTP/1.1 503 Service Unavailable\r\ndate: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        content-type: text/plain; charset=utf-8\r\ncontent-length: 40\r\n\
        proxy-status: headgate; error=destination_unavailable; details=\"no 'endpoint'??\"\r\n\r\n\
        503 Service Unavailable\nno \"endpoint\"??\n";
    assert_eq!(String::from_utf8_lossy(&out), expected);
    let mut head = Vec::new();
    write_error(&mut head, &ErrorAnswer { head_only: true, ..answer }, "headgate");
    assert!(head.ends_with(b"\r\n\r\n"));
    let mut later = Vec::new();
    write_error(&mut later, &ErrorAnswer { retry_after_s: Some(30), ..answer }, "headgate");
    let text = String::from_utf8_lossy(&later);
    assert!(text.contains("\r\nretry-after: 30\r\n"), "{text}");
}
