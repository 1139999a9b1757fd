//! Windows, credit, grants.

use super::*;

fn update(id: u32, more: u32) -> Vec<u8> {
    frame(8, 0, id, &more.to_be_bytes())
}

fn setting(id: u16, value: u32) -> Vec<u8> {
    frame(4, 0, 0, &[id.to_be_bytes().to_vec(), value.to_be_bytes().to_vec()].concat())
}

/// Answers every grant with as much as it allows; returns streams and bytes in order.
fn drain(server: &mut Hand, after: After) -> Vec<(u32, usize)> {
    let mut seen = Vec::new();
    while let Some(grant) = server.session.grant() {
        let bytes = vec![b'x'; grant.bytes];
        assert_eq!(server.session.data(grant.stream, &bytes, after), Ok(grant.bytes));
        seen.push((grant.stream, grant.bytes));
        if seen.len() > 100 {
            break;
        }
    }
    seen
}

#[test]
fn sending_stops_at_the_windows_and_goes_on_with_credit() {
    let mut server = Hand::server();
    server.head(1, GET, true).unwrap();
    server.session.head(1, lines(OK), false).unwrap();
    server.session.want(1);
    assert_eq!(drain(&mut server, After::More), [(1, 65_535)]);
    server.feed(&update(1, 10)).unwrap();
    assert_eq!(server.session.grant(), None, "the connection has none");
    server.feed(&update(0, 100)).unwrap();
    assert_eq!(drain(&mut server, After::More), [(1, 10)]);
    server.feed(&update(1, 1000)).unwrap();
    assert_eq!(drain(&mut server, After::Later), [(1, 90)]);
    assert_eq!(server.session.data(1, b"", After::End), Ok(0));
    assert_eq!(server.session.streams(), 0);
    let frames = server.written();
    assert_eq!(frames.iter().filter(|f| f.0 == 0).map(|f| f.3.len()).sum::<usize>(), 65_635);
    assert!(frames.iter().all(|f| f.3.len() <= 16_384));
    assert_eq!(frames.last().map(|f| (f.0, f.1, f.3.len())), Some((0, END_STREAM, 0)));
}

#[test]
fn a_change_of_the_initial_window_reaches_open_streams() {
    let mut server = Hand::server();
    server.head(1, GET, true).unwrap();
    server.session.head(1, lines(OK), false).unwrap();
    server.session.want(1);
    server.feed(&update(0, 1_000_000)).unwrap();
    assert_eq!(drain(&mut server, After::More), [(1, 65_535)]);
    server.feed(&setting(4, 0)).unwrap();
    server.feed(&update(1, 65_535)).unwrap();
    assert_eq!(server.session.grant(), None);
    server.feed(&setting(4, 5)).unwrap();
    assert_eq!(drain(&mut server, After::More), [(1, 5)]);
    server.feed(&update(1, 0x7fff_ffff)).unwrap();
    assert_eq!(reason(server.feed(&setting(4, 6))), "settings-window");
}

#[test]
fn windows_that_overflow_close_or_reset() {
    let mut server = Hand::server();
    server.feed(&update(0, 0x7fff_ffff - 65_535)).unwrap();
    assert_eq!(reason(server.feed(&update(0, 1))), "connection-window");
    assert_eq!(reason(Hand::server().feed(&update(0, 0))), "window-update-zero");
}

#[test]
fn more_than_the_window_is_refused() {
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    for _ in 0..4 {
        assert_eq!(server.feed(&frame(0, 0, 1, &[0; 16_384])), Ok(vec![data(1, 16_384, false)]));
    }
    assert_eq!(server.session.held(1), 65_536);
    let events = server.feed(&frame(0, 0, 1, &[0])).unwrap();
    let code = Code::FLOW_CONTROL_ERROR;
    assert_eq!(events, [Event::Reset { stream: 1, code, by: By::Session(None) }]);
}

