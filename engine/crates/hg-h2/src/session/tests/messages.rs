//! Messages over frames: lengths, trailers, interim responses, faults.

use super::*;
use crate::fault::{Fault, faults};

fn cut(stream: u32, fault: Fault) -> Vec<Event> {
    let code = Code::PROTOCOL_ERROR;
    vec![Event::Reset { stream, code, by: By::Session(Some(fault)) }]
}

#[test]
fn a_body_has_the_declared_length_however_it_ends() {
    let post = [POST, &[("content-length", "5")]].concat();
    let fault = faults::CONTENT_LENGTH_BODY;
    let mut server = Hand::server();
    server.head(1, &post, false).unwrap();
    assert_eq!(server.incoming.message().content_length(), Some(5));
    assert_eq!(server.feed(&frame(0, 0, 1, b"abc")), Ok(vec![data(1, 3, false)]));
    assert_eq!(server.feed(&frame(0, END_STREAM, 1, b"de")), Ok(vec![data(1, 2, true)]));
    assert_eq!(server.body, b"abcde");
    // Too long, at once; too short, in DATA, in empty DATA, in trailers; with the head.
    server.head(3, &post, false).unwrap();
    assert_eq!(server.feed(&frame(0, 0, 3, b"abcdef")), Ok(cut(3, fault)));
    server.head(5, &post, false).unwrap();
    assert_eq!(server.feed(&frame(0, END_STREAM, 5, b"abcd")), Ok(cut(5, fault)));
    server.head(7, &post, false).unwrap();
    assert_eq!(server.feed(&frame(0, END_STREAM, 7, b"")), Ok(cut(7, fault)));
    server.head(9, &post, false).unwrap();
    assert_eq!(server.head(9, &[("x-sum", "1")], true), Ok(cut(9, fault)));
    assert_eq!(server.head(11, &post, true), Ok(vec![Event::Malformed { stream: 11, fault }]));
    server.head(13, &post, false).unwrap();
    server.feed(&frame(0, 0, 13, b"abcde")).unwrap();
    let trailers = Event::Trailers { stream: 13 };
    assert_eq!(server.head(13, &[("x-sum", "1")], true), Ok(vec![trailers]));
    // Padding is not content.
    server.head(15, &post, false).unwrap();
    let padded = frame(0, PADDED | END_STREAM, 15, b"\x03abcde\0\0\0");
    assert_eq!(server.feed(&padded), Ok(vec![data(15, 5, true)]));
}

#[test]
fn a_malformed_request_can_be_answered() {
    let mut server = Hand::server();
    let bad = [POST, &[("connection", "close")]].concat();
    let fault = faults::CONNECTION_FIELD;
    assert_eq!(server.head(1, &bad, false), Ok(vec![Event::Malformed { stream: 1, fault }]));
    assert_eq!(server.feed(&frame(0, 0, 1, &[0; 300])), Ok(vec![]));
    server.session.head(1, lines(&[(":status", "400")]), true).unwrap();
    assert_eq!(server.session.streams(), 1);
    server.session.reset(1, Code::NO_ERROR);
    assert_eq!(server.resets(), [(1, Code::NO_ERROR)]);
    assert_eq!(server.session.streams(), 0);
    assert_eq!(server.feed(&frame(0, END_STREAM, 1, b"late")), Ok(vec![]));
    assert_eq!(server.head(3, &bad, true).unwrap().len(), 1);
    server.session.head(3, lines(&[(":status", "400")]), true).unwrap();
    assert_eq!(server.session.streams(), 0);
}

#[test]
fn who_can_send_the_rest_of_a_request_after_its_answer_is_left_to_do_so() {
    let mut server = Hand::server();
    server.feed(&frame(4, 1, 0, &[])).unwrap();
    let declared = |bytes| [POST, &[("content-length", bytes)]].concat();
    let whole = |server: &mut Hand, id| {
        server.session.head(id, lines(&[(":status", "413")]), true).unwrap();
        server.session.dismiss(id);
        server.resets()
    };
    server.head(1, &declared("8"), false).unwrap();
    server.feed(&frame(0, 0, 1, b"some")).unwrap();
    assert_eq!(whole(&mut server, 1), []);
    assert_eq!(server.session.streams(), 0);
    assert_eq!(server.feed(&frame(0, END_STREAM, 1, b"more")), Ok(vec![]));
    assert_eq!(server.resets(), []);
    // The rest does not fit into the window, or nobody knows how much it is.
    server.head(3, &declared("100000"), false).unwrap();
    assert_eq!(whole(&mut server, 3), [(3, Code::NO_ERROR)]);
    server.head(5, POST, false).unwrap();
    assert_eq!(whole(&mut server, 5), [(5, Code::NO_ERROR)]);
    // An answer that is not whole leaves nobody waiting.
    server.head(7, &declared("8"), false).unwrap();
    server.session.head(7, lines(&[(":status", "200")]), false).unwrap();
    server.session.dismiss(7);
    assert_eq!(server.resets(), [(7, Code::NO_ERROR)]);
}

