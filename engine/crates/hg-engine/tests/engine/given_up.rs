//! What an endpoint sees of requests that are given up: a reset, which leaves no local port in
//! TIME-WAIT. The ends of tunnels stay ends.

use crate::common::*;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::sync::{Mutex, mpsc};

const GET: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
const PART: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\npart";
const POST: &[u8] = b"POST / HTTP/1.1\r\nHost: a.example\r\nContent-Length: 9\r\n\r\npart";
const WHOLE: &[u8] = b"HTTP/1.1 401 No\r\nContent-Length: 2\r\n\r\nno";
const UPGRADE: &[u8] = b"GET / HTTP/1.1\r\nHost: a.example\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n";
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n\
    Upgrade: websocket\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Sends a request to an endpoint that answers so, and leaves after `read`. Returns how the
/// connection to the endpoint ends.
fn end(
    request: &[u8],
    answer: &'static [u8],
    read: impl FnOnce(&mut TcpStream),
) -> Result<usize, ErrorKind> {
    let (say_came, came) = mpsc::channel();
    let (tell, told) = mpsc::channel();
    let tell = Mutex::new((say_came, tell));
    let up = Upstream::play(move |mut s| {
        read_head(&mut s);
        s.write_all(answer).unwrap();
        let tell = tell.lock().unwrap();
        tell.0.send(()).unwrap();
        tell.1.send(s.read_to_end(&mut Vec::new()).map_err(|e| e.kind())).unwrap();
    });
    let node = Node::simple(&up);
    let mut client = node.connect();
    client.write_all(request).unwrap();
    came.recv_timeout(DEADLINE).unwrap();
    read(&mut client);
    drop(client);
    told.recv_timeout(DEADLINE).unwrap()
}

#[test]
fn an_endpoint_sees_a_reset_where_its_client_leaves_before_the_end() {
    // The part of the body that it does not read makes its own end a reset.
    let end = end(GET, PART, |s| drop(read_head(s)));
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

#[test]
fn an_endpoint_that_answers_before_it_has_the_body_sees_a_reset() {
    let end = end(POST, WHOLE, |s| assert_eq!(read_answer(s).1, b"no"));
    assert_eq!(end, Err(ErrorKind::ConnectionReset));
}

#[test]
fn the_end_of_a_websocket_discards_nothing_that_was_passed_on() {
    let end = end(UPGRADE, SWITCHING, |s| {
        read_head(s).unwrap();
        s.write_all(b"the last words").unwrap();
    });
    assert_eq!(end, Ok(14));
}