#[test]
fn the_connections_credit_returns_for_every_byte() {
    // Bodies of streams that are cut, discarded, padded or late.
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    server.head(3, &[POST, &[("te", "x")]].concat(), false).unwrap();
    server.head(5, POST, false).unwrap();
    server.session.reset(5, Code::CANCEL);
    server.head(7, POST, false).unwrap();
    // More than the declared length: we cut it, and the owner has not released it yet.
    server.feed(&frame(8, 0, 7, &[0; 4])).unwrap();
    server.written();
    let mut padded = vec![200];
    padded.resize(1000, 0);
    let (mut sent, mut returned) = (0, 0);
    for at in 0..4000_u32 {
        let id = [1, 3, 5, 7][at as usize % 4];
        server.feed(&frame(0, PADDED, id, &padded)).unwrap();
        server.session.credit(id, 799);
        sent += 1000;
        for (kind, _, stream, payload) in server.written() {
            assert!(kind == 8, "only credit is written: {kind}");
            if stream == 0 {
                returned += u32::from_be_bytes(payload.try_into().unwrap());
            }
        }
    }
    assert!(sent - returned <= Limits::server().connection_window / 2, "{sent} {returned}");
    assert_eq!(server.session.held(1), 0);
}

#[test]
fn urgent_streams_are_sent_first() {
    let mut server = Hand::server();
    server.head(1, &[GET, &[("priority", "u=5")]].concat(), true).unwrap();
    server.head(3, &[GET, &[("priority", "u=1, i")]].concat(), true).unwrap();
    server.feed(&frame(16, 0, 0, b"\0\0\0\x07u=0")).unwrap();
    server.head(5, &[GET, &[("priority", "u=1, i")]].concat(), true).unwrap();
    server.head(7, &[GET, &[("priority", "u=7")]].concat(), true).unwrap();
    for id in [1, 3, 5, 7] {
        server.session.head(id, lines(OK), false).unwrap();
        server.session.want(id);
    }
    server.feed(&update(0, 1_000_000)).unwrap();
    let order: Vec<u32> = drain(&mut server, After::Later).iter().map(|s| s.0).collect();
    assert_eq!(order, [7, 3, 5, 1], "the update before the request wins");
    for id in [1, 3] {
        server.feed(&update(id, 1000)).unwrap();
        server.session.want(id);
    }
    server.feed(&frame(16, 0, 0, b"\0\0\0\x01u=0")).unwrap();
    assert_eq!(server.session.grant().map(|g| g.stream), Some(1));
}

#[test]
fn enough_output_stops_the_grants() {
    let mut server = Hand::server();
    server.feed(&setting(4, 1 << 30)).unwrap();
    server.feed(&update(0, 1 << 30)).unwrap();
    server.head(1, GET, true).unwrap();
    server.session.head(1, lines(OK), false).unwrap();
    server.session.want(1);
    drain(&mut server, After::More);
    let waits = server.session.output().len();
    assert!(waits <= 256 * 1024 + 9 * 20, "{waits}");
    assert!(waits >= 256 * 1024);
    server.session.sent(waits);
    assert!(server.session.grant().is_some());
}

#[test]
fn nothing_comes_after_a_reset_of_the_peer_that_crossed_ours() {
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    server.session.reset(1, Code::NO_ERROR);
    assert_eq!(server.feed(&frame(0, 0, 1, &[0])), Ok(vec![]), "sent before it saw ours");
    server.feed(&frame(3, 0, 1, &[0; 4])).unwrap();
    server.resets();
    server.feed(&frame(0, 0, 1, &[0])).unwrap();
    assert_eq!(server.resets(), [(1, Code::STREAM_CLOSED)]);
}

/// Sends a whole window of a stream and takes all of it, in so many parts; returns what the peer
/// may send then.
fn use_up(server: &mut Hand, id: u32, window: u32, parts: u32) -> u32 {
    server.written();
    let mut left = window;
    while left > 0 {
        let n = left.min(16_384);
        server.feed(&frame(0, 0, id, &vec![0; n as usize])).unwrap();
        left -= n;
    }
    for _ in 0..parts {
        server.session.credit(id, window / parts);
    }
    let of_stream = server.written().into_iter().filter(|(kind, _, on, _)| (*kind, *on) == (8, id));
    of_stream.map(|(.., payload)| u32::from_be_bytes(payload.try_into().unwrap())).sum()
}

