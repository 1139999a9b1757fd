//! Makes an exchange from a request's head: its client, its route, and what the middlewares make of
//! it.

use super::Worker;
use super::accept::deadline_after;
use super::affinity::Wanted;
use super::answer::own;
use super::chain::request_view;
use super::client::Phase;
use super::exchange::{Deadlines, ExId, Held, KeptHead, pair};
use super::head::{self, Parts};
use super::http2::Opening;
use super::identity::of_peer;
use super::shed::Load;
use super::trace::Trace;
use crate::snapshot::{ListenerEntry, RouteEntry, UpstreamEntry};
use hg_middleware::{Client, RequestView};
use hg_policy::{KeySource, Random as _};
use hg_proto::client::{Forwarding, IpText};
use hg_proto::websocket::{self, Accept};
use hg_proto::{
    BodyReader, Fields, HeaderSlots, Known, Parse, Reject, RequestHead, Version, rejects,
};
use hg_resilience::Importance;
use hg_route::{CLIENT_SUBJECT, ClientCertificate, ListenerId, Query};
use std::net::IpAddr;
use std::ops::Range;

/// The result of taking a head.
pub(super) enum Step {
    /// The request goes to an upstream.
    Forward,
    /// A middleware waits; nothing of the body is read.
    Wait,
    /// The request was answered, or the connection ends.
    Over,
}

/// A head's lines as routing and middlewares ask for them.
pub(super) struct Lines<'a> {
    pub(super) fields: Fields<'a, 'a>,
    pub(super) certificate: Option<ClientCertificate<'a>>,
}

impl hg_route::Headers for Lines<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        // Values that are not headers have names that no header can have.
        if name == CLIENT_SUBJECT {
            return self.certificate.iter().for_each(|one| line(one.subject.as_bytes()));
        }
        for f in self.fields.iter().filter(|f| f.name.eq_ignore_ascii_case(name)) {
            line(f.value);
        }
    }

    fn end_to_end(&self, line: &mut dyn FnMut(&str, &[u8])) {
        self.fields.iter().filter(|f| !f.hop).for_each(|f| line(f.name, f.value));
    }

    fn certificate(&self) -> Option<ClientCertificate<'_>> {
        self.certificate
    }
}

impl Worker {
    /// Takes the request at the start of `range`. Returns where the next bytes begin, or `None` if
    /// there is no whole head or the connection is over.
    pub(super) fn take_request(
        &mut self,
        ci: usize,
        buffer: &mut Vec<u8>,
        range: Range<usize>,
    ) -> Option<usize> {
        let c = self.clients.get_mut(ci)?;
        let held = c.pinned.clone().unwrap_or_else(|| self.held.clone());
        let listener = held.listeners.get(usize::from(c.listener))?.as_deref()?;
        let mut slots = HeaderSlots::new();
        let bytes = buffer.get(range.clone())?;
        let may_be_http2 = c.requests == 0 && listener.plan.h2c && !c.conn.is_tls();
        if may_be_http2 {
            match Opening::of(bytes) {
                Opening::Http1 => {}
                Opening::Undecided => return None,
                Opening::Http2 => return Some(self.take_preface(ci, buffer, range)),
            }
        }
        let admission = hg_proto::Admission {
            claims: listener.client.trusts(c.peer.ip().to_canonical()),
            underscores: listener.plan.underscores_in_headers,
        };
        let head = match hg_proto::parse_request(bytes, &mut slots, &listener.limits, admission) {
            Ok(Parse::Complete(head)) => head,
            Ok(Parse::Partial) => return None,
            Err(rejects::REQUEST_LINE) if may_be_http2 => {
                return self.refuse_opening(ci, buffer, range, listener.limits.head_bytes);
            }
            Err(reject) => {
                self.refuse_head(ci, bytes, &reject);
                return None;
            }
        };
        let body_start = range.start + head.head_len;
        let x = self.open_exchange(ci)?;
        self.note_head(x, &head, &held, listener.plan.keepalive_requests);
        let sent = Sent { bytes: bytes.get(..head.head_len).unwrap_or_default(), admission };
        let step = self.begin(x, &head, &held, listener, sent);
        match step {
            Step::Over => self.after_own_answer(ci, body_start),
            Step::Wait => Some(body_start),
            Step::Forward => Some(self.start_body(x, buffer, body_start..range.end)),
        }
    }

