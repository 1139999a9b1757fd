//! Rules 19 to 33: the request goes to an upstream.

use super::*;
use hg_h2::{
    After, By, Decoder, NeverIndexed, Refused, RequestLine, grpc, lines_of, lines_of_text,
};
use hg_proto::{HeaderSlots, Parse, Scheme, parse_request, websocket};
use proptest::prelude::*;

const LINE: RequestLine<'_> = RequestLine {
    method: "GET",
    scheme: Scheme::Http,
    authority: "a.example",
    path: "/",
    query: None,
    websocket: false,
    never: NeverIndexed::NONE,
};

/// Sends an HTTP/1 head to an HTTP/2 upstream; returns the lines that it gets.
fn forwarded(text: &str) -> Vec<String> {
    let mut slots = HeaderSlots::new();
    let limits = hg_proto::Limits::default();
    let Ok(Parse::Complete(head)) =
        parse_request(text.as_bytes(), &mut slots, &limits, Admission::MOST)
    else {
        panic!("{text}");
    };
    let line = RequestLine {
        method: head.method.as_str(),
        scheme: Scheme::Http,
        authority: head.host,
        path: head.path,
        query: head.query,
        websocket: head.connection.upgrade_websocket,
        never: NeverIndexed::NONE,
    };
    let te: &[(&str, &str)] = if head.connection.te_trailers { &[("te", "trailers")] } else { &[] };
    let mut hand = Hand::client();
    let end = head.framing.is_empty();
    hand.session.send_request(&line, lines_of(&head.fields).chain(lines(te)), end).unwrap();
    let output = hand.output();
    assert_eq!(frames(&output)[0].1 & END_STREAM != 0, end);
    decoded(&output, &mut Decoder::new(4096))
}

#[test]
fn rule_19_a_head_is_rebuilt_from_what_was_read() {
    let mut hand = Hand::server();
    let more = [("accept", "*/*"), ("priority", "u=1"), ("x-last", "a: b")];
    assert_eq!(
        hand.taken(&more),
        "GET /p?q=1 HTTP/1.1\r\nhost: a.example\r\naccept: */*\r\npriority: u=1\r\n\
         x-last: a: b\r\n\r\n"
    );
}

proptest! {
    #[test]
    fn rule_19_what_is_written_for_http1_is_read_as_the_same(
        path in "/[a-z/.%{}<>^]{0,20}",
        host in "[a-z]{1,9}(\\.[a-z]{1,9}){0,2}(:[1-9][0-9]{0,3})?",
        fields in prop::collection::vec(("[a-z][a-z0-9_.-]{0,20}", "[ -~äß\t]{0,20}"), 0..12),
        end: bool,
    ) {
        let mut all = vec![
            (":method", "PUT"), (":scheme", "https"), (":authority", &host), (":path", &path),
        ];
        all.extend(fields.iter().map(|(n, v)| (n.as_str(), v.as_str())));
        let Ok(text) = Hand::server().ask(&all, end) else { return Ok(()) };
        let mut slots = HeaderSlots::new();
        let limits = hg_proto::Limits::default();
        let read = parse_request(text.as_bytes(), &mut slots, &limits, Admission::MOST);
        let Ok(Parse::Complete(head)) = read else { panic!("{text}: {read:?}") };
        prop_assert_eq!(head.head_len, text.len());
        prop_assert_eq!(http1(&head), text.clone());
        prop_assert_eq!((head.host, head.framing.is_empty()), (host.as_str(), end));
    }
}

#[test]
fn rule_20_the_body_is_framed_by_its_length_or_chunked() {
    let mut hand = Hand::server();
    let long = [POST, &[("content-length", "3")]].concat();
    let text = hand.ask(&long, false).unwrap();
    assert_eq!(text, "POST /p HTTP/1.1\r\nhost: a.example\r\ncontent-length: 3\r\n\r\n");
    let text = hand.ask(POST, false).unwrap();
    assert_eq!(text, "POST /p HTTP/1.1\r\nhost: a.example\r\ntransfer-encoding: chunked\r\n\r\n");
}