#[test]
fn the_window_of_a_stream_grows_while_its_bytes_are_taken_and_the_connection_has_some_to_spare() {
    const K: u32 = 1024;
    let mut server = Hand::server();
    for id in [1, 3, 5] {
        server.head(id, POST, false).unwrap();
    }
    assert_eq!(use_up(&mut server, 5, 64 * K, 2), 64 * K, "a slow owner has no use for more");
    let mut window = 64 * K;
    for expected in [128, 256, 512, 1024, 1024] {
        window = use_up(&mut server, 1, window, 1);
        assert_eq!(window, expected * K);
    }
    // The first has grown by 960 of 1,024 KiB.
    window = 64 * K;
    for expected in [128, 128] {
        window = use_up(&mut server, 3, window, 1);
        assert_eq!(window, expected * K);
    }
    server.session.reset(1, Code::CANCEL);
    assert_eq!(use_up(&mut server, 3, window, 1), 256 * K, "what it had is there again");
}

#[test]
fn a_session_stops_to_read_at_its_own_limits_of_output() {
    for limits in [
        Limits { output_frames: 10, ..Limits::server() },
        Limits { output_bytes: 10 * 17, ..Limits::server() },
    ] {
        let mut hand = Hand::new(Role::Server, limits);
        let ping = [&[0, 0, 8, 6, 0, 0, 0, 0, 0][..], &[7; 8]].concat();
        hand.feed(&ping.repeat(10)).unwrap();
        assert!(hand.session.may_read());
        hand.feed(&ping).unwrap();
        assert!(!hand.session.may_read());
        hand.written();
        assert!(hand.session.may_read());
    }
}

/// A client may send before it has read our SETTINGS; once it has, its window is the smaller one.
#[test]
fn a_stream_that_is_older_than_a_smaller_window_gets_credit_by_that_window() {
    for sent in [3_u32, 4] {
        let limits = Limits { stream_window: 20_000, ..Limits::server() };
        let mut server = Hand::raw(Role::Server, limits);
        server.feed(PREFACE).unwrap();
        server.feed(&frame(4, 0, 0, &[])).unwrap();
        server.head(1, POST, false).unwrap();
        server.written();
        let mut window = 65_535_i64;
        let updates = |server: &mut Hand| -> i64 {
            let all = server.written().into_iter().filter(|f| (f.0, f.2) == (8, 1));
            all.map(|f| i64::from(u32::from_be_bytes(f.3.try_into().unwrap()))).sum()
        };
        for _ in 0..sent {
            let n = window.min(16_384);
            let end = data(1, usize::try_from(n).unwrap(), false);
            assert_eq!(server.feed(&frame(0, 0, 1, &vec![0; n as usize])), Ok(vec![end]));
            server.session.credit(1, n as u32);
            window += updates(&mut server) - n;
        }
        server.feed(&frame(4, 1, 0, &[])).unwrap();
        window += updates(&mut server) - (65_535 - 20_000);
        assert!(window > 20_000 / 2 - 1, "everything was taken, and the window is {window}");
        assert_eq!(server.session.held(1), 0);
    }
}

#[test]
fn what_an_endpoint_may_send_follows_from_our_settings_from_the_start() {
    let limits = Limits { stream_window: 20_000, ..Limits::client() };
    let mut client = Hand::raw(Role::Client, limits);
    let id = client.session.open(lines(GET), true, false).unwrap();
    client.feed(&frame(4, 0, 0, &[])).unwrap();
    client.head(id, OK, false).unwrap();
    client.feed(&frame(0, 0, id, &[0; 15_000])).unwrap();
    client.written();
    client.session.credit(id, 15_000);
    assert!(client.written().iter().any(|f| (f.0, f.2) == (8, id)), "it has used more than half");
}

#[test]
fn the_end_of_a_body_needs_no_window() {
    let limits = Limits { stream_window: 20_000, ..Limits::server() };
    let mut server = Hand::raw(Role::Server, limits);
    server.feed(PREFACE).unwrap();
    server.feed(&frame(4, 0, 0, &[])).unwrap();
    server.head(1, POST, false).unwrap();
    for _ in 0..2 {
        server.feed(&frame(0, 0, 1, &[0; 16_384])).unwrap();
    }
    server.feed(&frame(4, 1, 0, &[])).unwrap();
    assert_eq!(server.feed(&frame(0, END_STREAM, 1, &[])), Ok(vec![data(1, 0, true)]));
}
