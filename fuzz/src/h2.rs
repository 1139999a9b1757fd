//! Sessions and header blocks of HTTP/2.

use super::cuts;
use hg_h2::{
    After, Arrival, Asked, BlockLimits, Decoder, Encoder, Event, Incoming, Limits, Message,
    NeverIndexed, PREFACE, RequestLine, Role, Sensitivity, Session, Size, Text, lines_of,
};
use hg_proto::{Admission, HeaderSlots, Lines, Parse, RequestHead, Scheme, parse_request, write};

/// What a session made of its input.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: Vec<String>,
    body: Vec<u8>,
    output: Vec<u8>,
}

/// A session: cutting the input never changes what happens; what it accepts can be written as a strict
/// HTTP/1.1 head that means the same; what it writes are whole frames; once closed it stays so.
///
/// The first byte says which role it has, and whether the greeting is done.
pub fn h2_session(data: &[u8]) {
    let Some((mode, bytes)) = data.split_first() else { return };
    let role = if mode & 1 == 0 { Role::Server } else { Role::Client };
    let mut input = Vec::new();
    if mode & 2 == 0 {
        input.extend_from_slice(if role == Role::Server { PREFACE } else { &[] });
        input.extend_from_slice(&[0, 0, 0, 4, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 0, 0, 0, 0]);
    }
    input.extend_from_slice(bytes);
    let whole = play(role, &[&input]);
    for at in cuts(input.len()) {
        let (first, second) = input.split_at(at);
        assert_eq!(play(role, &[first, second]), whole, "cut at {at}");
    }
    frames(whole.output.strip_prefix(PREFACE).unwrap_or(&whole.output));
}

/// Panics unless the bytes are whole frames of at most 16 KiB.
fn frames(mut bytes: &[u8]) {
    while let [a, b, c, _, _, _, _, _, _, rest @ ..] = bytes {
        let len = u32::from_be_bytes([0, *a, *b, *c]) as usize;
        assert!(len <= 16_384 && len <= rest.len(), "a frame of {len}");
        bytes = &rest[len..];
    }
    assert!(bytes.is_empty());
}

fn play(role: Role, pieces: &[&[u8]]) -> Outcome {
    let mut session = Session::new(role, Limits { extended_connect: true, ..Limits::server() });
    if role == Role::Client {
        for method in ["GET", "HEAD", "POST"] {
            let line = RequestLine {
                method,
                scheme: Scheme::Http,
                authority: "a",
                path: "/",
                query: None,
                websocket: false,
                never: NeverIndexed::NONE,
            };
            session.send_request(&line, [], method != "POST").expect("a new connection");
        }
    }
    let (mut outcome, mut held, mut incoming) = (Outcome::default(), Vec::new(), Incoming::new());
    for piece in pieces {
        held.extend_from_slice(piece);
        let mut at = 0;
        loop {
            match session.next(&held, &mut at, 1, &mut incoming) {
                Ok(None) => break,
                Ok(Some(event)) => act(&mut session, role, event, &held, &incoming, &mut outcome),
                Err(close) => {
                    outcome.events.push(format!("{close:?}"));
                    let again = session.next(&held, &mut at, 1, &mut incoming);
                    assert_eq!(again, Err(close));
                    assert!(session.is_done() && session.is_ending());
                    outcome.output.extend_from_slice(session.output());
                    return outcome;
                }
            }
        }
        held.drain(..at);
    }
    outcome.output.extend_from_slice(session.output());
    outcome
}

/// Answers an event as an owner might.
fn act(
    session: &mut Session,
    role: Role,
    event: Event,
    input: &[u8],
    incoming: &Incoming,
    outcome: &mut Outcome,
) {
    let message = incoming.message();
    match &event {
        Event::Data { stream, range, end } => {
            let body = &input[range.clone()];
            outcome.body.extend_from_slice(body);
            outcome.events.push(format!("data {stream} {} {end}", body.len()));
            session.credit(*stream, body.len() as u32);
            return;
        }
        Event::Head { stream, end, .. } if role == Role::Server => {
            let text = request(&message, *end);
            outcome.events.push(format!("{text:?}"));
            answer(session, *stream, text.is_some());
        }
        Event::Head { end, .. } => {
            let mut slots = Lines::new();
            let asked = Asked { is_head: false, websocket: false, end: *end };
            let head = message.response(&mut slots, &asked);
            assert!((100..=999).contains(&head.status) && head.status != 101);
            outcome.events.push(format!("{} {:?}", head.status, head.framing));
        }
        Event::Trailers { .. } => {
            let mut text = Vec::new();
            message.write_trailers(&mut text);
            outcome.events.push(format!("{}", text.escape_ascii()));
        }
        Event::Malformed { stream, .. } => answer(session, *stream, false),
        Event::Reset { stream, .. } => session.release(*stream),
        _ => {}
    }
    outcome.events.push(format!("{event:?}"));
}

