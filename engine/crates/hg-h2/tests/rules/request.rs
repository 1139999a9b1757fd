//! Rules 1 to 18: a request comes in.

use super::*;
use hg_h2::{By, faults};
use hg_proto::{Framing, Known, Method, Version, websocket};

#[test]
fn rule_01_names_are_tokens_in_lower_case() {
    let mut hand = Hand::server();
    for name in ["", "X-Upper", "a b", "a:b", "a\tb", "a\u{a0}", "ſ", "a\0", "a\r\nb", "(a)"] {
        assert_eq!(hand.refused(&[(name, "1")]), "h2-field-name", "{name:?}");
    }
    assert!(hand.taken(&[("x!#$%&'*+-.^`|~9z", "1")]).contains("x!#$%&'*+-.^`|~9z: 1\r\n"));
}

#[test]
fn rule_02_values_have_no_control_and_no_blank_ends() {
    let mut hand = Hand::server();
    for value in ["a\r\nb: c", "a\nb", "a\rb", "\0", "\u{1}", "\u{7f}", " a", "a ", "\ta", "a\t"] {
        assert_eq!(hand.refused(&[("x", value)]), "h2-field-value", "{value:?}");
    }
    assert!(hand.taken(&[("x", "a\tb ä"), ("y", "")]).contains("x: a\tb ä\r\ny: \r\n"));
}

#[test]
fn rule_03_fields_of_connections_are_refused() {
    let mut hand = Hand::server();
    for name in ["connection", "proxy-connection", "keep-alive", "transfer-encoding", "upgrade"] {
        assert_eq!(hand.refused(&[(name, "x")]), "h2-connection-field", "{name}");
    }
    for te in ["gzip", "trailers, gzip", "Trailers", ""] {
        assert_eq!(hand.refused(&[("te", te)]), "h2-te", "{te}");
    }
    assert_eq!(hand.refused(&[("te", "trailers"), ("te", "trailers")]), "h2-te");
}

#[test]
fn rule_04_pseudo_fields_come_first_and_once() {
    let mut hand = Hand::server();
    assert_eq!(hand.refused(&[("x", "1"), (":path", "/")]), "h2-pseudo-order");
    assert_eq!(hand.refused(&[(":path", "/")]), "h2-pseudo-repeated");
    assert_eq!(hand.refused(&[(":method", "GET")]), "h2-pseudo-repeated");
    assert_eq!(hand.refused(&[(":scheme", "https")]), "h2-pseudo-repeated");
    assert_eq!(hand.refused(&[(":authority", "a.example")]), "h2-pseudo-repeated");
    assert_eq!(hand.refused(&[(":status", "200")]), "h2-pseudo-unknown");
    assert_eq!(hand.refused(&[(":own", "1")]), "h2-pseudo-unknown");
    for at in 0..GET.len() {
        let mut fields = GET.to_vec();
        let (name, _) = fields.remove(at);
        let code = hand.ask(&fields, true).unwrap_err().code;
        let expected = if name == ":authority" { "h2-host-missing" } else { "h2-pseudo-missing" };
        assert_eq!(code, expected, "{name}");
    }
    let mut hand = Hand::server();
    hand.head(1, POST, false);
    let events = hand.head(1, &[(":path", "/")], true);
    assert!(matches!(events[..], [Event::Reset { by: By::Session(Some(_)), .. }]), "{events:?}");
}

/// A control is a fault of the value, whatever the field.
const FIELD_VALUE: &str = "h2-field-value";

fn but(name: &str, value: &str) -> Result<String, Reject> {
    let replace = |(n, v): &(&'static str, &'static str)| (*n, if *n == name { value } else { *v });
    let fields: Vec<_> = GET.iter().map(replace).collect();
    Hand::server().ask(&fields, true)
}

#[test]
fn rule_05_a_method_can_be_written_into_a_request_line() {
    for method in ["", "GET / HTTP/1.1", "GET\r\nx: y", "G\0T", "GET\t"] {
        let code = but(":method", method).unwrap_err().code;
        assert!([FIELD_VALUE, "h2-method"].contains(&code), "{method:?}: {code}");
    }
    // As in HTTP/1.
    assert_eq!(but(":method", "get").unwrap_err().code, "method");
    assert_eq!(but(":method", "TRACE").unwrap_err().status, 405);
    assert_eq!(but(":method", &"A".repeat(33)).unwrap_err().status, 501);
    assert!(but(":method", "M-SEARCH").unwrap().starts_with("M-SEARCH /p?q=1 HTTP/1.1\r\n"));
}

