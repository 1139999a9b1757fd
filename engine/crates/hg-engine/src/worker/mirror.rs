//! Requests that are sent once more, to upstreams whose answers nobody gets. Each copy is an exchange
//! of its own, without a client, that begins once its request is out: nothing of it holds up the
//! request or another copy, and no failure of it is one of the request.

use super::Worker;
use super::accept::deadline_after;
use super::client::{Client, Phase, Seat};
use super::conn::Conn;
use super::exchange::{ExId, Exchange, Relay, Stage};
use super::head::{Parts, write_upstream_head};
use super::request::{Forward, hash_key};
use super::response::Next;
use super::timers::Entry;
use super::turns::{Standing, Turn};
use crate::snapshot::{Flight, MirrorTerms, Mirrored, UpstreamEntry};
use hg_middleware::{ConnectionAccounts, Failure};
use hg_net::Ticks;
use hg_proto::write::ChunkHeader;
use hg_proto::{Framing, ResponseHead};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;

/// A copy of a request that is not whole yet.
pub(crate) struct Pending {
    flight: Flight,
    /// Its upstream's slot, and the id of what has the slot.
    slot: usize,
    id: u64,
    entry: Arc<UpstreamEntry>,
    /// The key that chooses its endpoint.
    key: Option<u64>,
    head: Vec<u8>,
    host_at: Option<(usize, usize)>,
    body: Vec<u8>,
    most: u64,
    timeout_ms: u64,
}

impl Pending {
    /// Writes its head, from what that of the request is written from.
    pub(super) fn with_head(mut self, parts: &Parts<'_>) -> Self {
        let copy_of = Some(parts.view.route);
        let parts = Parts { upstream: &self.entry, ..*parts };
        self.host_at = write_upstream_head(&mut self.head, &parts, copy_of);
        self
    }

    /// Adds a part of the body; reports whether there was room for it.
    fn add(&mut self, part: &[u8]) -> bool {
        let fits = self.body.len() as u64 + part.len() as u64 <= self.most;
        if fits {
            self.body.extend_from_slice(part);
        } else {
            self.flight.came = Mirrored::TooLarge;
        }
        fits
    }

    /// Puts its body after its head.
    fn seal(&mut self, chunked: bool) {
        if !chunked {
            return self.head.append(&mut self.body);
        }
        if !self.body.is_empty() {
            let header = ChunkHeader::new(self.body.len() as u64);
            self.head.extend_from_slice(header.as_bytes());
            self.head.append(&mut self.body);
            self.head.extend_from_slice(b"\r\n");
        }
        self.head.extend_from_slice(b"0\r\n\r\n");
    }
}

impl Relay {
    /// Copies a part of the body for each mirror, which gets all of it or nothing.
    pub(super) fn copy(&mut self, part: &[u8]) {
        self.mirrors.retain_mut(|pending| pending.add(part));
    }
}

impl Exchange {
    /// Reports whether it is a copy of a request that went to another upstream.
    pub(super) fn is_mirrored(&self) -> bool {
        self.chained.flight.is_some()
    }
}

/// Returns why a request is not mirrored, as far as its head tells.
fn refusal(terms: &MirrorTerms, framing: Framing, upgrade: bool) -> Option<Mirrored> {
    match framing {
        _ if upgrade => Some(Mirrored::Unsupported),
        Framing::Length(n) if n > terms.most_bytes => Some(Mirrored::TooLarge),
        _ => None,
    }
}

impl Worker {
    /// Begins the copies of a request that its route wants; each mirror draws for itself.
    pub(super) fn draw_mirrors(
        &mut self,
        x: ExId,
        forward: &Forward<'_>,
        upgrade: bool,
    ) -> Vec<Pending> {
        let mirrors = forward.route.terms.mirrors.iter();
        mirrors.filter_map(|terms| self.draw_mirror(x, forward, upgrade, terms)).collect()
    }

    fn draw_mirror(
        &mut self,
        x: ExId,
        forward: &Forward<'_>,
        upgrade: bool,
        terms: &MirrorTerms,
    ) -> Option<Pending> {
        if !terms.takes(&mut self.rng) {
            return None;
        }
        let worker = self.mailbox.index;
        let is_decoded = self.exchanges.get(x).is_some_and(|e| e.request.decoded.is_some());
        let framing = if is_decoded { Framing::Chunked } else { forward.head.framing };
        let refusal = refusal(terms, framing, upgrade);
        if let Some(came) = refusal.or_else(|| self.is_loaded().then_some(Mirrored::Dropped)) {
            terms.count(worker, came);
            return None;
        }
        let Some(flight) = terms.begin(worker) else {
            terms.count(worker, Mirrored::Dropped);
            return None;
        };
        let slot = terms.upstream as usize;
        let entry = self.exchanges.get(x)?.snapshot.as_ref()?.upstreams.get(slot)?.clone()?;
        let now = self.upstreams.get_mut(slot).filter(|now| now.entry.name == entry.name)?;
        let key = entry.key.as_ref();
        Some(Pending {
            flight,
            slot,
            id: now.id,
            key: key.and_then(|key| hash_key(key, forward.view, &forward.head.fields)),
            entry,
            head: Vec::new(),
            host_at: None,
            body: Vec::new(),
            most: terms.most_bytes,
            timeout_ms: terms.timeout_ms,
        })
    }

