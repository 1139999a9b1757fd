//! Exchanges whose origin is no client but a middleware of another exchange: they take the way of
//! every request to an endpoint, and their answers are collected for the one that waits.

use super::accept::deadline_after;
use super::answer::own;
use super::exchange::{ExId, Exchange, Stage};
use super::response::Next;
use super::upstreams::UpstreamState;
use super::{Turn, Worker};
use hg_h2::NeverIndexed;
use hg_middleware::{Answered, Failure, Seat, Subrequest, Woken};
use hg_plan::HostHeader;
use hg_policy::{KeySource, Tried};
use hg_proto::{Method, Reject, ResponseHead, write};
use hg_resilience::{Bar, Outcome, Standing};

/// The state of an exchange that answers another one instead of a client.
pub(crate) struct Sub {
    /// The exchange that waits, and which wait this is.
    parent: ExId,
    ticket: u64,
    most: usize,
    answer: Box<Answered>,
    /// Given back with the exchange.
    _seat: Seat,
}

/// A subrequest as the exchange knows it that waits.
#[derive(Default)]
pub(crate) struct Asks {
    child: Option<ExId>,
    result: Option<Result<Box<Answered>, Failure>>,
}

impl Exchange {
    /// Reports whether its answer is for another exchange, or for nobody.
    pub(crate) fn is_sub(&self) -> bool {
        self.chained.sub.is_some() || self.is_mirrored()
    }

    /// Reports whether its deadline is not that of its client's connection.
    pub(crate) fn has_own_timer(&self) -> bool {
        self.stream.is_http2() || self.is_sub()
    }

    /// Returns how long its route lets a request take, microseconds.
    pub(super) fn request_us(&self) -> u64 {
        match self.route().map_or(0, |r| r.terms.timeouts.request_ms) {
            0 => u64::MAX,
            ms => ms.saturating_mul(1_000),
        }
    }

    fn asks(&mut self, ticket: u64) -> Option<&mut Asks> {
        let paused = self.chained.paused.as_mut().filter(|paused| paused.ticket == ticket)?;
        paused.asks.as_mut()
    }
}

impl UpstreamState {
    /// Reports whether an endpoint gets no request because of how others went, or how many there
    /// are: its breaker is open, it is ejected, or it is full.
    pub(crate) fn keeps_some_back(&self, tried: &Tried) -> bool {
        self.entry.endpoints.iter().enumerate().any(|(i, e)| {
            let is_asked = e.weight > 0 && !e.targets.is_empty() && !tried.contains(i);
            is_asked
                && match e.health.shared.load().standing() {
                    Standing::Out(bar) => matches!(bar, Bar::Breaker | Bar::Ejected | Bar::Probing),
                    standing => standing != Standing::Unknown,
                }
        })
    }
}

impl Worker {
    /// Sends a subrequest of an exchange that waits. Its end comes in a turn of its own.
    pub(super) fn ask(&mut self, parent: ExId, ticket: u64, asked: Subrequest) {
        let child = self.open_sub(parent, ticket, asked);
        let Some(asks) = self.exchanges.get_mut(parent).and_then(|e| e.asks(ticket)) else {
            return;
        };
        asks.child = child;
        match child {
            Some(x) => self.dispatch(x),
            None => self.tell_parent(parent, ticket, Err(Failure::NotAsked)),
        }
    }

