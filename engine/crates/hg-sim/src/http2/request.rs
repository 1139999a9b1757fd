//! The requests that a client over HTTP/2 sends.

use super::fields::Fields;
use super::link::Link;
use crate::body::{Way, content, trailers};
use crate::grpc;
use crate::http1::Message;
use crate::ledger::{Frame, Spec};
use crate::world::Cx;
use std::io;

/// The timer that ends the wait for `100 Continue`.
pub(super) const GO_ON: u8 = 3;
/// The time that a client waits for it.
const CONTINUE_US: u64 = 1_000_000;

/// Returns what a head begins with.
fn pseudo(id: usize, spec: &Spec) -> Fields {
    let method = if spec.tunnel.is_some() { "CONNECT" } else { spec.method };
    let mut fields = vec![
        (":method", method.to_owned()),
        (":scheme", "http".to_owned()),
        (":path", format!("/r/{id}")),
        (":authority", "sim.example".to_owned()),
    ];
    if spec.tunnel.is_some() {
        fields.insert(1, (":protocol", "websocket".to_owned()));
        fields.push(("sec-websocket-version", "13".to_owned()));
    }
    fields.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// Sends a request on a new stream.
pub(super) fn request(link: &mut Link, id: usize, cx: &mut Cx<'_>) -> io::Result<()> {
    let spec = cx.ledger.asked(id, false)?.clone();
    let stream = if link.last == 0 { 1 } else { link.last + 2 };
    link.last = stream;
    let mut s = link.new_stream();
    let mut fields = pseudo(id, &spec);
    if let Some((len, up)) = spec.up {
        s.send.bytes = content(id, Way::Up, len);
        s.send.more = grpc::split(spec.call, &mut s.send.bytes);
        if up == Frame::Length {
            fields.push(("content-length".to_owned(), len.to_string()));
        } else if spec.up_trailers {
            s.send.trailers = Some(trailers(id, Way::Up));
        }
    }
    if let Some((up, _)) = spec.tunnel {
        s.send.bytes = content(id, Way::Up, up);
    }
    spec.call.iter().for_each(|call| grpc::announce(call, &mut fields));
    if cx.rng.chance(100) {
        fields.push(("x-fill".to_owned(), "f".repeat(cx.rng.size(3000) as usize)));
    }
    if cx.rng.chance(200) {
        fields.push(("priority".to_owned(), format!("u={}", cx.rng.below(8))));
    }
    s.id = id;
    s.send.held = spec.waits_for_continue && s.send.left() > 0;
    if s.send.held {
        fields.push(("expect".to_owned(), "100-continue".to_owned()));
        cx.timer(GO_ON, CONTINUE_US);
    }
    let is_whole = s.send.more.is_none() && s.send.trailers.is_none();
    let empty = spec.up.is_none() || (s.send.left() == 0 && is_whole);
    // A client may end its half with the opening of a WebSocket.
    s.send.done = match spec.tunnel {
        Some(_) => s.send.left() == 0 && cx.rng.chance(300),
        None => empty && (spec.up.is_none() || cx.rng.chance(500)),
    };
    s.send.held |= spec.tunnel.is_some();
    link.head(stream, &fields, s.send.done, cx.rng);
    if cx.rng.chance(link.ways.cuts) {
        let n = cx.rng.size(100_000) as usize;
        s.patience = Some(n);
        if n == 0 {
            link.flow.spent.push(stream);
        }
    }
    link.streams.insert(stream, s);
    Ok(())
}

/// Makes a message of an answer's head.
pub(super) fn answer(fields: Fields) -> Message {
    let status = fields.iter().find(|(n, _)| n == ":status").map(|(_, v)| v.as_str());
    let first = format!("HTTP/2 {}", status.unwrap_or_default());
    Message { first, fields, ..Message::default() }
}