#[test]
fn rule_06_a_path_begins_with_a_slash() {
    for path in ["", "*", "a", "http://b/", "/a b", "/a\r\nx: y", "/#a", "/ä", "/\\", "?a", "/\t"]
    {
        let code = but(":path", path).unwrap_err().code;
        assert!([FIELD_VALUE, "h2-path"].contains(&code), "{path:?}: {code}");
    }
    let options = [(":method", "OPTIONS"), (":scheme", "https"), (":path", "*"), ("host", "a")];
    let text = Hand::server().ask(&options, true).unwrap();
    assert_eq!(text, "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n");
    assert!(but(":path", "/{a}").unwrap().starts_with("GET /%7Ba%7D HTTP/1.1\r\n"));
}

#[test]
fn rule_07_the_scheme_is_http_or_https_and_never_routes() {
    for scheme in ["", "ftp", "https://b/", "http\r\nx: y", "wss"] {
        let code = but(":scheme", scheme).unwrap_err().code;
        assert!([FIELD_VALUE, "h2-scheme"].contains(&code), "{scheme:?}: {code}");
    }
    let mut hand = Hand::server();
    hand.arrival.tls = false;
    assert_eq!(hand.refused(&[]), "h2-scheme-listener");
    hand.arrival.admission.claims = true;
    let plain: Vec<_> =
        GET.iter().map(|(n, v)| (*n, if *n == ":scheme" { "http" } else { *v })).collect();
    let trusted = hand.taken(&[]);
    assert_eq!(hand.ask(&plain, true).unwrap(), trusted);
}

#[test]
fn rule_08_the_authority_is_a_host() {
    for (value, code) in [
        ("user@a.example", "h2-authority"),
        ("a.example/x", "h2-authority"),
        ("a.example?x", "h2-authority"),
        ("a.example#x", "h2-authority"),
        ("a.example:x", "h2-authority"),
        ("a example", "h2-authority"),
        ("a,b@c", "h2-authority"),
        ("[::1", "h2-authority"),
        ("", "h2-host-missing"),
    ] {
        assert_eq!(but(":authority", value).unwrap_err().code, code, "{value:?}");
    }
    assert!(but(":authority", "[::1]:8443").unwrap().contains("host: [::1]:8443\r\n"));
}

#[test]
fn rule_09_host_and_authority_are_the_same() {
    let mut hand = Hand::server();
    assert_eq!(hand.refused(&[("host", "b.example")]), "h2-host-differs");
    assert_eq!(hand.refused(&[("host", "a.example"), ("host", "a.example")]), "h2-host-repeated");
    let text = hand.taken(&[("host", "A.EXAMPLE:443")]);
    assert_eq!(text, "GET /p?q=1 HTTP/1.1\r\nhost: a.example\r\n\r\n");
    let only = [(":method", "GET"), (":scheme", "https"), (":path", "/"), ("host", "b.example")];
    let seen = hand.with(&only, true, |head| {
        let value = head.fields.get(Known::Host).unwrap_or_default();
        Ok((head.host.to_owned(), head.host_port.name.to_owned(), value.to_vec()))
    });
    let name = "b.example".to_owned();
    assert_eq!(seen.unwrap(), (name.clone(), name.clone(), name.into_bytes()));
}

