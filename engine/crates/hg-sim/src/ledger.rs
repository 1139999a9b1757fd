//! The requests, and what becomes of each on both sides.

use crate::body::{Way, difference, stray, trailers, tunneled};
use crate::grpc::Call;
use crate::http1::Message;
use std::io;

/// The framing of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Length,
    Chunked,
    /// By the end of the connection; answers only.
    Close,
}

/// The action of an endpoint on a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Act {
    Answer,
    /// Sends an interim answer first.
    Interim,
    /// Answers before it has read the request's body, and reads on.
    Early,
    /// The same, and closes.
    EarlyClose,
    /// Answers and says that it closes.
    Last,
    /// Ends the connection after so many bytes of the answer; `true` with a reset.
    Cut(usize, bool),
    /// Never answers.
    Hang,
    /// Sends something that is no answer.
    Garbage,
    /// Answers 503.
    Busy,
}

/// The request that a client sends, and the answer that it should get.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) method: &'static str,
    pub(crate) up: Option<(usize, Frame)>,
    /// True if trailers follow a body in chunks.
    pub(crate) up_trailers: bool,
    pub(crate) down_trailers: bool,
    pub(crate) waits_for_continue: bool,
    pub(crate) down: (usize, Frame),
    pub(crate) act: Act,
    /// For a WebSocket: the bytes that its client and its endpoint send.
    pub(crate) tunnel: Option<(usize, usize)>,
    /// For a call of gRPC: how it ends.
    pub(crate) call: Option<Call>,
    /// The time that the endpoint thinks, microseconds.
    pub(crate) think_us: u64,
}

impl Spec {
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    /// Reports whether the answer has trailers.
    pub(crate) fn has_down_trailers(&self) -> bool {
        self.down_trailers && self.down.1 == Frame::Chunked && self.method != "HEAD"
    }

    /// Returns the length of the answer's body on the wire.
    pub(crate) fn answer_len(&self) -> usize {
        if self.method == "HEAD" { 0 } else { self.down.0 }
    }
}

/// The outcome of a request for its client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Served,
    /// The gate's own answer, or the endpoint's 503.
    Refused(u16),
    /// The connection ended before the whole answer.
    Cut,
    /// The client gave up.
    Left,
}

#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) spec: Spec,
    /// True if its client waits for an answer.
    pub(crate) asked: bool,
    /// True if its client sends trailers.
    pub(crate) sends_trailers: bool,
    /// The number of times that its head has reached an endpoint that did not say otherwise.
    pub(crate) arrivals: u32,
    /// True if its endpoint has heard the end of what its client sends over a WebSocket.
    pub(crate) has_ended: bool,
    /// The number of times that an endpoint ended it so that the route may repeat it.
    pub(crate) excused: u32,
    /// The number of times that an endpoint said that it did nothing with it.
    pub(crate) refusals: u32,
    pub(crate) outcome: Option<Outcome>,
}

impl Entry {
    pub(crate) fn new(spec: Spec) -> Self {
        Self {
            spec,
            asked: false,
            sends_trailers: false,
            arrivals: 0,
            excused: 0,
            has_ended: false,
            refusals: 0,
            outcome: None,
        }
    }
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// All requests; behind them, in the same order, what becomes of the copies of each, for one
    /// mirror after the other.
    pub(crate) entries: Vec<Entry>,
    /// The index at which the copies begin.
    pub(crate) copies: usize,
    /// True if nothing may fail.
    pub(crate) calm: bool,
    pub(crate) repeats: Repeats,
}

/// The requests that the route repeats although an endpoint may have processed them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Repeats {
    /// True if it repeats requests that are not idempotent.
    pub(crate) any: bool,
    /// The codes of gRPC that it repeats.
    pub(crate) codes: Vec<u32>,
}

/// Makes an error of something that must never happen.
pub(crate) fn wrong<T>(what: String) -> io::Result<T> {
    Err(io::Error::other(what))
}

/// Checks that trailers have come if they were sent and could be passed on, and no others.
fn check_trailers(id: usize, way: Way, sent: bool, message: &Message) -> io::Result<()> {
    let (got, expected) = (&message.trailers, trailers(id, way));
    let is_right = match (sent, message.carries_trailers()) {
        (true, true) => *got == expected,
        _ => got.is_empty(),
    };
    if is_right { Ok(()) } else { wrong(format!("request {id}, {way:?}: the trailers {got:?}")) }
}

