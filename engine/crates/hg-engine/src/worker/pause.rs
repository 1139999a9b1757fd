//! Exchanges whose middlewares wait: for a time, for a job that helper threads do, or for the answer
//! to a request of their own. Meanwhile the body stays with the client, and nothing is asked of the
//! route's upstream.

use super::buffers::RESERVE;
use super::chain::request_view;
use super::client::Phase;
use super::exchange::{ExId, KeptHead, Stage, pair};
use super::identity::of_peer;
use super::request::{Asked, Lines, Sent, Step};
use super::subrequest::Asks;
use super::{Message, Worker, head};
use crate::worker::answer::own;
use hg_middleware::{Brought, Failure, Rewritten, Wait, Woken};
use hg_net::Clock;
use hg_proto::{Connection, Framing, HeaderSlots, Limits, Parse, RequestHead};

/// The state with which an exchange that waits goes on.
pub(crate) struct Paused {
    rewritten: Rewritten,
    head: HeadFacts,
    /// The upstream that was chosen, by slot.
    slot: Option<usize>,
    /// Names this wait; nothing else resumes it.
    pub(super) ticket: u64,
    pub(super) is_job: bool,
    /// Set if it waits for the answer to a subrequest.
    pub(super) asks: Option<Asks>,
    /// The time for which a stream of HTTP/2 waits for its place.
    pub(crate) wait_ms: u16,
}

/// The facts that the text of a head does not contain if it came over HTTP/2.
#[derive(Clone, Copy)]
struct HeadFacts {
    version: hg_proto::Version,
    framing: Framing,
    connection: Connection,
    expect_continue: bool,
}

impl HeadFacts {
    fn of(head: &RequestHead<'_, '_>) -> Self {
        Self {
            version: head.version,
            framing: head.framing,
            connection: head.connection,
            expect_continue: head.expect_continue,
        }
    }

    fn put(self, head: &mut RequestHead<'_, '_>) {
        let Self { version, framing, connection, expect_continue } = self;
        (head.version, head.framing) = (version, framing);
        (head.connection, head.expect_continue) = (connection, expect_continue);
    }
}

impl Worker {
    /// Lets an exchange wait, as a step of its chain wants.
    pub(super) fn pause(
        &mut self,
        x: ExId,
        asked: &Asked<'_>,
        slot: Option<usize>,
        mut rewritten: Rewritten,
    ) -> Step {
        let wait = rewritten.wait.take();
        let ticket = self.shared.ticket();
        let mut subrequest = None;
        let (is_job, us) = match wait {
            Some(Wait::Job { job, timeout_us }) => {
                if !self.submit(x, ticket, job) {
                    self.refuse(x, &own::HELPERS_FULL);
                    return Step::Over;
                }
                (true, timeout_us)
            }
            Some(Wait::Delay { us }) => (false, us),
            Some(Wait::Subrequest(one)) => {
                let us = one.timeout_us;
                subrequest = Some(one);
                (false, us)
            }
            None => (false, 0),
        };
        let Some(e) = self.exchanges.get_mut(x) else {
            return Step::Over;
        };
        if e.kept_head.bytes.is_empty() {
            let Sent { bytes, admission } = asked.sent;
            let is_http2 = e.stream.is_http2();
            let bytes = if is_http2 { head::as_text(asked.head) } else { bytes.to_vec() };
            e.kept_head = KeptHead { bytes, admission };
        }
        let head = HeadFacts::of(asked.head);
        let asks = subrequest.is_some().then(Asks::default);
        let us = if asks.is_some() { us.min(e.request_us()) } else { us };
        e.chained.paused =
            Some(Box::new(Paused { rewritten, head, slot, ticket, is_job, asks, wait_ms: 0 }));
        e.stage = Stage::Paused;
        e.due.again = Clock::after(self.now_us.saturating_add(us), 0);
        self.progress(x);
        if let Some(subrequest) = subrequest {
            self.ask(x, ticket, *subrequest);
        }
        Step::Wait
    }

    /// Gives a job to the helper threads; its result comes by mail.
    pub(super) fn submit(
        &self,
        x: ExId,
        ticket: u64,
        job: Box<dyn FnOnce() -> Brought + Send>,
    ) -> bool {
        let mailbox = self.mailbox.clone();
        let mut report = Report(Some(move |brought| {
            mailbox.send(Message::Brought { x, ticket, brought });
        }));
        self.shared.helpers.submit(Box::new(move || {
            let brought = job();
            report.tell(Some(brought));
        }))
    }

    /// Handles the end of a wait's time.
    pub(super) fn expire_pause(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get(x) else {
            return;
        };
        if e.due.again > self.now {
            return self.rearm(x);
        }
        match e.chained.paused.as_deref() {
            Some(Paused { is_job: true, .. }) => self.refuse(x, &own::HELPER_TIMEOUT),
            Some(Paused { asks: Some(_), .. }) => {
                self.drop_sub(x, Some(hg_resilience::Outcome::Timeout));
                self.resume(x, Woken::Answered(Err(Failure::Timeout)));
            }
            _ => self.resume(x, Woken::Delay),
        }
    }

