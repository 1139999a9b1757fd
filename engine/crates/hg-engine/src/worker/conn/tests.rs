use super::*;
use std::io::Write;
use std::net::{TcpListener, TcpStream};
use std::time::{Duration, Instant};

/// The socket tells of a reset once. If a write hears of it, reads find an end like that of a body that
/// is over, which what was cut off must not have.
#[test]
fn a_reset_that_a_write_found_is_no_end() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (mut peer, _) = listener.accept().unwrap();
    ours.write_all(b"unread").unwrap();
    ours.set_nonblocking(true).unwrap();
    peer.write_all(b"part").unwrap();
    peer.peek(&mut [0]).unwrap();
    // With bytes that it has not read a peer resets the connection.
    drop(peer);
    let (mut conn, mut io) = (Conn::new(ours.into()), Io::default());
    let until = Instant::now() + Duration::from_secs(10);
    while conn.send_small(&mut io, b"more").is_ok() {
        assert!(Instant::now() < until, "no reset has come");
        std::thread::yield_now();
    }
    let mut buffer = io.take_for(&conn);
    loop {
        match conn.read(&mut io, &mut buffer, READ_MAX) {
            Ok(Read::Data(_)) => {}
            Ok(Read::Blocked | Read::End) => panic!("the connection looks as if it had ended"),
            Err(e) => return assert_eq!(e.kind(), io::ErrorKind::ConnectionReset),
        }
    }
}