impl Ledger {
    pub(crate) fn spec(&self, id: usize) -> io::Result<&Spec> {
        match self.entries.get(id) {
            Some(e) => Ok(&e.spec),
            None => wrong(format!("request {id} does not exist")),
        }
    }

    /// Adds the copies of all requests for the next mirror.
    pub(crate) fn add_copies(&mut self, specs: Vec<Spec>) {
        self.entries.extend(specs.into_iter().map(Entry::new));
    }

    /// Returns the requests of clients.
    pub(crate) fn requests(&self) -> &[Entry] {
        self.entries.get(..self.copies).unwrap_or_default()
    }

    /// Returns the request that is meant, for a copy of it, too.
    pub(crate) fn origin(&self, id: usize) -> usize {
        id.checked_rem(self.copies).unwrap_or(id)
    }

    /// Returns the entries of the copies for a mirror, from 1.
    pub(crate) fn copies_for(&self, mirror: usize) -> &[Entry] {
        let first = mirror * self.copies;
        self.entries.get(first..first + self.copies).unwrap_or_default()
    }

    /// Returns which request, or copy of one for this mirror (from 1), has come to an endpoint.
    pub(crate) fn identify(&self, message: &Message, mirror: usize) -> io::Result<usize> {
        let is_copy = message.field("x-headgate-mirror") == Some("r");
        match message.id() {
            Some(id) if is_copy == (mirror > 0) => Ok(mirror * self.copies + id),
            _ => wrong(format!("an endpoint got {:?}, {:?}", message.first, message.fields)),
        }
    }

    fn entry(&mut self, id: usize) -> io::Result<&mut Entry> {
        match self.entries.get_mut(id) {
            Some(e) => Ok(e),
            None => wrong(format!("request {id} does not exist")),
        }
    }

    /// Notes that a client sends a request; `old` clients send no trailers.
    pub(crate) fn asked(&mut self, id: usize, old: bool) -> io::Result<&Spec> {
        let e = self.entry(id)?;
        let chunked = e.spec.up.is_some_and(|(_, frame)| frame == Frame::Chunked);
        (e.asked, e.sends_trailers) = (true, e.spec.up_trailers && chunked && !old);
        Ok(&e.spec)
    }

    /// Notes that the worker said that a request has reached nobody.
    pub(crate) fn unprocessed(&mut self, id: usize) -> io::Result<()> {
        let e = self.entry(id)?;
        e.asked = false;
        if e.arrivals > 0 {
            return wrong(format!("request {id} was refused after {} arrivals", e.arrivals));
        }
        Ok(())
    }

    /// Notes that an endpoint did nothing with a request whose head it got.
    pub(crate) fn turned_away(&mut self, id: usize) -> io::Result<()> {
        self.entry(id)?.refusals += 1;
        Ok(())
    }

    /// Notes that an endpoint did nothing with a request that has arrived.
    pub(crate) fn turned_back(&mut self, id: usize) -> io::Result<()> {
        let e = self.entry(id)?;
        e.arrivals = e.arrivals.saturating_sub(1);
        e.refusals += 1;
        Ok(())
    }

    /// Reports whether an endpoint that wants to may refuse a request: in calm weather only as often
    /// as the worker has to ask others.
    pub(crate) fn may_refuse(&mut self, id: usize, wants: bool) -> io::Result<bool> {
        let calm = self.calm && id < self.copies;
        let e = self.entry(id)?;
        Ok(wants && (!calm || (e.refusals < 2 && e.spec.up.is_none())))
    }

    /// Notes that a request's head has reached an endpoint.
    pub(crate) fn arrived(&mut self, id: usize) -> io::Result<()> {
        let any = self.repeats.any;
        let asked = self.entries.get(self.origin(id)).is_some_and(|e| e.asked);
        let is_copy = id >= self.copies;
        let e = self.entry(id)?;
        if is_copy && e.spec.tunnel.is_some() {
            return wrong(format!("WebSocket {id} was mirrored"));
        }
        if !asked {
            return wrong(format!("request {id} arrived although nobody waits for it"));
        }
        e.arrivals += 1;
        if e.arrivals > 1 + e.excused && !e.spec.is_idempotent() && !any {
            return wrong(format!("request {id} ({}) was sent twice", e.spec.method));
        }
        Ok(())
    }