    /// Takes the result of a job, if the exchange still waits for it; without one it has failed.
    pub(super) fn take_brought(&mut self, x: ExId, ticket: u64, brought: Option<Brought>) {
        let paused = self.exchanges.get(x).and_then(|e| e.chained.paused.as_ref());
        if paused.is_none_or(|paused| paused.ticket != ticket) {
            return;
        }
        match brought {
            Some(brought) => self.resume(x, Woken::Brought(brought)),
            None => self.refuse(x, &own::HELPER_FAILED),
        }
    }

    /// Goes on with the chain of an exchange.
    pub(super) fn resume(&mut self, x: ExId, woken: Woken) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        let Some(paused) = e.chained.paused.take() else {
            return;
        };
        e.stage = Stage::Connecting;
        e.due.again = hg_net::Ticks::MAX;
        e.log.trace.end_wait(self.now_us);
        // What refuses may render the head, too.
        let kept = KeptHead { bytes: e.kept_head.bytes.clone(), admission: e.kept_head.admission };
        let mut slots = HeaderSlots::new();
        let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
        let parsed = hg_proto::parse_request(&kept.bytes, &mut slots, &limits, kept.admission);
        let Ok(Parse::Complete(mut head)) = parsed else {
            return self.refuse(x, &own::HELPER_FAILED);
        };
        paused.head.put(&mut head);
        let wait_ms = paused.wait_ms;
        let mut names = std::mem::take(&mut self.scratch.names);
        let sent = Sent { bytes: &kept.bytes, admission: kept.admission };
        let step = self.go_on(x, &head, sent, &mut names, (*paused, woken));
        self.scratch.names = names;
        match step {
            Some(Step::Forward) if head.version == hg_proto::Version::H2 => {
                self.limit_grpc(x, &head);
                self.start_stream(x, wait_ms);
            }
            Some(Step::Forward) => self.start_kept_body(x),
            Some(Step::Wait) => {
                if let Some(paused) =
                    self.exchanges.get_mut(x).and_then(|e| e.chained.paused.as_mut())
                {
                    paused.wait_ms = wait_ms;
                }
            }
            Some(Step::Over) | None => {}
        }
    }

    /// Runs the rest of the chain, then forwards or answers as after the first part.
    fn go_on(
        &mut self,
        x: ExId,
        head: &RequestHead<'_, '_>,
        sent: Sent<'_>,
        names: &mut head::Names,
        (mut paused, woken): (Paused, Woken),
    ) -> Option<Step> {
        let (e, c) = pair(&mut self.exchanges, &mut self.clients, x)?;
        let held = e.snapshot.clone()?;
        let listener = held.listeners.get(usize::from(c.listener))?.as_deref()?;
        let route = held.routes.get(e.route? as usize)?;
        let path = match head.path {
            "*" => "*",
            path => hg_route::path::normalise(path, &mut names.path).ok()?,
        };
        let host = head.host_port.key(&mut names.host);
        let peer = c.conn.peer_certificate().cloned();
        let certificate = peer.as_deref().map(of_peer);
        let lines = Lines { fields: head.fields, certificate };
        // Meanwhile the upstream may have gone, and another one may have its slot.
        paused.slot = paused.slot.filter(|slot| {
            let now = self.upstreams.get_mut(*slot).map(|u| &u.entry.name);
            now.is_some_and(|now| {
                held.upstreams.get(*slot).and_then(Option::as_ref).is_some_and(|u| u.name == *now)
            })
        });
        let upstream = paused.slot.and_then(|s| held.upstreams.get(s)?.as_deref());
        let (id, id_len) = (e.request_id, e.id_len);
        let mut view = request_view(head, (host, path), &lines, (&id, id_len));
        view.scheme = if c.conn.is_tls() { "https" } else { "http" };
        view.client.ip = e.client_ip;
        view.listener = &listener.name;
        view.route = &route.name;
        view.upstream = upstream.map_or("", |u| &u.name);
        view.prefix_len = e.prefix_len as usize;
        let client = e.client_ip;
        let asked = Asked { head, held: &held, listener, client, sent, load: None };
        let place = (route, paused.slot, upstream);
        Some(self.run_steps(x, &asked, &view, place, (&mut paused.rewritten, Some(woken))))
    }

    /// Sends the request on an HTTP/1 connection, whose body, as far as it has come, was kept.
    fn start_kept_body(&mut self, x: ExId) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        let (ci, generation) = (e.client, c.generation);
        let mut input = std::mem::take(&mut c.input);
        // Room before the first byte: see `relay::frame`.
        input.splice(0..0, [0u8; RESERVE]);
        let end = input.len();
        let next = self.start_body(x, &mut input, RESERVE..end);
        if self.clients.get(ci).is_none_or(|c| c.generation != generation) {
            return;
        }
        let rest = input.get(next..end).unwrap_or_default();
        self.keep_input(ci, rest);
        if !rest.is_empty() && self.clients.get(ci).is_some_and(|c| c.phase == Phase::Idle) {
            self.enqueue(ci);
        }
    }
}

/// Tells the end of a job once: with its result, or without one if it panicked or was never done.
struct Report<F: FnOnce(Option<Brought>)>(Option<F>);

impl<F: FnOnce(Option<Brought>)> Report<F> {
    fn tell(&mut self, brought: Option<Brought>) {
        if let Some(tell) = self.0.take() {
            tell(brought);
        }
    }
}

impl<F: FnOnce(Option<Brought>)> Drop for Report<F> {
    fn drop(&mut self) {
        self.tell(None);
    }
}