#[test]
fn rule_10_the_body_has_the_declared_length() {
    let mut hand = Hand::server();
    let with = |value: &'static str| [POST, &[("content-length", value)]].concat();
    for value in ["", "+5", "-5", "5,6", "0x5", "5 5", "18446744073709551616"] {
        let code = hand.ask(&with(value), false).unwrap_err().code;
        assert_eq!(code, "h2-content-length", "{value:?}");
    }
    let text = hand.ask(&with("5, 5"), false).unwrap();
    assert!(text.contains("\r\ncontent-length: 5\r\n"), "{text}");
    for (id, body, end, extra) in [
        (1, &b"123456"[..], false, false),
        (1, b"123456", true, false),
        (1, b"1234", true, false),
        (1, b"", true, false),
        (1, b"1234", false, true),
    ] {
        let mut hand = Hand::server();
        hand.head(id, &with("5"), false);
        let mut events = hand.feed(&frame(0, u8::from(end), id, body));
        if extra {
            events = hand.head(id, &[("x-sum", "1")], true);
        }
        let fault = By::Session(Some(faults::CONTENT_LENGTH_BODY));
        assert!(matches!(&events[..], [Event::Reset { by, .. }] if *by == fault), "{events:?}");
    }
}

#[test]
fn rule_11_a_length_without_a_body_is_zero() {
    let mut hand = Hand::server();
    let with = |value: &'static str| [POST, &[("content-length", value)]].concat();
    assert_eq!(hand.ask(&with("5"), true).unwrap_err().code, "h2-content-length-body");
    assert!(hand.ask(&with("0"), true).unwrap().contains("content-length: 0\r\n"));
    let framing = hand.with(POST, true, |head| Ok(head.framing));
    assert_eq!(framing, Ok(Framing::None));
}

#[test]
fn rule_12_trailers_lose_what_is_not_allowed_in_them() {
    let mut hand = Hand::server();
    hand.head(1, POST, false);
    let fields = [
        ("x-sum", "1"),
        ("content-length", "9"),
        ("host", "b"),
        ("authorization", "x"),
        ("cookie", "a=b"),
        ("x-real-ip", "1.2.3.4"),
        ("x_forwarded.for", "1.2.3.4"),
        ("client-cert", "x"),
        ("grpc-status", "0"),
    ];
    assert_eq!(hand.head(1, &fields, true), [Event::Trailers { stream: 1 }]);
    let mut text = Vec::new();
    hand.incoming.message().write_trailers(&mut text);
    assert_eq!(text, b"x-sum: 1\r\ngrpc-status: 0\r\n");
    // They count like the fields of a head.
    hand.head(3, POST, false);
    let events = hand.head(3, &[("a", "b"); 129], true);
    let fault = By::Session(Some(faults::HEAD_SIZE));
    assert!(matches!(&events[..], [Event::Reset { by, .. }] if *by == fault), "{events:?}");
}

#[test]
fn rule_13_crumbs_of_a_cookie_are_joined() {
    let mut hand = Hand::server();
    let more = [("cookie", "a=1"), ("x", "y"), ("cookie", "b=2"), ("cookie", "c=3")];
    assert!(
        hand.taken(&more).ends_with("host: a.example\r\ncookie: a=1; b=2; c=3\r\nx: y\r\n\r\n")
    );
    let seen = hand.with(&[GET, &more].concat(), true, |head| {
        Ok(head.fields.each(Known::Cookie).map(<[u8]>::to_vec).collect::<Vec<_>>())
    });
    assert_eq!(seen.unwrap(), [b"a=1; b=2; c=3".to_vec()]);
    for crumbs in [["a=1", "", ""], ["", "a=1", ""], ["", "", "a=1"]] {
        let more = crumbs.map(|crumb| ("cookie", crumb));
        assert!(hand.taken(&more).ends_with("host: a.example\r\ncookie: a=1\r\n\r\n"));
    }
}