    /// Checks a request that an endpoint has read to its end.
    pub(crate) fn check_request(&mut self, id: usize, message: &Message) -> io::Result<()> {
        let spec = self.spec(id)?;
        if let Some((up, _)) = spec.tunnel {
            return self.check_tunnel(id, up, &message.body, true);
        }
        let len = spec.up.map_or(0, |(len, _)| len);
        if let Some(why) = difference(self.origin(id), Way::Up, len, &message.body) {
            return wrong(format!("the endpoint got request {id} wrong: {why}"));
        }
        let sent = self.entries.get(id).is_some_and(|e| e.sends_trailers);
        check_trailers(id, Way::Up, sent, message)
    }

    /// Checks what an endpoint got over a WebSocket. Only in calm weather nothing is missing at the
    /// end: a client may have left.
    pub(crate) fn check_tunnel(
        &mut self,
        id: usize,
        most: usize,
        got: &[u8],
        ended: bool,
    ) -> io::Result<()> {
        if let Some(why) = stray(id, Way::Up, most, got) {
            return wrong(format!("an endpoint got WebSocket {id} wrong: {why}"));
        }
        if self.calm && ended && got.len() != most {
            return wrong(format!(
                "an endpoint got {} of {most} bytes of WebSocket {id}",
                got.len()
            ));
        }
        self.entry(id)?.has_ended |= ended;
        Ok(())
    }

    /// Reports whether an endpoint has heard all of what a client sends over a WebSocket.
    pub(crate) fn has_ended(&self, id: usize) -> bool {
        self.entries.get(id).is_none_or(|e| e.has_ended)
    }

    /// Checks what the client of a WebSocket has got, and returns the number of its endpoint's bytes.
    /// Behind `ended` comes nothing: a close frame is whole there.
    pub(crate) fn check_tunneled(&self, id: usize, got: &[u8], ended: bool) -> io::Result<usize> {
        let most = self.spec(id)?.tunnel.map_or(0, |(_, down)| down);
        match tunneled(id, most, got) {
            Err(why) => wrong(format!("a client got WebSocket {id} wrong: {why}")),
            Ok(came) if ended && came.is_cut => {
                wrong(format!("WebSocket {id} ends within its close frame"))
            }
            Ok(came) => Ok(came.len),
        }
    }

    /// Says how a WebSocket ended whose client has got everything that comes.
    pub(crate) fn tunnel_outcome(&self, id: usize, got: &[u8]) -> io::Result<Outcome> {
        let most = self.spec(id)?.tunnel.map_or(0, |(_, down)| down);
        let is_whole = self.check_tunneled(id, got, true)? == most;
        Ok(if is_whole { Outcome::Served } else { Outcome::Cut })
    }

    /// Checks a whole answer that the client of a request got, and notes its outcome.
    pub(crate) fn answered(&mut self, id: usize, message: &Message) -> io::Result<()> {
        let spec = self.spec(id)?;
        if let Some(call) = spec.call {
            return self.called(id, &call, message);
        }
        let status = message.status();
        match message.field("x-id").map(str::parse::<usize>) {
            Some(Ok(of)) if of == id => {}
            Some(of) => return wrong(format!("request {id} got the answer of {of:?}")),
            None if status >= 400 => return self.note(id, Outcome::Refused(status)),
            None => return wrong(format!("request {id} got {:?} from nobody", message.first)),
        }
        if spec.tunnel.is_some() && status == 200 {
            let outcome = self.tunnel_outcome(id, &message.body)?;
            return self.note(id, outcome);
        }
        match difference(id, Way::Down, spec.answer_len(), &message.body) {
            _ if status == 503 => self.note(id, Outcome::Refused(status)),
            Some(why) => wrong(format!("request {id} got a wrong answer: {why}")),
            None => {
                check_trailers(id, Way::Down, spec.has_down_trailers(), message)?;
                self.note(id, Outcome::Served)
            }
        }
    }

    /// Reports whether a request has no end yet.
    pub(crate) fn is_open(&self) -> bool {
        self.requests().iter().any(|e| e.outcome.is_none())
    }

    /// Notes how a request ended.
    pub(crate) fn note(&mut self, id: usize, outcome: Outcome) -> io::Result<()> {
        let calm = self.calm;
        let e = self.entry(id)?;
        hg_net::trace(|| format!("request {id} ends: {outcome:?}"));
        if let Some(before) = e.outcome.replace(outcome) {
            return wrong(format!("request {id} ends twice: {before:?}, {outcome:?}"));
        }
        if calm && outcome != Outcome::Served {
            return wrong(format!(
                "request {id} fails in calm weather: {outcome:?} ({:?})",
                e.spec
            ));
        }
        Ok(())
    }
}