    /// Refuses a first line that is not one of HTTP/1, once it is whole or has `most` bytes. A client of
    /// neither protocol gets what a false preface gets (RFC 9113 §3.4).
    fn refuse_opening(
        &mut self,
        ci: usize,
        buffer: &[u8],
        range: Range<usize>,
        most: usize,
    ) -> Option<usize> {
        let bytes = buffer.get(range.clone())?;
        match hg_proto::names_http(bytes) {
            Some(false) => return Some(self.take_preface(ci, buffer, range)),
            None if bytes.len() < most => {}
            Some(true) | None => self.refuse_head(ci, bytes, &rejects::REQUEST_LINE),
        }
        None
    }

    /// Serves HTTP/2 from these bytes on; returns where they end.
    fn take_preface(&mut self, ci: usize, buffer: &[u8], range: Range<usize>) -> usize {
        let end = range.end;
        self.start_http2(ci);
        self.on_frames(ci, buffer, range);
        end
    }

    /// Fills in what the head alone tells about an exchange.
    pub(super) fn note_head(
        &mut self,
        x: ExId,
        head: &RequestHead<'_, '_>,
        held: &Held,
        most: u64,
    ) {
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return;
        };
        c.requests = c.requests.saturating_add(1);
        e.snapshot = Some(held.clone());
        e.method = head.method.to_static();
        e.version = head.version;
        e.keep_alive = head.connection.keep_alive
            && (most == 0 || u64::from(c.requests) < most)
            && c.pinned.is_none();
        e.request.reader = head.framing.into();
        e.request.done = head.framing.is_empty();
        e.request.chunked = matches!(head.framing, hg_proto::Framing::Chunked);
        if e.stream.is_http2() && e.request.chunked {
            // Its frames delimit it.
            e.request.reader = BodyReader::UntilClose;
        }
        self.counters.ignored_nominations.add(u64::from(head.connection.ignored));
        if !head.withheld.is_none() {
            self.counters.withhold(head.withheld);
        }
    }

    /// Returns where the next request begins after one that we answered, unless a body comes before
    /// it.
    fn after_own_answer(&self, ci: usize, next: usize) -> Option<usize> {
        let c = self.clients.get(ci)?;
        matches!(c.phase, Phase::Idle | Phase::Exchange).then_some(next)
    }

    pub(super) fn begin(
        &mut self,
        x: ExId,
        head: &RequestHead<'_, '_>,
        held: &Held,
        listener: &ListenerEntry,
        sent: Sent<'_>,
    ) -> Step {
        let Some((_, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Step::Over;
        };
        let trusted = sent.admission.claims;
        let peer = c.peer.ip().to_canonical();
        let client_ip = if trusted {
            hg_proto::client::address(peer, &head.fields, listener.client.source, |ip| {
                listener.client.trusts(ip)
            })
        } else {
            peer
        };
        self.note_request(x, head, client_ip, trusted);
        if self.is_misdirected(x, head.host) {
            self.counters.misdirected.add(1);
            if let Some(e) = self.exchanges.get_mut(x).filter(|e| !e.stream.is_http2()) {
                // Its client needs another connection, and has this one for nothing else.
                e.keep_alive = false;
            }
            self.refuse(x, &own::MISDIRECTED);
            return Step::Over;
        }
        let load = self.load_at_request(x);
        // At the highest level not even routes are looked up.
        if self.sheds(x, load, Importance::High) {
            return Step::Over;
        }
        let asked = Asked { head, held, listener, client: client_ip, sent, load };
        let mut names = std::mem::take(&mut self.scratch.names);
        let step = self.route(x, &asked, &mut names);
        self.scratch.names = names;
        step
    }

    /// Keeps what is needed after the head's bytes are gone.
    fn note_request(&mut self, x: ExId, head: &RequestHead<'_, '_>, client: IpAddr, trusted: bool) {
        let id = self.request_id(head, trusted);
        self.note_request_size(x);
        let tracing = self.exchanges.get(x).and_then(|e| e.snapshot.as_ref()?.tracing);
        if let Some(terms) = tracing {
            self.begin_trace(x, terms, head, trusted);
        }
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.client_ip = client;
        (e.request_id, e.id_len) = id;
        e.expects_continue = head.expect_continue;
        let taps = e.log.taps;
        if taps.headers {
            let lines = head.fields.iter().map(|field| (field.name, field.value));
            hg_log::push_headers(lines, &mut e.log.headers);
        }
        if self.records.log.is_on() || taps.record || e.log.trace.is_recorded() {
            e.note_text(head);
        }
    }

    /// Takes a trusted peer's request id if it is valid, else makes one: 128 random bits in hex.
    fn request_id(&mut self, head: &RequestHead<'_, '_>, trusted: bool) -> ([u8; 32], u8) {
        let mut id = [0u8; 32];
        if trusted
            && let Some(told) = head.fields.get(Known::XRequestId)
            && (1..=32).contains(&told.len())
            && told.iter().all(|b| b.is_ascii_alphanumeric() || *b == b'-' || *b == b'_')
            && let Some(to) = id.get_mut(..told.len())
        {
            to.copy_from_slice(told);
            return (id, u8::try_from(told.len()).unwrap_or(32));
        }
        (self.random_id(), 32)
    }

    /// Returns 128 random bits in hex.
    pub(super) fn random_id(&mut self) -> [u8; 32] {
        let mut id = [0u8; 32];
        let random = [self.rng.next_u64(), self.rng.next_u64()];
        for (i, out) in id.iter_mut().enumerate() {
            let word = random.get(i / 16).copied().unwrap_or(self.id_seed);
            let nibble = (word >> (4 * (i % 16))) as u8 & 15;
            *out = if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
        }
        id
    }

    fn route(&mut self, x: ExId, asked: &Asked<'_>, names: &mut head::Names) -> Step {
        let Asked { head, held, listener, client, .. } = *asked;
        let path = if head.path == "*" {
            "*"
        } else {
            match hg_route::path::normalise(head.path, &mut names.path) {
                Ok(p) => p,
                Err(e) => {
                    self.refuse(x, &own::path(e));
                    return Step::Over;
                }
            }
        };
        let host = head.host_port.key(&mut names.host);
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Step::Over;
        };
        let peer = c.conn.peer_certificate().cloned();
        let certificate = peer.as_deref().map(of_peer);
        let lines = Lines { fields: head.fields, certificate };
        let query = Query {
            listener: ListenerId(c.listener),
            host,
            path,
            query: head.query,
            method: head.method.as_str(),
            headers: &lines,
            client,
        };
        let Some(found) = held.router.find(&query, &mut self.scratch.router) else {
            self.refuse(x, &own::NO_ROUTE);
            return Step::Over;
        };
        let Some(route) = held.routes.get(found.route.0 as usize) else {
            self.refuse(x, &own::NO_ROUTE);
            return Step::Over;
        };
        let id = (e.request_id, e.id_len);
        let scheme = if c.conn.is_tls() { "https" } else { "http" };
        let slot = self.choose_upstream(x, route, client, (path, &lines), scheme);
        let upstream = slot.and_then(|s| held.upstreams.get(s)?.as_deref());
        let view = RequestView {
            scheme,
            client: Client { certificate, ..Client::of(client) },
            listener: &listener.name,
            route: &route.name,
            upstream: upstream.map_or("", |u| &u.name),
            prefix_len: found.prefix_len,
            ..request_view(head, (host, path), &lines, (&id.0, id.1))
        };
        self.note_route(x, &found, asked);
        if self.is_body_too_large(x, head, route, listener) {
            return Step::Over;
        }
        self.run_chain(x, asked, &view, (route, slot, upstream))
    }

    fn note_route(&mut self, x: ExId, found: &hg_route::Found, asked: &Asked<'_>) {
        let Some(e) = self.exchanges.get_mut(x) else {
            return;
        };
        e.route = Some(found.route.0);
        e.prefix_len = u32::try_from(found.prefix_len).unwrap_or(0);
        if e.log.trace.context.is_some() && e.route().is_some_and(|r| !r.terms.observed.tracing) {
            e.log.trace = Trace::default();
        }
        // Templates of the answer's headers use the request, which is then parsed again.
        if e.answer_needs_request() {
            let Sent { bytes, admission } = asked.sent;
            let bytes =
                if e.stream.is_http2() { head::as_text(asked.head) } else { bytes.to_vec() };
            e.kept_head = KeptHead { bytes, admission };
        }
    }

    /// Returns what the answer to a request must contain if it opens a WebSocket, and the key that we
    /// send where the client has none.
    fn handshake(
        &mut self,
        head: &RequestHead<'_, '_>,
        route: &RouteEntry,
    ) -> Result<(Option<Accept>, Option<[u8; 24]>), Reject> {
        match (head.connection.upgrade_websocket, head.version) {
            (true, Version::H2) if !route.terms.websocket => Err(own::NO_TUNNEL),
            (true, Version::H2) => {
                websocket::check_extended(head)?;
                let [high, low] = [self.rng.next_u64(), self.rng.next_u64()].map(u128::from);
                let key = websocket::key((high << 64 | low).to_be_bytes());
                Ok((Some(websocket::accept(&key)), Some(key)))
            }
            (true, _) if route.terms.websocket => Ok((Some(websocket::check_request(head)?), None)),
            _ => Ok((None, None)),
        }
    }

    /// Builds the upstream's head and everything the exchange needs from now on.
    pub(super) fn prepare(
        &mut self,
        x: ExId,
        forward: &Forward<'_>,
        slot: Option<usize>,
        upstream: Option<&UpstreamEntry>,
        trusted: bool,
    ) -> Step {
        let Forward { head, view, route, rewritten } = forward;
        let (Some(slot), Some(entry)) = (slot, upstream) else {
            self.refuse(x, own::without_upstream(route.terms.not_imported));
            return Step::Over;
        };
        let (upgrade, upgrade_key) = match self.handshake(head, route) {
            Ok(handshake) => handshake,
            Err(reject) => {
                self.refuse(x, &reject);
                return Step::Over;
            }
        };
        let wanted = Wanted::of(entry, view, &head.fields);
        let mirrors = self.draw_mirrors(x, forward, upgrade.is_some());
        let id = self.upstreams.get_mut(slot).map_or(0, |u| u.id);
        let Some((e, c)) = pair(&mut self.exchanges, &mut self.clients, x) else {
            return Step::Over;
        };
        let target = match rewritten.target() {
            Some(target) => target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q))),
            None if route.terms.raw_path => (head.path, head.query),
            None => (view.path, head.query),
        };
        let (peer, client) = (IpText::new(c.peer.ip()), IpText::new(e.client_ip));
        let parts = Parts {
            head,
            view,
            target,
            host: rewritten.host(),
            upstream: entry,
            edits: route.terms.chain.request_headers(),
            added: e.chained.request_lines(),
            trace: e.log.trace.told(),
            forwarding: Forwarding {
                peer: peer.as_bytes(),
                client: client.as_bytes(),
                trusted,
                scheme: view.scheme,
                host: head.host,
            },
            upgrade: upgrade.is_some(),
            decodes: e.request.decoded.is_some(),
            upgrade_key: upgrade_key.as_ref().map(|key| &key[..]),
        };
        e.head.clear();
        e.host_at = head::write_upstream_head(&mut e.head, &parts, None);
        e.request.mirrors = mirrors.into_iter().map(|copy| copy.with_head(&parts)).collect();
        e.upgrade = upgrade;
        (e.upstream, e.upstream_id) = (slot, id);
        e.wanted = wanted;
        e.chained.stage = rewritten.stage();
        e.due.begin(self.now_us, &route.terms.timeouts, entry);
        Step::Forward
    }
}

