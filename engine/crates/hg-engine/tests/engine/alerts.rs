//! The alerts of TLS that clients get to read.

use crate::common::tls::Authority;
use crate::common::*;
use std::io::{Read, Write};

/// The header of a record of application data (RFC 8446 §5.1), and 16 bytes that nobody encrypted.
const GARBAGE: &[u8] = b"\x17\x03\x03\x00\x10................";

#[test]
fn a_client_that_breaks_the_protocol_can_read_the_alert_however_much_it_still_sends() {
    let mut node =
        Node::simple(&Upstream::answering(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"));
    let authority = Authority::serve(&mut node);
    let mut client = authority.connect(&node);
    client.write_all(b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n").unwrap();
    let (head, body) = read_answer(&mut client);
    assert!(head.starts_with("HTTP/1.1 200 "), "{head}");
    assert_eq!(body, b"ok");
    // A close with bytes that nobody read would reset the connection; some systems then lose the alert.
    client.sock.write_all(&GARBAGE.repeat(10_000)).unwrap();
    let error = client.read(&mut [0; 1]).unwrap_err();
    assert!(error.to_string().contains("BadRecordMac"), "{error}");
    client.sock.read_to_end(&mut Vec::new()).expect("the end of the connection, not a reset");
}
