//! Bodies that `bandwidth` holds back: what we do not read is nobody's silence, and who is silent
//! himself is cut off all the same.

use super::*;

fn limited(limit: &str, times: &str) -> String {
    format!(
        r#","middlewares":[{{"bandwidth":{{{limit},"key":["request"]}}}}],"timeouts":{{{times}}}"#
    )
}

fn start(up: &Upstream, limit: &str, times: &str) -> Node {
    Node::start(&upstream_json(&[up.address], ""), &limited(limit, times), 1)
}

/// Returns the bytes of request and answer that have passed.
fn passed(node: &Node) -> (u64, u64) {
    on_worker(node, |w| {
        w.exchanges.iter_mut().next().map_or((0, 0), |e| (e.request.bytes, e.response.bytes))
    })
}

/// Moves the clock on by little more than what 1,024 bytes take until so much has passed; nothing may
/// time out meanwhile.
fn until(node: &Node, is_enough: impl Fn((u64, u64)) -> bool) {
    for step in 1..100 {
        if is_enough(passed(node)) {
            return;
        }
        pass(node, step * 1_100);
        no_timeouts(node);
    }
    panic!("only {:?} passed", passed(node));
}

fn send(node: &Node, mut s: &TcpStream, bytes: &[u8]) {
    s.write_all(bytes).unwrap();
    node.barrier();
}

/// Starts an upstream that answers with so many of 100,000 bytes, then waits for the end.
fn halting(bytes: usize) -> Upstream {
    Upstream::play(move |mut s| {
        read_head(&mut s);
        let mut answer = b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n".to_vec();
        answer.extend(vec![b'x'; bytes]);
        let _ = s.write_all(&answer);
        drop(read_all(&mut s));
    })
}

#[test]
fn an_answer_that_we_hold_back_is_not_silent() {
    let up = halting(40_000);
    let times = r#""stream_idle_ms":2000,"request_ms":20000"#;
    let node = start(&up, r#""download":1000,"download_burst":1"#, times);
    let _client = ask(&node, GET);
    eventually("the first bytes pass", || passed(&node).1 > 0);
    // This is more than the time for silence, and less than the first 4 KiB take.
    pass(&node, 2_500);
    no_timeouts(&node);
    until(&node, |(_, answer)| answer == 40_000);
    // Now the endpoint is silent.
    pass(&node, 600_000);
    assert_eq!(timeouts(&node, "stream_idle") + timeouts(&node, "request"), 1);
}

#[test]
fn a_client_whose_body_we_do_not_read_is_not_slow() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let times = r#""stream_idle_ms":0,"body_ms":10000,"body_rate":100000,"first_byte_ms":0"#;
    let node = start(&up, r#""upload":1000,"upload_burst":1"#, times);
    let s = node.connect();
    send(&node, &s, b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 100000\r\n\r\n");
    eventually("it is under way", || active(&node) == 1);
    send(&node, &s, &[b'x'; 40_000]);
    eventually("the first bytes pass", || passed(&node).0 > 0);
    until(&node, |(request, _)| request == 40_000);
    // Now the client is slow.
    pass(&node, 600_000);
    assert_eq!(timeouts(&node, "body"), 1);
}

#[test]
fn a_tunnel_that_we_hold_back_is_not_silent() {
    let up = Upstream::play(|mut s| {
        let head = read_head(&mut s).unwrap();
        let key = head.lines().find_map(|l| l.strip_prefix("Sec-WebSocket-Key: ")).unwrap();
        let accept = hg_proto::websocket::accept(key.as_bytes());
        let accept = std::str::from_utf8(&accept).unwrap();
        write!(
            s,
            "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
             Sec-WebSocket-Accept: {accept}\r\n\r\n"
        )
        .unwrap();
        let _ = s.write_all(&[b'x'; 20_000]);
        drop(read_all(&mut s));
    });
    let node = start(&up, r#""download":1000,"download_burst":1"#, r#""stream_idle_ms":2000"#);
    let mut client = ask(
        &node,
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(read_head(&mut client).unwrap().starts_with("HTTP/1.1 101 "));
    eventually("the first bytes pass", || passed(&node).1 > 0);
    // The tunnel keeps the limit of the request that it began as.
    pass(&node, 2_500);
    assert!(passed(&node).1 < 10_000, "{:?} passed", passed(&node));
    until(&node, |(_, answer)| answer == 20_000);
    pass(&node, 600_000);
    assert_eq!(timeouts(&node, "stream_idle"), 1);
}