    fn open_sub(&mut self, parent: ExId, ticket: u64, mut asked: Subrequest) -> Option<ExId> {
        let of = self.exchanges.get(parent)?;
        let (client, client_ip) = (of.client, of.client_ip);
        let never = never_indexed(&of.request.never);
        if let Some(context) = of.log.trace.told_aside() {
            tell_trace(&mut asked.lines, context);
        }
        let held = self.held.clone();
        let name_of = |slot: usize| held.upstreams.get(slot)?.as_deref().map(|u| &*u.name);
        let slot = asked.to.find(held.upstreams.len(), name_of)?;
        let entry = held.upstreams.get(slot)?.as_deref()?;
        let id = self.upstreams.get_mut(slot)?.id;
        let x = self.exchanges.open();
        let e = self.exchanges.get_mut(x)?;
        e.host_at = write_head(&mut e.head, &asked, &entry.host_header);
        (e.client, e.client_ip, e.start_us) = (client, client_ip, self.now_us);
        (e.upstream, e.upstream_id, e.method) = (slot, id, asked.method);
        e.request.never = never;
        let lines = |name: &str, line: &mut dyn FnMut(&[u8])| asked.each(name, line);
        let key = |source: &KeySource| source.hash(client_ip, &asked.target, lines);
        e.wanted.key = entry.key.as_ref().and_then(key);
        e.due.connect = deadline_after(self.now_us, entry.plan.connect_timeout_ms);
        e.chained.sub = Some(Box::new(Sub {
            parent,
            ticket,
            most: asked.most_bytes,
            answer: Box::default(),
            _seat: asked.seat,
        }));
        e.snapshot = Some(held);
        Some(x)
    }

    /// Takes the head of the answer to a subrequest.
    pub(super) fn take_sub_head(&mut self, x: ExId, head: &ResponseHead<'_, '_>) -> Next {
        self.trial_answered(x, head.status);
        let Some(e) = self.exchanges.get_mut(x) else {
            return Next::Over;
        };
        let Some(sub) = &mut e.chained.sub else {
            return Next::Over;
        };
        e.status = head.status;
        e.response.reader = head.framing.into();
        e.response.done = e.response.reader.is_done();
        let keep_ms = |s| u64::from(s).saturating_sub(1) * 1000;
        e.link.keep_ms =
            head.keep_alive.then(|| head.keep_alive_timeout_s.map_or(u64::MAX, keep_ms));
        e.stage = Stage::Answering;
        sub.answer.status = head.status;
        write::fields(&mut sub.answer.lines, &head.fields, |_| false);
        let says_more = head.content_length.is_some_and(|n| n > sub.most as u64);
        if sub.answer.lines.len() > sub.most || (says_more && !e.response.done) {
            self.give_up_sub(x, Failure::TooLarge);
            return Next::Over;
        }
        Next::Body(head.head_len)
    }

    /// Takes a part of the body of the answer to a subrequest. Reports whether there is room for it.
    pub(super) fn take_sub_body(&mut self, x: ExId, part: &[u8]) -> bool {
        let Some(e) = self.exchanges.get_mut(x) else {
            return false;
        };
        let Some(sub) = &mut e.chained.sub else {
            return e.is_mirrored();
        };
        if sub.answer.body.len() + part.len() > sub.most {
            self.give_up_sub(x, Failure::TooLarge);
            return false;
        }
        sub.answer.body.extend_from_slice(part);
        true
    }

    /// Ends a subrequest whose answer nobody can use; that says nothing of the endpoint.
    fn give_up_sub(&mut self, x: ExId, failure: Failure) {
        self.detach(x, None, "");
        self.end_sub(x, Some(failure));
    }

    /// Ends an exchange that was detached if it is a subrequest, and tells the one that waits.
    /// Reports whether it was one.
    pub(super) fn end_sub(&mut self, x: ExId, failure: Option<Failure>) -> bool {
        if !self.exchanges.get(x).is_some_and(Exchange::is_sub) {
            return false;
        }
        let Some(mut e) = self.exchanges.take(x) else {
            return false;
        };
        let has_answer = e.status > 0 && !e.is_mirrored();
        if let Some(u) = self.upstreams.same(e.upstream, e.upstream_id).filter(|_| has_answer) {
            u.counters.requests.add(u8::try_from(e.method.index()).unwrap_or(9), e.status);
        }
        let sub = e.chained.sub.take();
        if let Some(of) = sub.as_ref().and_then(|sub| self.exchanges.get_mut(sub.parent)) {
            // Its lines go to the endpoint, or to the client.
            of.request.never.absorb(&e.response.never);
            of.response.never.absorb(&e.response.never);
        }
        if let Some(flight) = &mut e.chained.flight {
            flight.came = super::mirror::came(e.status, failure);
        }
        self.exchanges.give_back(e);
        if let Some(Sub { parent, ticket, answer, .. }) = sub.map(|sub| *sub) {
            self.tell_parent(parent, ticket, failure.map_or(Ok(answer), Err));
        }
        true
    }

