use super::*;

/// The parts of a head that the tests compare.
#[derive(Debug, PartialEq)]
struct Got {
    method: String,
    target: String,
    host: String,
    framing: Framing,
    connection: Connection,
    kept: Vec<String>,
    expect: bool,
    head_len: usize,
}

fn parse_with(buf: &[u8], limits: &Limits) -> Result<Parse<Got>, &'static str> {
    let mut slots = HeaderSlots::new();
    match parse_request(buf, &mut slots, limits, Admission::MOST) {
        Ok(Parse::Partial) => Ok(Parse::Partial),
        Err(reject) => Err(reject.code),
        Ok(Parse::Complete(h)) => Ok(Parse::Complete(Got {
            method: h.method.as_str().into(),
            target: match h.query {
                Some(q) => format!("{}?{q}", h.path),
                None => h.path.into(),
            },
            host: h.host.into(),
            framing: h.framing,
            connection: h.connection,
            kept: h.fields.iter().filter(|f| !f.hop).map(|f| f.name.to_ascii_lowercase()).collect(),
            expect: h.expect_continue,
            head_len: h.head_len,
        })),
    }
}

fn parse(text: &str) -> Result<Parse<Got>, &'static str> {
    parse_with(text.as_bytes(), &Limits::default())
}

fn ok(text: &str) -> Got {
    match parse(text) {
        Ok(Parse::Complete(got)) => got,
        other => panic!("{text:?}: {other:?}"),
    }
}

/// Joins `line`, `Host: a`, `rest` (lines) and the empty line.
fn with(line: &str, rest: &str) -> String {
    format!("{line}\r\nHost: a\r\n{rest}\r\n")
}

#[test]
fn a_small_request_is_read_whole() {
    let got = ok("GET /a?b=c HTTP/1.1\r\nHost: A.b:80\r\nAccept: */*\r\n\r\nrest");
    assert_eq!(got.method, "GET");
    assert_eq!(got.target, "/a?b=c");
    assert_eq!(got.host, "A.b:80");
    assert_eq!(got.framing, Framing::None);
    assert!(got.connection.keep_alive);
    assert_eq!(got.kept, ["host", "accept"]);
    assert_eq!(got.head_len, 50);
}

#[test]
fn start_lines_are_refused_by_reason() {
    for (line, code) in [
        ("GET  / HTTP/1.1", "request-line"),
        ("GET /  HTTP/1.1", "request-line"),
        (" GET / HTTP/1.1", "request-line"),
        ("GET / HTTP/1.1 ", "request-line"),
        ("GET /", "request-line"),
        ("GET", "method"),
        ("GET\t/ HTTP/1.1", "method"),
        ("get / HTTP/1.1", "method"),
        ("G!T / HTTP/1.1", "method"),
        ("TRACE / HTTP/1.1", "method-refused"),
        ("CONNECT a:80 HTTP/1.1", "method-refused"),
        ("GET / HTTP/2.0", "version"),
        ("GET / HTTP/1.2", "version"),
        ("GET / http/1.1", "request-line"),
        ("GET / HTTP/1.", "request-line"),
        ("GET / HTTP/11", "request-line"),
        ("GET /#f HTTP/1.1", "target-fragment"),
        ("GET /\u{1} HTTP/1.1", "target"),
        ("GET /ä HTTP/1.1", "target"),
        ("GET a HTTP/1.1", "target-form"),
        ("GET * HTTP/1.1", "target-form"),
        ("GET http://b/ HTTP/1.1", "target-authority"),
        ("GET https://a:80/ HTTP/1.1", "target-authority"),
        ("\u{16}\u{3}\u{1}", "tls-on-plain"),
    ] {
        assert_eq!(parse(&with(line, "")), Err(code), "{line:?}");
    }
    let long = format!("{} / HTTP/1.1", "A".repeat(33));
    assert_eq!(parse(&with(&long, "")), Err("method-length"));
}

#[test]
fn absolute_and_asterisk_forms_are_taken_apart() {
    assert_eq!(ok(&with("GET http://a:80/x?y HTTP/1.1", "")).target, "/x?y");
    assert_eq!(ok(&with("GET http://A? HTTP/1.1", "")).target, "/?");
    assert_eq!(ok(&with("OPTIONS * HTTP/1.1", "")).target, "*");
}

