//! Our session.

use super::{Outcome, Stream, sorted, theirs};
use hg_h2::{By, Event, Incoming, Limits, Role, Session};
use hg_proto::Scheme;

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn fields(incoming: &Incoming) -> Vec<(String, Vec<u8>)> {
    incoming.message().fields().map(|f| (text(f.name), f.value.to_vec())).collect()
}

fn head(incoming: &Incoming) -> Vec<(String, Vec<u8>)> {
    let message = incoming.message();
    let scheme = if message.scheme() == Some(Scheme::Http) { "http" } else { "https" };
    let mut head = vec![
        (":method".into(), message.method().to_vec()),
        (":scheme".into(), scheme.into()),
        (":authority".into(), message.authority().to_vec()),
        (":path".into(), message.path().to_vec()),
    ];
    head.extend(sorted(fields(incoming)));
    head
}

pub fn serve(bytes: &[u8]) -> Outcome {
    let mut session = Session::new(Role::Server, Limits::server());
    let (mut incoming, mut at, mut outcome) = (Incoming::new(), 0, Outcome::default());
    loop {
        match session.next(bytes, &mut at, 1, &mut incoming) {
            Ok(None) => {
                theirs::read_output(session.output(), &mut outcome);
                return outcome;
            }
            Ok(Some(event)) => note(&mut outcome, event, bytes, &incoming),
            Err(close) => {
                outcome.closed = Some((close.code.0, close.reason.as_str()));
                return outcome;
            }
        }
    }
}

fn note(outcome: &mut Outcome, event: Event, bytes: &[u8], incoming: &Incoming) {
    let mut stream = |id: u32, change: &dyn Fn(&mut Stream)| {
        change(outcome.streams.entry(id).or_default());
    };
    match event {
        Event::Head { stream: id, end, .. } => stream(id, &|s| {
            s.head = Some(head(incoming));
            s.ended = end;
        }),
        Event::Malformed { stream: id, fault } => stream(id, &|s| s.refused = Some(fault.code)),
        Event::Data { stream: id, range, end } => stream(id, &|s| {
            s.body.extend(&bytes[range.clone()]);
            s.ended = end;
        }),
        Event::Trailers { stream: id } => stream(id, &|s| {
            s.trailers = Some(sorted(fields(incoming)));
            s.ended = true;
        }),
        Event::Reset { stream: id, by: By::Peer, .. } => stream(id, &|s| s.cut = true),
        Event::Reset { stream: id, by: By::Session(fault), .. } => {
            stream(id, &|s| s.refused = Some(fault.map_or("frame", |f| f.code)));
        }
        Event::GoAway { .. } => outcome.away = true,
        _ => {}
    }
}
