//! Tunnels of a worker that leaves.

use super::*;
use crate::worker::exchange::Stage;
use crate::worker::leave::Leaving;

/// Accepts the key of [`open`] (RFC 6455 §1.3).
const SWITCHING: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n\
    Connection: Upgrade\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n";

/// Opens a WebSocket.
fn open(node: &Node) -> TcpStream {
    let mut s = ask(
        node,
        b"GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
          Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n",
    );
    assert!(read_head(&mut s).unwrap().starts_with("HTTP/1.1 101 "));
    s
}

/// Ends those whose turn it is with so many milliseconds left; returns how many are open after it.
fn left_after(node: &Node, ms: u64) -> usize {
    on_worker(node, move |w| {
        let deadline = w.now + hg_net::Clock::ticks(ms * 1000);
        w.leaving = Leaving::Closing { idle_until: 0, deadline };
        w.go_on_leaving();
        w.leaving = Leaving::No;
        w.exchanges.ids(|e| e.stage == Stage::Tunnel).len()
    })
}

#[test]
fn tunnels_end_one_after_the_other_over_the_time_that_is_left() {
    let up = Upstream::play(|mut s| {
        read_head(&mut s);
        s.write_all(SWITCHING).unwrap();
        drop(read_all(&mut s));
    });
    let node = Node::simple(&up);
    let clients: Vec<TcpStream> = (0..9).map(|_| open(&node)).collect();
    for (ms, expected) in [(100_000, 8), (1_000, 4), (1_000, 2), (0, 0)] {
        assert_eq!(left_after(&node, ms), expected, "{ms} ms are left");
    }
    for mut s in clients {
        // 1001, "going away" (RFC 6455 §7.4.1).
        assert_eq!(read_all(&mut s), [0x88, 2, 3, 0xe9]);
    }
}

/// The event that tells of a reset comes once, perhaps while the endpoint still takes something.
#[test]
fn a_reset_ends_a_tunnel_although_the_endpoint_takes_nothing() {
    for takes_something in [false, true] {
        let up = Upstream::play(|mut s| {
            read_head(&mut s);
            s.write_all(SWITCHING).unwrap();
            std::thread::park_timeout(DEADLINE);
        });
        let node = Node::simple(&up);
        let s = open(&node);
        s.set_nonblocking(true).unwrap();
        eventually("every buffer is full", || {
            while (&s).write(&[7; 65_536]).is_ok() {}
            on_worker(&node, |w| w.ups.iter().any(|(_, up)| !up.conn.out.is_empty()))
        });
        let is_over = on_worker(&node, move |w| {
            rustix::net::sockopt::set_socket_linger(&s, Some(std::time::Duration::ZERO)).unwrap();
            drop(s);
            let (ci, token) = w
                .clients
                .iter()
                .map(|(ci, c)| {
                    (ci, hg_net::Token::new(crate::worker::KIND_CLIENT, c.generation, ci))
                })
                .next()
                .unwrap();
            if takes_something {
                w.ups.iter_mut().for_each(|(_, up)| up.conn.out.release(&mut w.io.pool));
            }
            let (readable, writable, read_closed, closed) = (true, false, true, true);
            w.on_client_event(ci, hg_net::Event { token, readable, writable, read_closed, closed });
            w.clients.is_empty()
        });
        assert!(is_over, "{takes_something}");
    }
}