#[test]
fn lines_are_refused_by_reason() {
    for (lines, code) in [
        ("a: b\n", "line-end"),
        ("a: b\rc: d\r\n", "line-end"),
        ("a : b\r\n", "field-name"),
        (": b\r\n", "field-name"),
        ("a\r\n", "field-name"),
        ("ä: b\r\n", "field-name"),
        ("a: b\r\n c\r\n", "obs-fold"),
        ("a: b\r\n\tc: d\r\n", "obs-fold"),
        ("a: \0\r\n", "field-value"),
        ("a: \u{7f}\r\n", "field-value"),
        ("Host: a\r\n", "host-repeated"),
        ("Expect: magic\r\n", "expectation"),
        ("Connection: a b\r\n", "connection-options"),
        ("Content-Length: 1\r\nTransfer-Encoding: chunked\r\n", "length-and-coding"),
        ("Content-Length: 1\r\nContent-Length: 1\r\n", "length-repeated"),
        ("Content-Length: 1, 1\r\n", "length-invalid"),
        ("Content-Length:\r\n", "length-invalid"),
        ("Transfer-Encoding: gzip, chunked\r\n", "coding-unknown"),
        ("Transfer-Encoding: xchunked\r\n", "coding-unknown"),
        ("Transfer-Encoding: chunked, chunked\r\n", "coding-invalid"),
        ("Transfer-Encoding:\r\n", "coding-invalid"),
    ] {
        assert_eq!(parse(&with("GET / HTTP/1.1", lines)), Err(code), "{lines:?}");
    }
    assert_eq!(parse("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), Err("obs-fold"));
    assert_eq!(parse("GET / HTTP/1.1\nHost: a\r\n\r\n"), Err("line-end"));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a\r\n\n"), Err("line-end"));
    assert_eq!(parse("GET / HTTP/1.1\r\n\r\n"), Err("host-missing"));
    assert_eq!(parse("GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), Err("host-invalid"));
    let chunked10 = with("POST / HTTP/1.0", "Transfer-Encoding: chunked\r\n");
    assert_eq!(parse(&chunked10), Err("coding-http10"));
}

#[test]
fn an_old_client_need_not_name_a_host() {
    assert_eq!(ok("GET /health HTTP/1.0\r\n\r\n").host, "");
    assert_eq!(ok("GET http://A.example:8/x HTTP/1.0\r\n\r\n").host, "A.example:8");
    assert_eq!(parse("GET / HTTP/1.0\r\nHost:\r\n\r\n"), Err("host-invalid"));
    assert_eq!(parse("GET / HTTP/1.0\r\nHost: a/b\r\n\r\n"), Err("host-invalid"));
    assert_eq!(parse("GET http://a/x HTTP/1.1\r\n\r\n"), Err("host-missing"));
}

#[test]
fn one_empty_line_before_the_request_is_ignored() {
    assert_eq!(ok("\r\nGET / HTTP/1.1\r\nHost: a\r\n\r\n").head_len, 29);
    assert_eq!(parse("\r\n\r\nGET"), Err("empty-lines"));
    assert_eq!(parse("\nGET"), Err("line-end"));
    assert_eq!(parse("\r"), Ok(Parse::Partial));
}

#[test]
fn framing_is_none_length_or_chunked() {
    let framing = |lines: &str| ok(&with("POST / HTTP/1.1", lines)).framing;
    assert_eq!(framing(""), Framing::None);
    assert_eq!(framing("Content-Length: 0\r\n"), Framing::Length(0));
    assert_eq!(framing("content-length:\t12 \r\n"), Framing::Length(12));
    assert_eq!(framing("Transfer-Encoding: CHUNKED\r\n"), Framing::Chunked);
}

#[test]
fn persistence_follows_version_and_options() {
    let keep = |line: &str, rest: &str| ok(&with(line, rest)).connection.keep_alive;
    assert!(keep("GET / HTTP/1.1", ""));
    assert!(!keep("GET / HTTP/1.1", "Connection: x, Close\r\n"));
    assert!(!keep("GET / HTTP/1.1", "Connection: keep-alive\r\nConnection: close\r\n"));
    assert!(!keep("GET / HTTP/1.0", ""));
    assert!(keep("GET / HTTP/1.0", "Connection: Keep-Alive\r\n"));
    assert!(!keep("GET / HTTP/1.0", "Connection: keep-alive, close\r\n"));
}

#[test]
fn nominated_fields_stay_on_the_hop_and_protected_ones_do_not() {
    let got = ok(&with(
        "GET / HTTP/1.1",
        "X-A: 1\r\nx-b: 2\r\nX-a: 3\r\nAuthorization: s\r\nCookie: c\r\nX-Forwarded-For: 1.1.1.1\r\n\
         Connection: x-a, authorization, Cookie, X-Forwarded-For, host, content-length, forwarded\r\n\
         Keep-Alive: timeout=5\r\nTE: trailers\r\n",
    ));
    assert_eq!(got.kept, ["host", "x-b", "authorization", "cookie", "x-forwarded-for"]);
    assert_eq!(got.connection.nominated, 2);
    assert_eq!(got.connection.ignored, 6);
    assert!(got.connection.te_trailers);
    let many = format!("Connection: {}\r\n", "a,".repeat(33));
    assert_eq!(parse(&with("GET / HTTP/1.1", &many)), Err("connection-options"));
}

#[test]
fn expect_is_heard_when_a_body_follows() {
    let expect = |line: &str, rest: &str| ok(&with(line, rest)).expect;
    assert!(expect("PUT / HTTP/1.1", "Expect: 100-Continue\r\nContent-Length: 1\r\n"));
    assert!(!expect("PUT / HTTP/1.1", "Expect: 100-continue\r\n"));
    let old = "Expect: magic\r\nContent-Length: 1\r\n";
    assert!(!expect("PUT / HTTP/1.0", old));
    assert_eq!(ok(&with("PUT / HTTP/1.0", old)).kept, ["host", "content-length"]);
    let two = with("PUT / HTTP/1.1", "Expect: magic\r\nExpect: 100-continue\r\n");
    assert_eq!(parse(&two), Err("expectation"));
}

#[test]
fn an_upgrade_is_one_to_websocket_only() {
    let upgrade = |rest: &str| ok(&with("GET / HTTP/1.1", rest)).connection.upgrade_websocket;
    assert!(upgrade("Connection: Upgrade\r\nUpgrade: WebSocket\r\n"));
    assert!(!upgrade("Upgrade: websocket\r\n"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: x\r\n"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: h2c, websocket\r\n"));
    assert!(!upgrade("Connection: upgrade\r\nUpgrade: websocket\r\nUpgrade: h2c\r\n"));
}

#[test]
fn limits_are_exact_and_name_what_is_too_long() {
    let text = with("GET / HTTP/1.1", "a: b\r\n");
    let bytes = text.as_bytes();
    let limits = |head_bytes, header_count| Limits { head_bytes, header_count };
    assert!(matches!(parse_with(bytes, &limits(bytes.len(), 2)), Ok(Parse::Complete(_))));
    assert_eq!(parse_with(bytes, &limits(bytes.len() - 1, 2)), Err("head-bytes"));
    assert_eq!(parse_with(bytes, &limits(bytes.len(), 1)), Err("header-count"));
    assert_eq!(parse_with(bytes, &limits(10, 2)), Err("target-length"));
    assert_eq!(parse_with(b"GETGETGETGET", &limits(10, 2)), Err("method-length"));
    let most = (0..300).map(|n| format!("h{n}: v\r\n")).collect::<String>();
    let most = with("GET / HTTP/1.1", &most);
    assert_eq!(parse_with(most.as_bytes(), &limits(32768, 10_000)), Err("header-count"));
}

#[test]
fn however_the_bytes_are_split_the_outcome_is_the_same() {
    let small = Limits { head_bytes: 64, header_count: 3 };
    let lines = [
        "",
        "a: b\r\n",
        "a: b\n",
        "a : b\r\n",
        " a: b\r\n",
        "a: \0\r\n",
        "Transfer-Encoding: x\r\n",
        "b: c\r\nd: e\r\nf: g\r\n",
    ];
    let starts = [
        "GET / HTTP/1.1",
        "GET / HTTP/2.0",
        "GET / HTTP/3",
        "GET  /",
        "get /x HTTP/1.0",
        "\r\nGET / HTTP/1.1",
        "\r\n\r\n",
        "TRACE * HTTP/1.1",
        "GET /aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa HTTP/1.1",
        "\u{16}\u{3}",
    ];
    for (start, line) in starts.iter().flat_map(|s| lines.iter().map(move |l| (s, l))) {
        for limits in [small, Limits::default()] {
            let text = with(start, line);
            let whole = parse_with(text.as_bytes(), &limits);
            for at in 0..text.len() {
                let part = parse_with(&text.as_bytes()[..at], &limits);
                assert!(
                    part == Ok(Parse::Partial) || part == whole,
                    "{text:?} at {at}: {part:?}, {whole:?}"
                );
            }
        }
    }
}