impl Deadlines {
    /// Sets those that count from the time at which a request is ready for its upstream.
    fn begin(&mut self, now_us: u64, of: &hg_plan::RouteTimeouts, entry: &UpstreamEntry) {
        self.request = deadline_after(now_us, of.request_ms);
        self.idle = deadline_after(now_us, of.stream_idle_ms);
        self.connect = deadline_after(now_us, entry.plan.connect_timeout_ms);
    }
}

/// A request and its client.
#[derive(Clone, Copy)]
pub(super) struct Asked<'a> {
    pub(super) head: &'a RequestHead<'a, 'a>,
    pub(super) held: &'a Held,
    pub(super) listener: &'a ListenerEntry,
    pub(super) client: IpAddr,
    pub(super) sent: Sent<'a>,
    /// The level of overload, and its cause.
    pub(super) load: Option<Load>,
}

/// The bytes of a head, and which of its lines were accepted.
#[derive(Clone, Copy)]
pub(super) struct Sent<'a> {
    /// Empty over HTTP/2.
    pub(super) bytes: &'a [u8],
    pub(super) admission: hg_proto::Admission,
}

/// A routed request on its way to an upstream.
pub(super) struct Forward<'a> {
    pub(super) head: &'a RequestHead<'a, 'a>,
    pub(super) view: &'a RequestView<'a>,
    pub(super) route: &'a RouteEntry,
    pub(super) rewritten: &'a hg_middleware::Rewritten,
}

pub(super) fn hash_key(
    source: &KeySource,
    view: &RequestView<'_>,
    fields: &Fields<'_, '_>,
) -> Option<u64> {
    match source {
        KeySource::ClientIp => Some(hg_policy::hash_client(view.client.ip)),
        KeySource::Path => Some(hg_policy::hash_key(view.path.as_bytes())),
        KeySource::Header(name) => fields
            .iter()
            .find(|f| f.name.eq_ignore_ascii_case(name))
            .map(|f| hg_policy::hash_key(f.value)),
        KeySource::Cookie(name) => fields
            .each(Known::Cookie)
            .find_map(|line| hg_route::cookie_value(line, name))
            .map(hg_policy::hash_key),
    }
}

#[cfg(test)]
mod tests;