    /// Sends the copies of a request that is out, each in a turn of its own.
    pub(super) fn release_mirrors(&mut self, x: ExId) {
        let Some(e) = self.exchanges.get_mut(x).filter(|e| e.request.done) else {
            return;
        };
        for pending in std::mem::take(&mut e.request.mirrors) {
            if let Some(copy) = self.open_mirror(x, pending) {
                self.progress(copy);
                self.agenda.add(Turn::Mirror(copy));
            }
        }
    }

    fn open_mirror(&mut self, x: ExId, mut pending: Pending) -> Option<ExId> {
        pending.flight.came = Mirrored::Failed;
        let client = self.stand_in()?;
        let copy = self.exchanges.open();
        let [e, of] = self.exchanges.get_two(copy, x)?;
        (e.client, e.client_ip, e.start_us) = (client, of.client_ip, self.now_us);
        (e.request_id, e.id_len) = (of.request_id, of.id_len);
        (e.upstream, e.upstream_id, e.method) = (pending.slot, pending.id, of.method);
        e.snapshot.clone_from(&of.snapshot);
        e.wanted.key = pending.key;
        e.stream.is_grpc = of.stream.is_grpc;
        e.request.never.clone_from(&of.request.never);
        e.request.chunked = of.request.chunked;
        e.request.bytes = pending.body.len() as u64;
        pending.seal(e.request.chunked);
        (e.head, e.host_at) = (pending.head, pending.host_at);
        e.due.request = deadline_after(self.now_us, pending.timeout_ms.max(1));
        e.due.connect = deadline_after(self.now_us, pending.entry.plan.connect_timeout_ms);
        e.chained.flight = Some(Box::new(pending.flight));
        Some(copy)
    }

    /// Takes the head of an answer that nobody gets.
    pub(super) fn take_mirrored_head(&mut self, x: ExId, head: &ResponseHead<'_, '_>) -> Next {
        self.trial_answered(x, head.status);
        let Some(e) = self.exchanges.get_mut(x) else {
            return Next::Over;
        };
        e.status = head.status;
        e.response.reader = head.framing.into();
        e.response.done = e.response.reader.is_done();
        let keep_ms = |s| u64::from(s).saturating_sub(1) * 1000;
        e.link.keep_ms =
            head.keep_alive.then(|| head.keep_alive_timeout_s.map_or(u64::MAX, keep_ms));
        e.stage = Stage::Answering;
        Next::Body(head.head_len)
    }

    /// Gives up the copies that are under way: the worker leaves.
    pub(super) fn abandon_mirrors(&mut self) {
        for x in self.exchanges.ids(Exchange::is_mirrored) {
            self.detach(x, None, "");
            if let Some(e) = self.exchanges.take(x) {
                self.exchanges.give_back(e);
            }
        }
        // Those that waited for a place wait no more.
        self.serve_waiting();
        if let Some(ci) = self.stand_in.take() {
            self.clients.try_remove(ci);
        }
    }

    /// Returns the client that stands in for those that copies do not have.
    fn stand_in(&mut self) -> Option<usize> {
        if self.stand_in.is_some() {
            return self.stand_in;
        }
        let mut conn = Conn::new(hg_net::unconnected().ok()?);
        conn.readable = false;
        let generation = self.next_generation();
        let ci = self.clients.insert(Client {
            conn,
            generation,
            phase: Phase::Exchange,
            peer: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)),
            listener: u16::MAX,
            standing: Standing::default(),
            deadline: Ticks::MAX,
            timer: Entry::NONE,
            requests: 0,
            input: Vec::new(),
            exchange: None,
            http2: None,
            counters: Arc::default(),
            seat: Seat {
                open: Arc::default(),
                counted: false,
                accounts: ConnectionAccounts::default(),
            },
            pinned: None,
        });
        self.stand_in = Some(ci);
        self.stand_in
    }

    /// Reports whether no client is left.
    pub(super) fn has_no_clients(&self) -> bool {
        self.clients.len() == usize::from(self.stand_in.is_some())
    }
}

/// Returns what came of a copy, by the status of its answer, or by why it has none.
pub(super) fn came(status: u16, failure: Option<Failure>) -> Mirrored {
    match failure {
        None if status < 500 => Mirrored::Answered,
        None => Mirrored::Error,
        Some(Failure::Timeout) => Mirrored::Timeout,
        Some(_) => Mirrored::Failed,
    }
}

#[cfg(test)]
mod tests;