#[test]
fn trailers_end_the_stream_and_have_no_pseudo_fields() {
    let mut server = Hand::server();
    server.head(1, POST, false).unwrap();
    assert_eq!(server.head(1, &[("a", "b")], false), Ok(cut(1, faults::TRAILER_END)));
    server.head(3, POST, false).unwrap();
    assert_eq!(server.head(3, &[(":path", "/")], true), Ok(cut(3, faults::PSEUDO_UNKNOWN)));
}

#[test]
fn responses_are_read_with_interim_ones_and_trailers() {
    let mut client = Hand::client();
    assert_eq!(client.session.open(lines(GET), true, false), Ok(1));
    assert_eq!(client.head(1, &[(":status", "103")], false), Ok(vec![head(1, false)]));
    assert_eq!(client.incoming.message().status(), 103);
    assert_eq!(client.head(1, OK, false), Ok(vec![head(1, false)]));
    assert_eq!(client.feed(&frame(0, 0, 1, b"hello")), Ok(vec![data(1, 5, false)]));
    assert_eq!(client.head(1, &[("a", "b")], true), Ok(vec![Event::Trailers { stream: 1 }]));
    assert_eq!(client.session.streams(), 0);
}

#[test]
fn malformed_responses_are_cut() {
    for (fields, end, fault) in [
        (&[(":status", "101")][..], false, faults::STATUS),
        (&[(":status", "100")], true, faults::INTERIM),
        (&[("a", "b")], true, faults::PSEUDO_MISSING),
        (&[(":status", "200"), ("connection", "close")], true, faults::CONNECTION_FIELD),
        (&[(":status", "200"), ("content-length", "1")], true, faults::CONTENT_LENGTH_BODY),
    ] {
        let mut client = Hand::client();
        client.session.open(lines(GET), true, false).unwrap();
        assert_eq!(client.head(1, fields, end), Ok(cut(1, fault)), "{fields:?}");
    }
    let mut client = Hand::client();
    client.session.open(lines(GET), true, false).unwrap();
    for _ in 0..16 {
        client.head(1, &[(":status", "103")], false).unwrap();
    }
    assert_eq!(client.head(1, &[(":status", "103")], false), Ok(cut(1, faults::INTERIM)));
}

#[test]
fn responses_without_a_body_have_none() {
    let mut client = Hand::client();
    client.session.open(lines(&[(":method", "HEAD")]), true, true).unwrap();
    let long = [(":status", "200"), ("content-length", "999")];
    assert_eq!(client.head(1, &long, true), Ok(vec![head(1, true)]));
    for (id, status) in [(3, "204"), (5, "304")] {
        client.session.open(lines(GET), true, false).unwrap();
        client.head(id, &[(":status", status)], false).unwrap();
        let outcome = client.feed(&frame(0, 0, id, b"x"));
        assert_eq!(outcome, Ok(cut(id, faults::BODY_FORBIDDEN)));
    }
    client.session.open(lines(GET), true, false).unwrap();
    let outcome = client.feed(&frame(0, 0, 7, b"x")).unwrap();
    let code = Code::PROTOCOL_ERROR;
    assert_eq!(outcome, [Event::Reset { stream: 7, code, by: By::Session(None) }]);
}

#[test]
fn a_client_obeys_the_limit_of_streams() {
    let mut client = Hand::client();
    client.feed(&frame(4, 0, 0, &[0, 3, 0, 0, 0, 1])).unwrap();
    assert_eq!(client.session.open(lines(GET), true, false), Ok(1));
    assert_eq!(client.session.open(lines(GET), true, false), Err(Refused::Streams));
    client.head(1, OK, true).unwrap();
    assert_eq!(client.session.open(lines(GET), true, false), Ok(3));
}

