use super::*;
use crate::RespFraming::{Chunked, Length, NoBody, UntilClose};

#[derive(Debug, PartialEq)]
struct Got {
    status: u16,
    reason: Vec<u8>,
    framing: RespFraming,
    length: Option<u64>,
    keep_alive: bool,
    timeout_s: Option<u32>,
    interim: bool,
    upgrade: bool,
    head_len: usize,
}

fn parse_for(method: Method<'_>, buf: &[u8]) -> Result<Parse<Got>, &'static str> {
    let mut slots = HeaderSlots::new();
    match parse_response(buf, &mut slots, &Limits { head_bytes: 512, header_count: 4 }, method) {
        Ok(Parse::Partial) => Ok(Parse::Partial),
        Err(reject) => {
            assert_eq!(reject.status, 502);
            Err(reject.code)
        }
        Ok(Parse::Complete(h)) => Ok(Parse::Complete(Got {
            status: h.status,
            reason: h.reason.into(),
            framing: h.framing,
            length: h.content_length,
            keep_alive: h.keep_alive,
            timeout_s: h.keep_alive_timeout_s,
            interim: h.is_interim,
            upgrade: h.upgrade_websocket,
            head_len: h.head_len,
        })),
    }
}

fn of(method: Method<'_>, text: &str) -> Got {
    match parse_for(method, format!("{text}\r\n").as_bytes()) {
        Ok(Parse::Complete(got)) => got,
        other => panic!("{text:?}: {other:?}"),
    }
}

fn err(text: &str) -> &'static str {
    parse_for(Method::Get, text.as_bytes()).err().unwrap_or("accepted")
}

#[test]
fn bodies_end_as_rfc_9112_says() {
    let framing = |lines: &str| of(Method::Get, &format!("HTTP/1.1 200 OK\r\n{lines}")).framing;
    assert_eq!(framing("Content-Length: 5\r\n"), Length(5));
    assert_eq!(framing("Transfer-Encoding: chunked\r\n"), Chunked);
    assert_eq!(framing("Transfer-Encoding: identity\r\n"), UntilClose);
    assert_eq!(framing(""), UntilClose);
    for start in [
        "HTTP/1.1 204 No Content\r\n",
        "HTTP/1.1 304 Not Modified\r\n",
        "HTTP/1.1 103 Early Hints\r\n",
    ] {
        assert_eq!(of(Method::Get, start).framing, NoBody, "{start}");
    }
    let head = of(Method::Head, "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n");
    assert_eq!((head.framing, head.length, head.keep_alive), (NoBody, Some(7), true));
}

#[test]
fn the_connection_lives_on_only_when_the_end_is_certain() {
    let keep = |text: &str| of(Method::Get, text).keep_alive;
    assert!(keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\n"));
    assert!(!keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n"));
    assert!(!keep("HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: a b\r\n"));
    assert!(!keep("HTTP/1.0 200 OK\r\nContent-Length: 0\r\n"));
    assert!(keep("HTTP/1.0 200 OK\r\nContent-Length: 0\r\nConnection: keep-alive\r\n"));
    assert!(!keep("HTTP/1.1 200 OK\r\n"));
    assert!(keep("HTTP/1.1 204 No Content\r\n"));
    assert!(!keep("HTTP/1.1 204 No Content\r\nTransfer-Encoding: chunked\r\n"));
    assert!(!keep("HTTP/1.1 204 No Content\r\nContent-Length: 3\r\n"));
    assert!(keep("HTTP/1.1 304 Not Modified\r\nContent-Length: 3\r\n"));
    assert!(!keep("HTTP/1.1 101 Switching Protocols\r\n"));
}

#[test]
fn interim_answers_and_upgrades_are_told_apart() {
    assert!(of(Method::Get, "HTTP/1.1 100 Continue\r\n").interim);
    assert!(of(Method::Get, "HTTP/1.1 199 \r\n").interim);
    let upgrade =
        of(Method::Get, "HTTP/1.1 101 Go\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n");
    assert!(!upgrade.interim && upgrade.upgrade);
}

#[test]
fn small_liberties_of_status_lines_are_taken() {
    assert_eq!(of(Method::Get, "HTTP/1.1 200\r\n").reason, b"");
    assert_eq!(of(Method::Get, "HTTP/1.1 200 \r\n").reason, b"");
    assert_eq!(of(Method::Get, "HTTP/1.1 200 All is well\r\n").reason, b"All is well");
    assert_eq!(of(Method::Get, "HTTP/1.1 200 \u{e4}\r\n").reason, b"");
    assert_eq!(of(Method::Get, "HTTP/1.1 599 x\r\n").status, 599);
}

#[test]
fn the_idle_time_of_the_upstream_is_read() {
    let timeout =
        |v: &str| of(Method::Get, &format!("HTTP/1.1 204 x\r\nKeep-Alive: {v}\r\n")).timeout_s;
    assert_eq!(timeout("timeout=5"), Some(5));
    assert_eq!(timeout("max=3, Timeout=7"), Some(7));
    assert_eq!(timeout("timeout=99999999999"), Some(u32::MAX));
    assert_eq!(timeout("timeout=x"), None);
    assert_eq!(timeout("timeout"), None);
}

#[test]
fn malformed_answers_are_refused_by_reason() {
    for (text, code) in [
        ("\r\nHTTP/1.1 200 OK\r\n\r\n", "response-status-line"),
        ("HTTP/2.0 200 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1  200 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 20 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 2000 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 099 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 600 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 200 O\0K\r\n\r\n", "response-status-line"),
        ("ICY 200 OK\r\n\r\n", "response-status-line"),
        ("HTTP/1.1 200 OK\r\na: b\r\n c\r\n\r\n", "response-obs-fold"),
        ("HTTP/1.1 200 OK\r\na : b\r\n\r\n", "response-field-name"),
        ("HTTP/1.1 200 OK\r\na: \0\r\n\r\n", "response-field-value"),
        ("HTTP/1.1 200 OK\na: b\r\n\r\n", "response-line-end"),
        ("HTTP/1.1 200 OK\r\na: b\n\r\n", "response-line-end"),
        ("HTTP/1.1 200 OK\r\na: b\r\n\n", "response-line-end"),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
            "response-length-and-coding",
        ),
        (
            "HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
            "response-length-repeated",
        ),
        ("HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", "response-length-invalid"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n", "response-coding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", "response-coding"),
        ("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked, gzip\r\n\r\n", "response-coding"),
        ("HTTP/1.1 204 OK\r\nTransfer-Encoding: ,\r\n\r\n", "response-coding"),
        ("HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "response-coding-http10"),
        (
            "HTTP/1.1 200 OK\r\na: b\r\na: b\r\na: b\r\na: b\r\na: b\r\n\r\n",
            "response-header-count",
        ),
    ] {
        assert_eq!(err(text), code, "{text:?}");
        for at in 0..text.len() {
            let part = parse_for(Method::Get, &text.as_bytes()[..at]);
            assert!(part == Ok(Parse::Partial) || part == Err(code), "{text:?} at {at}: {part:?}");
        }
    }
    assert_eq!(err(&format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(600))), "response-head-bytes");
}