#[test]
fn rule_21_host_comes_first() {
    let mut hand = Hand::server();
    let text = hand.taken(&[("accept", "*/*"), ("host", "a.example")]);
    assert_eq!(text.lines().nth(1), Some("host: a.example"));
    let first =
        hand.with(GET, true, |head| Ok(head.fields.iter().next().map(|f| f.name == "host")));
    assert_eq!(first, Ok(Some(true)));
}

#[test]
fn rule_22_te_says_trailers_and_is_for_one_hop() {
    let mut hand = Hand::server();
    let text = hand.taken(&[("te", "trailers")]);
    assert!(text.ends_with("host: a.example\r\nte: trailers\r\nconnection: te\r\n\r\n"), "{text}");
    assert!(!hand.taken(&[]).contains("te:"));
}

#[test]
fn rule_23_a_cut_body_never_looks_whole() {
    let ends = |events: &[Event]| {
        events.iter().any(|e| matches!(e, Event::Data { end: true, .. } | Event::Trailers { .. }))
    };
    let mut hand = Hand::server();
    hand.head(1, POST, false);
    let mut events = hand.feed(&frame(0, 0, 1, b"abc"));
    events.extend(hand.feed(&frame(3, 0, 1, &[0, 0, 0, 8])));
    let code = Code::CANCEL;
    assert_eq!(events.last(), Some(&Event::Reset { stream: 1, code, by: By::Peer }));
    assert!(!ends(&events));
    hand.head(3, &[POST, &[("content-length", "9")]].concat(), false);
    let events = hand.feed(&frame(0, END_STREAM, 3, b"abc"));
    assert!(!ends(&events), "{events:?}");
}

#[test]
fn rule_24_after_a_surprise_a_connection_is_not_used_again() {
    let mut hand = Hand::client();
    hand.session.send_request(&LINE, lines(&[]), true).unwrap();
    let push = frame(5, END_HEADERS, 1, &[0; 8]);
    let mut at = 0;
    let close = hand.session.next(&push, &mut at, 0, &mut hand.incoming).unwrap_err();
    assert_eq!(close.reason.as_str(), "push-promise");
    let again = hand.session.next(&[], &mut 0, 0, &mut hand.incoming).unwrap_err();
    assert_eq!(again, close);
    let refused = hand.session.send_request(&LINE, lines(&[]), true);
    assert_eq!(refused, Err(Refused::Closing));
    assert!(hand.session.is_done());
}

#[test]
fn rule_25_a_websocket_becomes_an_upgrade_and_back() {
    let mut hand = Hand::server();
    let theirs = [CONNECT, &[("sec-websocket-key", "dGhlaXJzIGlzIG5vdCB1cw==")]].concat();
    let text = hand.ask(&theirs, false).unwrap();
    // The key is the engine's own; the client's, which RFC 8441 does not have, is dropped.
    assert_eq!(
        text,
        "GET /chat HTTP/1.1\r\nhost: a.example\r\nsec-websocket-version: 13\r\n\
         connection: upgrade\r\nupgrade: websocket\r\n\r\n"
    );
    let key = websocket::key([7; 16]);
    assert_eq!((key.len(), &key[22..]), (24, &b"=="[..]));
    // 101 from the upstream opens the stream, without what the handshake has only in HTTP/1.
    let answer = b"Upgrade: websocket\r\nConnection: upgrade\r\nSec-WebSocket-Accept: x\r\n\
                   Sec-WebSocket-Protocol: chat\r\n\r\nignored";
    hand.session.send_response(1, 101, lines_of_text(answer, NeverIndexed::NONE), false).unwrap();
    let got = decoded(&hand.output(), &mut Decoder::new(4096));
    assert_eq!(got, [":status: 200", "sec-websocket-protocol: chat"]);
    // Bytes pass both ways; the end of one is that of a half.
    assert_eq!(hand.session.data(1, b"hello", After::End), Ok(5));
    assert!(matches!(hand.feed(&frame(0, 0, 1, b"x"))[..], [Event::Data { end: false, .. }]));
    assert!(matches!(hand.feed(&frame(0, 1, 1, b""))[..], [Event::Data { end: true, .. }]));
    // The other direction: GET with an upgrade becomes extended CONNECT.
    let got = forwarded(
        "GET /chat HTTP/1.1\r\nHost: a.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n",
    );
    assert_eq!(
        got,
        [
            ":method: CONNECT",
            ":protocol: websocket",
            ":scheme: http",
            ":authority: a.example",
            ":path: /chat",
            "sec-websocket-version: 13",
        ]
    );
    let mut hand = Hand::client();
    let line = RequestLine { websocket: true, ..LINE };
    hand.session.send_request(&line, lines(&[]), false).unwrap();
    assert!(matches!(hand.head(1, &[(":status", "200")], false)[..], [Event::Head { .. }]));
    let mut slots = Lines::new();
    let asked = Asked { websocket: true, ..ASKED };
    let head = hand.incoming.message().response(&mut slots, &asked);
    assert_eq!((head.status, head.upgrade_websocket, head.is_interim), (101, true, false));
    assert!(websocket::check_response(&head, &[0; 28]).is_ok());
}

