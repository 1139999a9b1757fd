use super::*;
use crate::{Admission, HeaderSlots, Limits, Parse, parse_request, parse_response};

const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

fn request(line: &str, lines: &str) -> Result<Accept, Reject> {
    let text = format!(
        "{line} HTTP/1.1\r\nHost: a\r\nConnection: upgrade\r\nUpgrade: websocket\r\n{lines}\r\n"
    );
    let mut slots = HeaderSlots::new();
    match parse_request(text.as_bytes(), &mut slots, &Limits::default(), Admission::MOST) {
        Ok(Parse::Complete(head)) => check_request(&head),
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_example_of_rfc_6455_is_accepted() {
    let lines = format!("Sec-WebSocket-Key: {KEY}\r\nSec-WebSocket-Version: 13\r\n");
    assert_eq!(
        request("GET /", &lines).as_ref().map(|a| &a[..]),
        Ok(&b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="[..])
    );
}

#[test]
fn malformed_handshakes_are_refused() {
    let key = format!("Sec-WebSocket-Key: {KEY}\r\n");
    for (line, lines) in [
        ("POST /", format!("{key}Sec-WebSocket-Version: 13\r\n")),
        ("GET /", format!("{key}Sec-WebSocket-Version: 8\r\n")),
        ("GET /", key.clone()),
        ("GET /", format!("{key}{key}Sec-WebSocket-Version: 13\r\n")),
        ("GET /", "Sec-WebSocket-Key: short\r\nSec-WebSocket-Version: 13\r\n".into()),
        ("GET /", format!("{key}Sec-WebSocket-Version: 13\r\nContent-Length: 5\r\n")),
    ] {
        assert_eq!(request(line, &lines), Err(rejects::UPGRADE), "{line} {lines}");
    }
}

#[test]
fn only_the_right_101_opens_the_tunnel() {
    let expected = accept(KEY.as_bytes());
    let good = "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";
    let check = |text: &str| {
        let mut slots = HeaderSlots::new();
        match parse_response(text.as_bytes(), &mut slots, &Limits::default(), Method::Get) {
            Ok(Parse::Complete(head)) => check_response(&head, &expected),
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(check(good), Ok(()));
    for (from, to) in [
        ("101", "200"),
        ("s3p", "S3p"),
        ("websocket", "h2c"),
        ("Connection: Upgrade\r\n", ""),
        ("HTTP/1.1", "HTTP/1.0"),
    ] {
        assert_eq!(check(&good.replace(from, to)), Err(rejects::R_UPGRADE), "{from}");
    }
}