fn answer(session: &mut Session, stream: u32, ok: bool) {
    let status = if ok { 200 } else { 400 };
    session.send_response(stream, status, [], !ok).expect("a stream that just opened");
    if ok {
        let taken = session.data(stream, b"hello", After::End).expect("a stream with a head");
        assert!(taken <= 5);
    }
}

/// Returns the head as HTTP/1.1, which a strict parser reads as the same.
fn request(message: &Message<'_>, end: bool) -> Option<String> {
    let mut slots = Lines::new();
    let arrival = Arrival { admission: Admission::MOST, tls: true, end };
    let head = message.request(&mut slots, &arrival).ok()?;
    let text = http1(&head);
    let mut again = HeaderSlots::new();
    let limits = hg_proto::Limits { head_bytes: usize::MAX, header_count: 256 };
    let read = parse_request(&text, &mut again, &limits, Admission::MOST);
    let Ok(Parse::Complete(read)) = read else {
        panic!("{}: {read:?}", text.escape_ascii());
    };
    assert_eq!(read.head_len, text.len());
    assert_eq!((read.method, read.host), (head.method, head.host));
    assert_eq!(read.framing, head.framing);
    assert_eq!(http1(&read), text);
    Some(format!("{}", text.escape_ascii()))
}

fn http1(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let mut out = Vec::new();
    write::request_line(&mut out, head.method.as_str(), head.path, head.query);
    write::line(&mut out, "host", head.host.as_bytes());
    write::fields(&mut out, &head.fields, |_| false);
    write::request_framing(&mut out, head.framing);
    write::end(&mut out);
    out
}

/// Header blocks, one after the other, each behind a byte with its length: what is decoded encodes to
/// blocks that decode to the same, and to no more table than was announced.
pub fn h2_block(mut data: &[u8]) {
    let limits = BlockLimits { fields: 64, bytes: 16 * 1024 };
    let (mut decoder, mut again) = (Decoder::new(4096), Decoder::new(4096));
    let (mut encoder, mut block) = (Encoder::new(), Vec::new());
    let (mut text, mut second) = (Text::new(), Text::new());
    while let Some((len, rest)) = data.split_first() {
        let (input, rest) = rest.split_at(rest.len().min(usize::from(*len)));
        data = rest;
        match decoder.block(input, &mut text, limits) {
            Ok(Size::Within) => {}
            Ok(Size::Above) => continue,
            Err(_) => return,
        }
        assert!(text.len() <= limits.fields);
        block.clear();
        encoder.begin(&mut block);
        for field in text.iter() {
            let secret =
                if field.never_indexed { Sensitivity::Secret } else { Sensitivity::Normal };
            encoder.field(field.name, field.value, secret, &mut block);
        }
        let size = again.block(&block, &mut second, limits).expect("what we wrote");
        assert_eq!(size, Size::Within);
        assert_eq!(text.len(), second.len());
        for (one, other) in text.iter().zip(second.iter()) {
            assert_eq!((one.name, one.value, one.known), (other.name, other.value, other.known));
            assert!(other.never_indexed || !one.never_indexed);
        }
        encoder.set_peer_max(usize::from(*len) * 16);
    }
}

/// A head that came over HTTP/1 goes to an HTTP/2 peer as a request that the peer accepts.
pub fn h2_forward(data: &[u8]) {
    let mut slots = HeaderSlots::new();
    let limits = hg_proto::Limits::default();
    let Ok(Parse::Complete(head)) = parse_request(data, &mut slots, &limits, Admission::MOST)
    else {
        return;
    };
    if head.host.is_empty() {
        return;
    }
    let mut client = Session::new(Role::Client, Limits::client());
    let mut server = Session::new(Role::Server, Limits::server());
    let line = RequestLine {
        method: head.method.as_str(),
        scheme: Scheme::Https,
        authority: head.host,
        path: head.path,
        query: head.query,
        websocket: false,
        never: NeverIndexed::NONE,
    };
    let end = head.framing.is_empty();
    client.send_request(&line, lines_of(&head.fields), end).expect("a new connection");
    let (mut incoming, mut at) = (Incoming::new(), 0);
    let bytes = client.output().to_vec();
    loop {
        match server.next(&bytes, &mut at, 1, &mut incoming).expect("what we wrote") {
            Some(Event::Settings) => {}
            Some(Event::Head { end: ended, .. }) => {
                assert_eq!(ended, end);
                let text = request(&incoming.message(), end);
                return assert!(text.is_some() || head.expect_continue);
            }
            Some(Event::Malformed { fault, .. }) => {
                // HTTP/1 has these, too, and the proxy drops them before or refuses more than 128.
                let known = ["h2-lookalike", "h2-head-size", "h2-content-length-body"];
                return assert!(known.contains(&fault.code), "{fault:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}
