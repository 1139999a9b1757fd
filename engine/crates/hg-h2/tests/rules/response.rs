//! Rules 34 to 41: the response comes back.

use super::*;
use hg_h2::{After, By, Decoder, NeverIndexed, RequestLine, faults, grpc, lines_of, lines_of_text};
use hg_proto::{RespFraming, Scheme};

/// A client that sent one request.
fn asked(method: &str) -> Hand {
    let mut hand = Hand::client();
    let line = RequestLine {
        method,
        scheme: Scheme::Http,
        authority: "a",
        path: "/",
        query: None,
        websocket: false,
        never: NeverIndexed::NONE,
    };
    assert_eq!(hand.session.send_request(&line, lines(&[]), true), Ok(1));
    hand.output();
    hand
}

/// Returns the fault of a response to GET.
fn fault(fields: &[(&str, &str)]) -> &'static str {
    let mut hand = asked("GET");
    match hand.head(1, fields, false).as_slice() {
        [Event::Reset { by: By::Session(Some(fault)), .. }] => {
            assert_eq!(fault.in_response().status, 502);
            assert_eq!(hand.resets(), [Code::PROTOCOL_ERROR]);
            fault.code
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn rule_34_a_response_has_one_status_and_nothing_of_a_connection() {
    for status in ["101", "20", "2000", "", "abc", "099", "2 0"] {
        assert_eq!(fault(&[(":status", status)]), "h2-status", "{status}");
    }
    assert_eq!(fault(&[("a", "b")]), "h2-pseudo-missing");
    assert_eq!(fault(&[(":status", "200"), (":status", "200")]), "h2-pseudo-repeated");
    assert_eq!(fault(&[(":status", "200"), (":path", "/")]), "h2-pseudo-unknown");
    for name in ["connection", "keep-alive", "transfer-encoding", "upgrade", "proxy-connection"] {
        assert_eq!(fault(&[(":status", "200"), (name, "x")]), "h2-connection-field");
    }
}

#[test]
fn rule_35_interim_responses_are_bounded_and_come_first() {
    let mut hand = asked("GET");
    for _ in 0..16 {
        assert!(matches!(hand.head(1, &[(":status", "103")], false)[..], [Event::Head { .. }]));
        let mut slots = Lines::new();
        assert!(hand.incoming.message().response(&mut slots, &ASKED).is_interim);
    }
    let events = hand.head(1, &[(":status", "103")], false);
    assert!(matches!(events[..], [Event::Reset { .. }]), "{events:?}");
    let mut hand = asked("GET");
    let events = hand.head(1, &[(":status", "100")], true);
    let interim = By::Session(Some(faults::INTERIM));
    assert!(matches!(&events[..], [Event::Reset { by, .. }] if *by == interim));
    let mut hand = asked("GET");
    hand.head(1, &[(":status", "200")], false);
    let events = hand.head(1, &[(":status", "103")], true);
    assert!(matches!(events[..], [Event::Reset { .. }]), "{events:?}");
}

#[test]
fn rule_36_the_length_of_the_answer_is_checked() {
    let long: &[(&str, &str)] = &[(":status", "200"), ("content-length", "5")];
    for (body, end) in [(&b"123456"[..], false), (b"1234", true), (b"", true)] {
        let mut hand = asked("GET");
        hand.head(1, long, false);
        let events = hand.feed(&frame(0, u8::from(end), 1, body));
        assert!(matches!(events[..], [Event::Reset { .. }]), "{events:?}");
    }
    let mut hand = asked("HEAD");
    assert!(matches!(hand.head(1, long, true)[..], [Event::Head { end: true, .. }]));
    for (method, status) in [("HEAD", "200"), ("GET", "204"), ("GET", "304")] {
        let mut hand = asked(method);
        hand.head(1, &[(":status", status)], false);
        let events = hand.feed(&frame(0, 0, 1, b"x"));
        let by = By::Session(Some(faults::BODY_FORBIDDEN));
        let code = Code::PROTOCOL_ERROR;
        assert_eq!(events, [Event::Reset { stream: 1, code, by }], "{method} {status}");
    }
}

#[test]
fn rule_37_the_answer_is_framed_for_http1() {
    let framing = |fields: &[(&str, &str)], end: bool, is_head: bool| {
        let mut hand = asked(if is_head { "HEAD" } else { "GET" });
        hand.head(1, fields, end);
        let mut slots = Lines::new();
        let head = hand.incoming.message().response(&mut slots, &Asked { is_head, end, ..ASKED });
        assert_eq!(head.reason, b"");
        (head.framing, head.content_length)
    };
    let ok: &[(&str, &str)] = &[(":status", "200")];
    let long: &[(&str, &str)] = &[(":status", "200"), ("content-length", "5")];
    assert_eq!(framing(ok, false, false), (RespFraming::Chunked, None));
    assert_eq!(framing(ok, true, false), (RespFraming::Length(0), None));
    assert_eq!(framing(long, false, false), (RespFraming::Length(5), Some(5)));
    assert_eq!(framing(long, true, true), (RespFraming::NoBody, Some(5)));
    assert_eq!(framing(&[(":status", "304")], true, false), (RespFraming::NoBody, None));
    // Trailers follow as lines; `trailer`, which announces them, is kept.
    let mut hand = asked("GET");
    hand.head(1, &[(":status", "200"), ("trailer", "x-sum")], false);
    let mut slots = Lines::new();
    let head = hand.incoming.message().response(&mut slots, &ASKED);
    let names: Vec<_> = head.fields.iter().map(|f| (f.name, f.hop)).collect();
    assert_eq!(names, [("trailer", false)]);
    drop(slots);
    hand.head(1, &[("x-sum", "1"), ("set-cookie", "a=b")], true);
    let mut text = Vec::new();
    hand.incoming.message().write_trailers(&mut text);
    assert_eq!(text, b"x-sum: 1\r\n");
}

/// Answers with HTTP/1 lines; returns what the client gets.
fn answered(status: u16, text: &[u8]) -> Vec<String> {
    let mut hand = Hand::server();
    hand.head(1, GET, true);
    hand.session.send_response(1, status, lines_of_text(text, NeverIndexed::NONE), false).unwrap();
    decoded(&hand.output(), &mut Decoder::new(4096))
}

#[test]
fn rule_38_nothing_of_the_connection_goes_to_the_client() {
    let got = answered(
        404,
        b"Date: x\r\nConnection: close\r\nKeep-Alive: timeout=5\r\nTE: gzip\r\n\
          Upgrade: h2,h2c\r\nTransfer-Encoding: chunked\r\nProxy-Connection: x\r\n\
          Content-Length: 3\r\nContent-Type: text/plain\r\n\r\nabc",
    );
    let expected = [":status: 404", "date: x", "content-length: 3", "content-type: text/plain"];
    assert_eq!(got, expected);
    // What `Connection` of the upstream names is not forwarded either.
    let mut slots = hg_proto::HeaderSlots::new();
    let text = b"HTTP/1.1 200 OK\r\nConnection: x-hop\r\nX-Hop: 1\r\nX-End: 2\r\n\r\n";
    let limits = hg_proto::Limits::default();
    let read = hg_proto::parse_response(text, &mut slots, &limits, hg_proto::Method::Get);
    let Ok(hg_proto::Parse::Complete(head)) = read else { panic!("{read:?}") };
    let names: Vec<_> = lines_of(&head.fields).map(|(name, _, _)| name.to_vec()).collect();
    assert_eq!(names, [b"X-End".to_vec()]);
    // An answer that is cut off is a reset, never an end.
    let mut hand = Hand::server();
    hand.head(1, GET, true);
    hand.session.send_response(1, 200, lines(&[]), false).unwrap();
    hand.session.data(1, b"abc", After::Later).unwrap();
    hand.session.reset(1, Code::INTERNAL_ERROR);
    let sent = frames(&hand.output());
    assert!(sent.iter().all(|f| f.0 == 3 || f.1 & END_STREAM == 0));
    assert_eq!(sent.last().map(|f| f.3.clone()), Some(vec![0, 0, 0, 2]));
}

#[test]
fn rule_39_a_reset_says_whether_the_request_may_be_sent_again() {
    // NO_ERROR after a whole answer: the upload is not wanted, the answer stands.
    let mut hand = Hand::client();
    let line = RequestLine {
        method: "POST",
        scheme: Scheme::Http,
        authority: "a",
        path: "/",
        query: None,
        websocket: false,
        never: NeverIndexed::NONE,
    };
    hand.session.send_request(&line, lines(&[]), false).unwrap();
    assert!(matches!(
        hand.head(1, &[(":status", "200")], true)[..],
        [Event::Head { end: true, .. }]
    ));
    let events = hand.feed(&frame(3, 0, 1, &[0; 4]));
    let code = Code::NO_ERROR;
    assert_eq!(events, [Event::Reset { stream: 1, code, by: By::Peer }]);
    for (code, again) in [
        (Code::REFUSED_STREAM, true),
        (Code::CANCEL, false),
        (Code::NO_ERROR, false),
        (Code::ENHANCE_YOUR_CALM, false),
    ] {
        assert_eq!(code.is_unprocessed(), again);
    }
    // GOAWAY names the streams that were not processed.
    let mut hand = asked("GET");
    let away = frame(7, 0, 0, &[0; 8]);
    assert_eq!(hand.feed(&away), [Event::GoAway { last: 0, code: Code::NO_ERROR }]);
}

#[test]
fn rule_40_our_own_failures_answer_grpc_in_trailers_only_form() {
    for (status, grpc) in [
        (502, 14),
        (503, 14),
        (504, 4),
        (429, 8),
        (401, 16),
        (403, 7),
        (404, 12),
        (500, 2),
        (400, 13),
    ] {
        assert_eq!(grpc::status_of(status), grpc, "{status}");
    }
    let mut text = Vec::new();
    grpc::write_refusal(&mut text, 503, "no endpoint: 100 % down\n");
    let mut hand = Hand::server();
    hand.head(1, POST, true);
    hand.session.send_response(1, 200, lines_of_text(&text, NeverIndexed::NONE), true).unwrap();
    let output = hand.output();
    assert_eq!(frames(&output)[0].1, END_HEADERS | END_STREAM);
    assert_eq!(
        decoded(&output, &mut Decoder::new(4096)),
        [
            ":status: 200",
            "content-type: application/grpc",
            "grpc-status: 14",
            "grpc-message: no endpoint: 100 %25 down%0A",
        ]
    );
    for (value, micros) in [
        ("1H", Some(3_600_000_000)),
        ("2M", Some(120_000_000)),
        ("3S", Some(3_000_000)),
        ("4m", Some(4000)),
        ("5u", Some(5)),
        ("99999999n", Some(99_999)),
        ("123456789S", None),
        ("S", None),
        ("1", None),
        ("-1S", None),
        ("1 S", None),
        ("", None),
    ] {
        assert_eq!(grpc::timeout_us(value.as_bytes()), micros, "{value}");
    }
}

#[test]
fn rule_41_alternatives_and_the_status_of_proxies_are_kept() {
    let got = answered(200, b"Alt-Svc: h3=\":443\"\r\nProxy-Status: a; error=x\r\n\r\n");
    assert_eq!(got, [":status: 200", "alt-svc: h3=\":443\"", "proxy-status: a; error=x"]);
}