#[test]
fn rule_26_grpc_needs_http2_and_grpc_web_does_not() {
    use grpc::Kind::{Native, Web};
    for (content_type, kind) in [
        ("application/grpc", Some(Native)),
        ("application/grpc+proto", Some(Native)),
        ("Application/gRPC; charset=x", Some(Native)),
        ("application/grpc-web", Some(Web)),
        ("application/grpc-web-text+proto", Some(Web)),
        ("application/grpcx", None),
        ("application/json", None),
        ("", None),
    ] {
        assert_eq!(grpc::kind(content_type.as_bytes()), kind, "{content_type}");
    }
}

#[test]
fn rule_27_the_authority_is_host_and_host_is_dropped() {
    let got = forwarded("GET http://a.example:81/x?y HTTP/1.1\r\nHost: a.example:81\r\n\r\n");
    assert_eq!(got[2..], [":authority: a.example:81", ":path: /x?y"]);
}

#[test]
fn rule_28_the_asterisk_stays() {
    let got = forwarded("OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(got, [":method: OPTIONS", ":scheme: http", ":authority: a", ":path: *"]);
}

#[test]
fn rule_29_nothing_of_the_connection_is_forwarded() {
    let got = forwarded(
        "POST /{a} HTTP/1.1\r\nHost: a\r\nConnection: close, X-Hop, te\r\nX-Hop: 1\r\n\
         Keep-Alive: 1\r\nProxy-Connection: x\r\nTE: gzip, trailers\r\nUpgrade: h2c\r\n\
         HTTP2-Settings: x\r\nTransfer-Encoding: chunked\r\nX-Mixed-CASE: Kept\r\n\r\n",
    );
    let head = [":method: POST", ":scheme: http", ":authority: a", ":path: /%7Ba%7D"];
    assert_eq!(got[..4], head);
    assert_eq!(got[4..], ["x-mixed-case: Kept", "te: trailers"]);
}

#[test]
fn rule_30_chunks_become_data_and_trailers_end_the_stream() {
    let mut hand = Hand::client();
    hand.session.send_request(&LINE, lines(&[]), false).unwrap();
    assert_eq!(hand.session.data(1, b"abc", After::Later), Ok(3));
    let trailers = b"X-Sum: 1\r\nContent-Length: 3\r\nX_Real_IP: 1\r\n";
    hand.session.send_trailers(1, lines_of_text(trailers, NeverIndexed::NONE)).unwrap();
    let sent = frames(&hand.output());
    let kinds: Vec<_> = sent.iter().map(|f| (f.0, f.1)).collect();
    assert_eq!(kinds, [(1, END_HEADERS), (0, 0), (1, END_HEADERS | END_STREAM)]);
    assert_eq!(sent[1].3, b"abc");
    let mut server = Hand::server();
    server.feed(&frame(1, END_HEADERS, 1, &sent[0].3));
    server.feed(&frame(0, 0, 1, &sent[1].3));
    server.feed(&frame(1, END_HEADERS | END_STREAM, 1, &sent[2].3));
    let mut text = Vec::new();
    server.incoming.message().write_trailers(&mut text);
    assert_eq!(text, b"x-sum: 1\r\n");
}

#[test]
fn rule_31_a_message_that_ends_early_is_cancelled() {
    let mut hand = Hand::client();
    hand.session.send_request(&LINE, lines(&[]), false).unwrap();
    hand.session.data(1, b"abc", After::Later).unwrap();
    hand.session.reset(1, Code::CANCEL);
    let sent = frames(&hand.output());
    let kinds: Vec<_> = sent.iter().map(|f| (f.0, f.1 & END_STREAM)).collect();
    assert_eq!(kinds, [(1, 0), (0, 0), (3, 0)]);
    assert_eq!(sent[2].3, [0, 0, 0, 8]);
}

#[test]
fn rule_32_a_websocket_needs_a_peer_that_offers_it() {
    let mut session = Session::new(Role::Client, Limits::client());
    let line = RequestLine { websocket: true, ..LINE };
    assert_eq!(session.send_request(&line, lines(&[]), false), Err(Refused::NoWebSocket));
    assert!(!session.peer().enable_connect_protocol);
    assert!(Hand::client().session.send_request(&line, lines(&[]), false).is_ok());
}

#[test]
fn rule_33_secrets_are_never_indexed() {
    let got = forwarded(
        "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Basic x\r\nCookie: a=1\r\n\
         X-Open: 1\r\n\r\n",
    );
    assert_eq!(
        got[4..],
        ["authorization: Basic x (never indexed)", "cookie: a=1 (never indexed)", "x-open: 1"]
    );
    // What the sender never indexes stays so behind us.
    let mut hand = Hand::server();
    let mut block = hand.block(GET);
    block.extend(b"\x10\x05x-key\x01v");
    hand.feed(&frame(1, END_HEADERS | END_STREAM, 1, &block));
    let mut slots = Lines::new();
    let arrival = Arrival { end: true, ..hand.arrival };
    let head = hand.incoming.message().request(&mut slots, &arrival).unwrap();
    let mut client = Hand::client();
    client.session.send_request(&LINE, lines_of(&head.fields), true).unwrap();
    let got = decoded(&client.output(), &mut Decoder::new(4096));
    assert_eq!(got[4..], ["x-key: v (never indexed)"]);
}

#[test]
fn rule_33_secrets_stay_so_though_they_pass_as_text() {
    let mut hand = Hand::server();
    // Path, authority and a field are never indexed; `x-open` is, and the cookie is in two lines.
    let mut block = hand.block(&GET[..2]);
    block.extend(b"\x14\x04/a?b\x11\x01a\x10\x05x-key\x01v\x40\x06x-open\x011");
    block.extend(b"\x10\x06cookie\x03a=1");
    block.extend(hand.block(&[("cookie", "b=0123456789012345678901234567890")]));
    hand.feed(&frame(1, END_HEADERS, 1, &block));
    let mut never = NeverIndexed::default();
    hand.incoming.message().note_never_indexed(&mut never);
    hand.feed(&frame(1, END_HEADERS | END_STREAM, 1, b"\x10\x05x-end\x011"));
    hand.incoming.message().note_never_indexed(&mut never);

    let text = b"cookie: a=1; b=0123456789012345678901234567890\r\nX-Key: v\r\nx-open: 1\r\n";
    let mut client = Hand::client();
    let line = RequestLine { path: "/a", query: Some("b"), never: &never, ..LINE };
    client.session.send_request(&line, lines_of_text(text, &never), false).unwrap();
    let mut decoder = Decoder::new(4096);
    assert_eq!(
        decoded(&client.output(), &mut decoder),
        [
            ":method: GET",
            ":scheme: http",
            ":authority: a.example (never indexed)",
            ":path: /a?b (never indexed)",
            "cookie: a=1; b=0123456789012345678901234567890 (never indexed)",
            "x-key: v (never indexed)",
            "x-open: 1",
        ]
    );
    client.session.send_trailers(1, lines_of_text(b"x-end: 1\r\nx-sum: 2\r\n", &never)).unwrap();
    let got = decoded(&client.output(), &mut decoder);
    assert_eq!(got, ["x-end: 1 (never indexed)", "x-sum: 2"]);

    let mut server = Hand::server();
    server.head(1, GET, true);
    let answer = b"x-key: w\r\nx-open: 1\r\n\r\n";
    server.session.send_response(1, 200, lines_of_text(answer, &never), true).unwrap();
    let got = decoded(&server.output(), &mut Decoder::new(4096));
    assert_eq!(got, [":status: 200", "x-key: w (never indexed)", "x-open: 1"]);
}
