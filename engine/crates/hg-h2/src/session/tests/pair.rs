//! Two sessions against each other, and the same bytes in any pieces.

use super::*;
use proptest::prelude::*;

/// Moves the output of one session into the other, in pieces.
fn carry(from: &mut Session, to: &mut Hand, piece: usize) -> Result<Vec<Event>, Close> {
    let bytes = from.output().to_vec();
    from.sent(bytes.len());
    let mut events = Vec::new();
    for part in bytes.chunks(piece) {
        events.extend(to.feed(part)?);
    }
    Ok(events)
}

/// Sends `body` with grants as far as the windows allow; returns what is left.
fn send<'b>(session: &mut Session, id: u32, body: &'b [u8]) -> &'b [u8] {
    let mut rest = body;
    while let Some(grant) = session.grant() {
        assert_eq!(grant.stream, id);
        let piece = rest.get(..grant.bytes).unwrap_or(rest);
        let after = if piece.len() == rest.len() { After::End } else { After::More };
        let taken = session.data(id, piece, after).unwrap();
        rest = &rest[taken..];
        if after == After::End {
            break;
        }
    }
    rest
}

fn exchange(body: &[u8], piece: usize) -> Result<Vec<u8>, Close> {
    let mut client = Hand::raw(Role::Client, Limits::client());
    let mut server = Hand::raw(Role::Server, Limits::server());
    let id = client.session.open(lines(POST), body.is_empty(), false).unwrap();
    let mut rest = body;
    client.session.want(id);
    let mut done = false;
    for turn in 0..1000 {
        if !rest.is_empty() {
            rest = send(&mut client.session, id, rest);
        }
        for event in carry(&mut client.session, &mut server, piece)? {
            match event {
                Event::Data { stream, range, .. } => {
                    server.session.credit(stream, range.len() as u32);
                }
                Event::Head { stream, .. } => assert_eq!(stream, id),
                Event::Settings | Event::SettingsAcked => {}
                other => panic!("{other:?}"),
            }
        }
        if server.body.len() == body.len() && !done && turn > 0 {
            server.session.head(id, lines(OK), false).unwrap();
            server.session.trailers(id, lines(&[("x-sum", "1")])).unwrap();
            done = true;
        }
        let events = carry(&mut server.session, &mut client, piece)?;
        if events.contains(&Event::Trailers { stream: id }) {
            assert_eq!((client.session.streams(), server.session.streams()), (0, 0));
            return Ok(server.body);
        }
    }
    panic!("the exchange does not end");
}

#[test]
fn a_body_of_many_windows_arrives() {
    let body: Vec<u8> = (0..400_000_u32).map(|i| (i % 251) as u8).collect();
    assert_eq!(exchange(&body, 16_384), Ok(body));
}

/// A frame that is often right and sometimes not.
fn any_frame() -> impl Strategy<Value = Vec<u8>> {
    let block = prop::sample::select(vec![
        vec![0x82, 0x86, 0x84, 0x01, 0x01, b'a'],
        vec![0x83, 0x86, 0x84, 0x41, 0x01, b'a'],
        vec![0x88],
        vec![0xbe],
        vec![0x82, 0x84],
        vec![],
    ]);
    let id = prop::sample::select(vec![0_u32, 1, 2, 3, 5, 7]);
    let flags = prop::sample::select(vec![0_u8, 1, 4, 5, 8, 0x25]);
    let raw = prop::collection::vec(any::<u8>(), 0..40);
    prop_oneof![
        4 => (id.clone(), block).prop_map(|(id, block)| frame(1, 5, id, &block)),
        2 => (id.clone(), flags.clone(), raw.clone()).prop_map(|(i, f, p)| frame(0, f, i, &p)),
        2 => (0_u8..18, flags, id.clone(), raw).prop_map(|(k, f, i, p)| frame(k, f, i, &p)),
        1 => (id, any::<u32>()).prop_map(|(i, n)| frame(8, 0, i, &n.to_be_bytes())),
    ]
}

fn outcome(
    role: Role,
    bytes: &[u8],
    piece: usize,
) -> (Vec<Event>, Vec<u8>, Option<Close>, Vec<u8>) {
    let mut hand = Hand::raw(role, Limits::server());
    if role == Role::Client {
        for _ in 0..3 {
            hand.session.open(lines(GET), false, false).unwrap();
        }
    }
    let (mut events, mut closed) = (Vec::new(), None);
    for part in bytes.chunks(piece.max(1)) {
        let mut at = 0;
        hand.input.extend_from_slice(part);
        loop {
            match hand.next(&mut at) {
                Ok(Some(mut event)) => {
                    if let Event::Data { range, .. } = &mut event {
                        hand.body.extend_from_slice(&hand.input[range.clone()]);
                        *range = 0..range.len();
                    }
                    events.push(event);
                }
                Ok(None) => break,
                Err(close) => {
                    closed = Some(close);
                    break;
                }
            }
        }
        hand.input.drain(..at);
    }
    (events, hand.body, closed, hand.session.output().to_vec())
}

proptest! {
    #[test]
    fn bodies_arrive_in_any_pieces(len in 0_usize..100_000, piece in 1_usize..5000) {
        let body: Vec<u8> = (0..len).map(|i| (i % 253) as u8).collect();
        prop_assert_eq!(exchange(&body, piece.max(len / 500)), Ok(body));
    }

    #[test]
    fn pieces_never_change_the_outcome(
        frames in prop::collection::vec(any_frame(), 0..40),
        piece in 1_usize..60,
        server: bool,
    ) {
        let role = if server { Role::Server } else { Role::Client };
        let mut bytes = if server { PREFACE.to_vec() } else { Vec::new() };
        bytes.extend(frame(4, 0, 0, &[]));
        bytes.extend(frames.concat());
        let whole = outcome(role, &bytes, bytes.len());
        prop_assert_eq!(outcome(role, &bytes, piece), whole);
    }

    #[test]
    fn any_bytes_are_read(bytes: Vec<u8>, server: bool) {
        let role = if server { Role::Server } else { Role::Client };
        outcome(role, &[PREFACE.as_slice(), &bytes].concat(), 7);
        outcome(role, &bytes, 1);
    }
}