    fn tell_parent(&mut self, parent: ExId, ticket: u64, result: Result<Box<Answered>, Failure>) {
        if let Some(asks) = self.exchanges.get_mut(parent).and_then(|e| e.asks(ticket)) {
            *asks = Asks { child: None, result: Some(result) };
            self.agenda.add(Turn::Answered(parent, ticket));
        }
    }

    /// Goes on with an exchange whose subrequest has ended.
    pub(super) fn take_answered(&mut self, x: ExId, ticket: u64) {
        let asks = self.exchanges.get_mut(x).and_then(|e| e.asks(ticket));
        if let Some(result) = asks.and_then(|asks| asks.result.take()) {
            self.resume(x, Woken::Answered(result));
        }
    }

    /// Cancels the subrequest of an exchange that waits for it no longer. `failed` is what that says
    /// of the endpoint; nothing if the one that waited has left.
    pub(super) fn drop_sub(&mut self, parent: ExId, failed: Option<Outcome>) {
        let paused = self.exchanges.get_mut(parent).and_then(|e| e.chained.paused.as_mut());
        let child = paused.and_then(|paused| paused.asks.as_mut()?.child.take());
        if let Some(x) = child {
            self.detach(x, failed, "no answer to a middleware in time");
            if let Some(e) = self.exchanges.take(x) {
                self.exchanges.give_back(e);
            }
        }
    }
}

/// Returns why there is no answer, of which the refusal tells a client.
pub(super) fn failure_of(reject: &Reject) -> Failure {
    let away = [
        own::CONNECT_REFUSED.code,
        own::TLS_FAILED.code,
        own::TLS_CERTIFICATE.code,
        own::NO_HTTP2.code,
        own::NO_ENDPOINT.code,
        own::UNRESOLVED.code,
    ];
    match reject.status {
        504 | 408 => Failure::Timeout,
        _ if away.contains(&reject.code) => Failure::Unavailable,
        _ if reject.code == own::LOST.code => Failure::HungUp,
        502 => Failure::Invalid,
        _ => Failure::NotAsked,
    }
}

/// Returns what no table may hold of a subrequest: what the client said so of, in whatever line the
/// subrequest tells it.
fn never_indexed(of: &NeverIndexed) -> NeverIndexed {
    let mut never = of.clone();
    for (told, field) in [
        ("x-forwarded-uri", ":path"),
        ("x-original-url", ":path"),
        ("x-original-url", ":authority"),
        ("x-forwarded-host", ":authority"),
    ] {
        never.derive(told, field);
    }
    never
}

/// Puts a place in a trace into the lines of a subrequest, for that of the client.
fn tell_trace(lines: &mut Vec<u8>, context: hg_trace::Context) {
    let before = std::mem::take(lines);
    for line in before.split_inclusive(|b| *b == b'\n') {
        let name = line.split(|b| *b == b':').next().unwrap_or_default();
        if !name.eq_ignore_ascii_case(b"traceparent") {
            lines.extend_from_slice(line);
        }
    }
    write::line(lines, "traceparent", &context.text());
}

/// Writes the head of a subrequest; returns where the Host value is if it follows the endpoint.
fn write_head(out: &mut Vec<u8>, asked: &Subrequest, rule: &HostHeader) -> Option<(usize, usize)> {
    let (path, query) = match asked.target.split_once('?') {
        Some((path, query)) => (path, Some(query)),
        None => (&*asked.target, None),
    };
    write::request_line(out, asked.method.as_str(), path, query);
    out.extend_from_slice(b"host: ");
    let at = out.len();
    let host = match rule {
        HostHeader::Pass if !asked.host.is_empty() => Some(asked.host.as_str()),
        HostHeader::Literal(host) => Some(host.as_str()),
        HostHeader::Pass | HostHeader::Endpoint => None,
    };
    out.extend_from_slice(host.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    out.extend_from_slice(&asked.lines);
    if asked.method == Method::Post {
        write::content_length(out, 0);
    }
    write::end(out);
    host.is_none().then_some((at, 0))
}

#[cfg(test)]
mod tests;