#[test]
fn commands_out_of_order_are_refused() {
    let mut server = Hand::server();
    assert_eq!(server.session.head(1, lines(OK), true), Err(Refused::NoStream));
    server.head(1, GET, true).unwrap();
    assert_eq!(server.session.data(1, b"x", After::End), Err(Refused::State));
    assert_eq!(server.session.trailers(1, lines(&[])), Err(Refused::State));
    server.session.interim(1, lines(&[(":status", "103")])).unwrap();
    server.session.head(1, lines(OK), false).unwrap();
    assert_eq!(server.session.head(1, lines(OK), false), Err(Refused::State));
    server.session.trailers(1, lines(&[("a", "b")])).unwrap();
    assert_eq!(server.session.trailers(1, lines(&[])), Err(Refused::NoStream));
    assert_eq!(server.session.open(lines(GET), true, false), Err(Refused::Closing));
}

#[test]
fn a_websocket_opens_by_extended_connect_where_it_is_offered() {
    let connect: Vec<_> = [(":method", "CONNECT"), (":protocol", "websocket")]
        .into_iter()
        .chain(GET.iter().skip(1).copied())
        .collect();
    let mut server = Hand::server();
    assert_eq!(server.head(1, &connect, false), Ok(vec![head(1, false)]));
    assert!(server.incoming.message().is_websocket());
    server.session.head(1, lines(OK), false).unwrap();
    assert_eq!(server.feed(&frame(0, 0, 1, b"ping")), Ok(vec![data(1, 4, false)]));
    assert_eq!(server.session.data(1, b"pong", After::End), Ok(4));
    assert_eq!(server.feed(&frame(0, END_STREAM, 1, b"")), Ok(vec![data(1, 0, true)]));
    assert_eq!(server.session.streams(), 0);
    let closed = Limits { extended_connect: false, ..Limits::server() };
    let mut server = Hand::new(Role::Server, closed);
    let fault = faults::PSEUDO_UNKNOWN;
    let refused = Event::Malformed { stream: 1, fault };
    assert_eq!(server.head(1, &connect, false), Ok(vec![refused]));
    let mut client = Hand::client();
    assert!(!client.session.peer().enable_connect_protocol);
    client.feed(&frame(4, 0, 0, &[0, 8, 0, 0, 0, 1])).unwrap();
    assert!(client.session.peer().enable_connect_protocol);
}

#[test]
fn frames_after_a_reset_of_the_peer_are_an_error_and_after_ours_are_dropped() {
    let closed = |id| (id, Code::STREAM_CLOSED);
    for released in [false, true] {
        let mut server = Hand::server();
        server.head(1, POST, false).unwrap();
        server.feed(&frame(3, 0, 1, &[0, 0, 0, 8])).unwrap();
        if released {
            server.session.release(1);
        }
        assert_eq!(server.feed(&frame(0, 0, 1, b"late")), Ok(vec![]));
        assert_eq!(server.resets(), [closed(1)]);
        server.head(3, POST, false).unwrap();
        server.session.reset(3, Code::CANCEL);
        server.written();
        assert_eq!(server.feed(&frame(0, 0, 3, b"late")), Ok(vec![]));
        assert_eq!(server.head(3, &[("a", "b")], true), Ok(vec![]));
        assert_eq!(server.resets(), []);
    }
}

#[test]
fn what_an_endpoint_sends_on_streams_that_we_cut_off_is_dropped_however_many_they_are() {
    let mut client = Hand::client();
    let ids: Vec<u32> =
        (0..300).map(|_| client.session.open(lines(GET), true, false).unwrap()).collect();
    for id in &ids {
        client.session.reset(*id, Code::CANCEL);
    }
    client.written();
    client.now_ms += 11_000;
    for id in &ids {
        assert_eq!(client.head(*id, OK, false), Ok(vec![]));
    }
    for _ in 0..2 {
        for id in &ids {
            assert_eq!(client.feed(&frame(0, 0, *id, b"late")), Ok(vec![]));
        }
    }
    for id in &ids {
        assert_eq!(client.head(*id, &[("a", "b")], true), Ok(vec![]));
    }
    assert_eq!(client.resets(), []);
    assert!(!client.session.is_ending());
}

