//! What each request is, and what becomes of it on both sides.

use crate::body::{Way, difference};
use crate::http1::Message;
use std::io;

/// How a body is framed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Frame {
    Length,
    Chunked,
    /// By the end of the connection; answers only.
    Close,
}

/// What an endpoint does with a request.
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

/// What a client sends and what it should get.
#[derive(Clone, Debug)]
pub(crate) struct Spec {
    pub(crate) method: &'static str,
    pub(crate) up: Option<(usize, Frame)>,
    pub(crate) waits_for_continue: bool,
    pub(crate) down: (usize, Frame),
    pub(crate) act: Act,
    /// How long the endpoint thinks, microseconds.
    pub(crate) think_us: u64,
}

impl Spec {
    pub(crate) fn is_idempotent(&self) -> bool {
        self.method != "POST"
    }

    /// Returns the length of the answer's body on the wire.
    pub(crate) fn answer_len(&self) -> usize {
        if self.method == "HEAD" { 0 } else { self.down.0 }
    }
}

/// How a request ended for its client.
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
    /// How often its head has reached an endpoint.
    pub(crate) arrivals: u32,
    pub(crate) outcome: Option<Outcome>,
}

/// All requests of a run.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    pub(crate) entries: Vec<Entry>,
    /// Whether nothing may fail.
    pub(crate) calm: bool,
    /// Whether requests that are not idempotent may be repeated.
    pub(crate) repeats_any: bool,
}

/// Makes an error of something that must never happen.
pub(crate) fn wrong<T>(what: String) -> io::Result<T> {
    Err(io::Error::other(what))
}

impl Ledger {
    pub(crate) fn spec(&self, id: usize) -> io::Result<&Spec> {
        match self.entries.get(id) {
            Some(e) => Ok(&e.spec),
            None => wrong(format!("request {id} does not exist")),
        }
    }

    /// Notes that a request's head has reached an endpoint.
    pub(crate) fn arrived(&mut self, id: usize) -> io::Result<()> {
        let any = self.repeats_any;
        let Some(e) = self.entries.get_mut(id) else {
            return wrong(format!("request {id} does not exist"));
        };
        e.arrivals += 1;
        if e.arrivals > 1 && !e.spec.is_idempotent() && !any {
            return wrong(format!("request {id} ({}) was sent twice", e.spec.method));
        }
        Ok(())
    }

    /// Checks a request that an endpoint has read to its end.
    pub(crate) fn check_request(&self, id: usize, message: &Message) -> io::Result<()> {
        let spec = self.spec(id)?;
        let len = spec.up.map_or(0, |(len, _)| len);
        match difference(id, Way::Up, len, &message.body) {
            Some(why) => wrong(format!("the endpoint got request {id} wrong: {why}")),
            None => Ok(()),
        }
    }

    /// Checks a whole answer that the client of a request got, and notes its outcome.
    pub(crate) fn answered(&mut self, id: usize, message: &Message) -> io::Result<()> {
        let spec = self.spec(id)?;
        let status = message.status();
        match message.field("x-id").map(str::parse::<usize>) {
            Some(Ok(of)) if of == id => {}
            Some(of) => return wrong(format!("request {id} got the answer of {of:?}")),
            None if status >= 400 => return self.note(id, Outcome::Refused(status)),
            None => return wrong(format!("request {id} got {:?} from nobody", message.first)),
        }
        match difference(id, Way::Down, spec.answer_len(), &message.body) {
            _ if status == 503 => self.note(id, Outcome::Refused(status)),
            Some(why) => wrong(format!("request {id} got a wrong answer: {why}")),
            None => self.note(id, Outcome::Served),
        }
    }

    /// Reports whether a request has no end yet.
    pub(crate) fn is_open(&self) -> bool {
        self.entries.iter().any(|e| e.outcome.is_none())
    }

    /// Notes how a request ended.
    pub(crate) fn note(&mut self, id: usize, outcome: Outcome) -> io::Result<()> {
        let calm = self.calm;
        let Some(e) = self.entries.get_mut(id) else {
            return wrong(format!("request {id} does not exist"));
        };
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
