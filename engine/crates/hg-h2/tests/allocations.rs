//! Exchanges allocate nothing once the buffers of a connection have grown.

#![allow(clippy::expect_used)]

use hg_h2::{
    After, Arrival, Event, Incoming, Limits, NeverIndexed, RequestLine, Role, Sensitivity, Session,
};
use hg_proto::{Admission, Lines, Scheme};

const REQUEST: &[(&str, &str)] = &[
    ("User-Agent", "test/1.0"),
    ("cookie", "session=0123456789abcdef0123456789abcdef"),
    ("Connection", "close"),
];
const RESPONSE: &[(&str, &str)] = &[("Content-Type", "text/plain"), ("content-length", "13")];

fn lines<'a>(
    fields: &'a [(&'a str, &'a str)],
) -> impl Iterator<Item = (&'a [u8], &'a [u8], Sensitivity)> {
    fields.iter().map(|(n, v)| (n.as_bytes(), v.as_bytes(), Sensitivity::Normal))
}

/// Moves the output of one session through `buffer` and hands the events to `act`.
fn carry(
    from: &mut Session,
    to: &mut Session,
    (buffer, incoming): &mut (Vec<u8>, Incoming),
    mut act: impl FnMut(&mut Session, Event, &Incoming),
) {
    buffer.clear();
    buffer.extend_from_slice(from.output());
    from.sent(buffer.len());
    let mut at = 0;
    while let Some(event) = to.next(buffer, &mut at, 0, incoming).expect("a sound connection") {
        act(to, event, incoming);
    }
    assert_eq!(at, buffer.len());
}

fn exchange(client: &mut Session, server: &mut Session, room: &mut (Vec<u8>, Incoming)) -> u32 {
    let line = RequestLine {
        method: "GET",
        scheme: Scheme::Https,
        authority: "a.example",
        path: "/index",
        query: Some("x=1"),
        websocket: false,
        never: NeverIndexed::NONE,
    };
    client.send_request(&line, lines(REQUEST), true).expect("an open connection");
    carry(client, server, room, |server, event, incoming| {
        if let Event::Head { stream, end, .. } = event {
            let arrival = Arrival { admission: Admission::default(), tls: true, end };
            let mut slots = Lines::new();
            let head = incoming.message().request(&mut slots, &arrival).expect("a sound head");
            assert_eq!((head.host, head.path, head.fields.len()), ("a.example", "/index", 3));
            server.send_response(stream, 200, lines(RESPONSE), false).expect("an open stream");
            server.data(stream, b"Hello, world!", After::End).expect("an open stream");
        }
    });
    let mut ended = 0;
    carry(server, client, room, |_, event, _| {
        ended += u32::from(matches!(event, Event::Data { end: true, .. }));
    });
    ended
}

#[test]
fn an_idle_connection_is_small_and_serves_again() {
    let mut client = Session::new(Role::Client, Limits::client());
    let mut server = Session::new(Role::Server, Limits::server());
    let mut room = (Vec::new(), Incoming::new());
    for _ in 0..3 {
        for _ in 0..100 {
            assert_eq!(exchange(&mut client, &mut server, &mut room), 1);
        }
        server.rest();
        client.rest();
    }
    let held = allocation_counter::measure(|| drop(server)).bytes_current.unsigned_abs();
    let most = 2048 - size_of::<Session>() as u64;
    assert!(held <= most, "{held} bytes beside the {} of a session", size_of::<Session>());
}

#[test]
fn a_connection_in_steady_state_allocates_nothing() {
    let mut client = Session::new(Role::Client, Limits::client());
    let mut server = Session::new(Role::Server, Limits::server());
    let mut room = (Vec::new(), Incoming::new());
    for _ in 0..2000 {
        assert_eq!(exchange(&mut client, &mut server, &mut room), 1);
    }
    let mut ended = 0;
    let counted = allocation_counter::measure(|| {
        for _ in 0..2000 {
            ended += exchange(&mut client, &mut server, &mut room);
        }
    });
    assert_eq!((ended, counted.count_total), (2000, 0));
}