#[test]
fn late_bodies_of_as_many_streams_as_a_client_may_have_are_dropped() {
    let mut server = Hand::server();
    let ids = || (1..257).step_by(2);
    for id in ids() {
        server.head(id, POST, false).unwrap();
        server.session.head(id, lines(&[(":status", "413")]), true).unwrap();
        server.session.dismiss(id);
    }
    server.written();
    server.now_ms += 11_000;
    for _ in 0..3 {
        for id in ids() {
            assert_eq!(server.feed(&frame(0, 0, id, &[0; 300])), Ok(vec![]));
        }
    }
    for id in ids() {
        assert_eq!(server.head(id, &[("a", "b")], true), Ok(vec![]));
    }
    assert_eq!(server.resets(), []);
    assert!(!server.session.is_ending());
}

#[test]
fn what_comes_for_streams_that_ended_well_is_no_reset_of_them() {
    let mut server = Hand::server();
    for at in 0..300_u32 {
        let id = 2 * at + 1;
        server.head(id, GET, true).unwrap();
        server.session.head(id, lines(OK), true).unwrap();
    }
    server.written();
    for at in 0..300_u32 {
        let id = 2 * at + 1;
        assert_eq!(server.feed(&frame(0, 0, id, &[0; 300])), Ok(vec![]));
        assert_eq!(server.resets(), [(id, Code::STREAM_CLOSED)]);
    }
    assert!(!server.session.is_ending());
}

#[test]
fn a_stream_that_depends_on_itself_is_refused() {
    let mut server = Hand::server();
    let block = [&[0, 0, 0, 1, 9][..], &server.block(GET)].concat();
    assert_eq!(server.feed(&frame(1, 0x25, 1, &block)), Ok(vec![]));
    assert_eq!(server.resets(), [(1, Code::PROTOCOL_ERROR)]);
    assert_eq!(server.head(3, GET, true), Ok(vec![head(3, true)]), "the table is in step");
    let code = Code::PROTOCOL_ERROR;
    let cut = Event::Reset { stream: 3, code, by: By::Session(None) };
    assert_eq!(server.feed(&frame(2, 0, 3, &[0, 0, 0, 3, 9])), Ok(vec![cut]));
    assert_eq!(reason(server.feed(&frame(2, 0, 9, &[0, 0, 0, 9, 9]))), "idle-stream");
}

#[test]
fn priority_updates_belong_to_requests() {
    let update = |id: u32| frame(16, 0, 0, &[&id.to_be_bytes()[..], b"u=1"].concat());
    assert_eq!(reason(Hand::client().feed(&update(1))), "priority-update");
    assert_eq!(reason(Hand::server().feed(&update(0))), "priority-update");
    assert_eq!(reason(Hand::server().feed(&update(2))), "priority-update");
    assert_eq!(Hand::server().feed(&update(0x8000_0001)), Ok(vec![]));
}

#[test]
fn a_reset_after_the_answer_is_told_and_not_charged() {
    let mut client = Hand::client();
    client.session.open(lines(POST), false, false).unwrap();
    client.head(1, OK, true).unwrap();
    let event = Event::Reset { stream: 1, code: Code::NO_ERROR, by: By::Peer };
    assert_eq!(client.feed(&frame(3, 0, 1, &[0; 4])), Ok(vec![event]));
    client.session.release(1);
    assert_eq!(client.session.streams(), 0);
    let mut server = Hand::server();
    for at in 0..300_u32 {
        let id = 2 * at + 1;
        server.head(id, POST, false).unwrap();
        server.session.head(id, lines(OK), true).unwrap();
        assert_eq!(server.feed(&frame(3, 0, id, &[0, 0, 0, 8])).unwrap().len(), 1);
        server.session.release(id);
    }
}

#[test]
fn a_malformed_request_that_was_answered_is_refused_all_the_same() {
    let mut server = Hand::server();
    server.head(1, &[GET, &[("te", "x")]].concat(), true).unwrap();
    server.session.head(1, lines(OK), true).unwrap();
    server.session.refuse(1, Code::PROTOCOL_ERROR);
    assert_eq!(server.resets(), [(1, Code::PROTOCOL_ERROR)]);
    assert_eq!(server.session.streams(), 0);
    server.session.reset(1, Code::CANCEL);
    assert_eq!(server.resets(), []);
}