#[test]
fn rule_14_connect_is_refused_unless_it_opens_a_websocket() {
    let mut hand = Hand::server();
    let plain = [(":method", "CONNECT"), (":authority", "a.example:443")];
    assert_eq!(hand.ask(&plain, false).unwrap_err().status, 405);
    assert_eq!(hand.refused(&[(":protocol", "websocket")]), "h2-pseudo-unknown");
    for protocol in ["h2c", "h2", "WebSocket", "connect-udp", ""] {
        let fields: Vec<_> = CONNECT
            .iter()
            .map(|(n, v)| (*n, if *n == ":protocol" { protocol } else { *v }))
            .collect();
        assert_eq!(hand.ask(&fields, false).unwrap_err().status, 501, "{protocol}");
    }
    let seen = hand.with(CONNECT, false, |head| {
        websocket::check_extended(head)?;
        Ok((head.method == Method::Get, head.connection.upgrade_websocket, head.framing))
    });
    assert_eq!(seen, Ok((true, true, Framing::None)));
    let long = [CONNECT, &[("content-length", "5")]].concat();
    assert_eq!(hand.ask(&long, false).unwrap_err().code, "h2-content-length");
    let closed = Limits { extended_connect: false, ..Limits::server() };
    let refused = Hand::new(Role::Server, closed).ask(CONNECT, false).unwrap_err();
    assert_eq!(refused.code, "h2-pseudo-unknown");
    let mut offers = Session::new(Role::Server, Limits::server()).output().to_vec();
    assert!(frames(&offers)[0].3.as_chunks::<6>().0.contains(&[0, 8, 0, 0, 0, 1]));
    offers = Session::new(Role::Server, closed).output().to_vec();
    assert!(!frames(&offers)[0].3.as_chunks::<6>().0.contains(&[0, 8, 0, 0, 0, 1]));
}

#[test]
fn rule_15_a_client_may_wait_for_100_continue() {
    let mut hand = Hand::server();
    let expects = [POST, &[("expect", "100-continue")]].concat();
    assert_eq!(hand.with(&expects, false, |head| Ok(head.expect_continue)), Ok(true));
    assert_eq!(hand.with(&expects, true, |head| Ok(head.expect_continue)), Ok(false));
    hand.session.send_response(1, 100, lines(&[]), false).unwrap();
    let sent = frames(&hand.output());
    assert_eq!((sent[0].0, sent[0].1), (1, END_HEADERS), "the stream goes on");
    let other = [POST, &[("expect", "200-ok")]].concat();
    assert_eq!(hand.ask(&other, false).unwrap_err().status, 417);
}

#[test]
fn rule_16_the_host_that_the_certificate_is_compared_with_is_the_authority() {
    // The engine answers 421 by the same fields as for HTTP/1.
    let mut hand = Hand::server();
    let seen = hand.with(GET, true, |head| {
        Ok((head.host.to_owned(), head.host_port.name.to_owned(), head.version))
    });
    let name = "a.example".to_owned();
    assert_eq!(seen, Ok((name.clone(), name, Version::H2)));
    // Several authorities share a connection.
    let other: Vec<_> = [":method", ":scheme", ":authority", ":path"]
        .into_iter()
        .zip(["GET", "https", "b.example", "/"])
        .collect();
    assert!(hand.ask(&other, true).unwrap().contains("host: b.example\r\n"));
}

#[test]
fn rule_17_there_is_a_body_unless_the_stream_ends() {
    let mut hand = Hand::server();
    assert!(hand.ask(GET, false).unwrap().ends_with("transfer-encoding: chunked\r\n\r\n"));
    let long = [GET, &[("content-length", "3")]].concat();
    assert!(hand.ask(&long, false).unwrap().ends_with("content-length: 3\r\n\r\n"));
    assert!(!hand.ask(GET, true).unwrap().contains("chunked"));
}

#[test]
fn rule_18_spellings_of_framing_fields_are_refused() {
    let mut hand = Hand::server();
    for name in ["content_length", "transfer_encoding", "content.length", "transfer|encoding"] {
        assert_eq!(hand.refused(&[(name, "1")]), "h2-lookalike", "{name}");
    }
    // Others are dropped and counted as in HTTP/1.
    let more = [("x_y", "1"), ("x-real-ip", "1.2.3.4"), ("x_real_ip", "1.2.3.4"), ("x-y", "2")];
    let all = [GET, &more].concat();
    let seen = hand.with(&all, true, |head| Ok((http1(head), head.withheld))).unwrap();
    assert!(seen.0.ends_with("host: a.example\r\nx-y: 2\r\n\r\n"), "{}", seen.0);
    assert_eq!((seen.1.underscores, seen.1.claims, seen.1.lookalikes), (1, 1, 1));
    hand.arrival.admission = Admission::MOST;
    let seen = hand.with(&all, true, |head| Ok(http1(head))).unwrap();
    assert!(seen.ends_with("x_y: 1\r\nx-real-ip: 1.2.3.4\r\nx-y: 2\r\n\r\n"), "{seen}");
}
