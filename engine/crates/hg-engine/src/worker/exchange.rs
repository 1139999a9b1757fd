//! One request and its answer while they are in progress. Exchanges are recycled, so a steady
//! stream of requests allocates none.

use super::affinity::Wanted;
use super::claim::Claim;
use super::client::Client;
use super::http2::Stream;
use super::multiplex::Link;
use super::record::LogText;
use super::store::{Id, Recycle, Store};
use super::trace::Trace;
use super::upstreams::EndpointState;
use crate::snapshot::{RouteEntry, Snapshot, UpstreamEntry};
use hg_h2::NeverIndexed;
use hg_log::TapWants;
use hg_middleware::{ClientTls, HeaderProgram, RequestView};
use hg_net::Ticks;
use hg_proto::{Admission, BodyReader, HeaderSlots, Limits, Method, Parse, Version};
use hg_route::ClientCertificate;
use slab::Slab;
use std::rc::Rc;
use std::sync::Arc;

/// A snapshot as one worker holds it; the worker counts its uses without atomics.
pub(crate) type Held = Rc<Arc<Snapshot>>;

/// A body on its way from one connection to the other.
pub(crate) struct Relay {
    pub(crate) reader: BodyReader,
    /// True if it leaves in chunks.
    pub(crate) chunked: bool,
    /// The body's encoder on its way.
    pub(crate) encoded: Option<Box<super::encode::Encoded>>,
    /// The body's decoder on its way; then `bytes` counts what goes on, and it leaves in chunks.
    pub(crate) decoded: Option<Box<super::decode::Decoded>>,
    pub(crate) done: bool,
    pub(crate) bytes: u64,
    /// True if the bytes at hand are the last, although its reader cannot tell (HTTP/2).
    pub(crate) ends: bool,
    /// True if the other side of a tunnel knows that this one has ended.
    pub(crate) told: bool,
    /// Trailers, as lines of HTTP/1, if they are not simply those of its reader.
    pub(crate) trailers: Option<Vec<u8>>,
    /// The fields of its head and its trailers that no table of HTTP/2 may hold.
    pub(crate) never: NeverIndexed,
    /// The copies of it for other upstreams.
    pub(crate) mirrors: Vec<super::mirror::Pending>,
    /// The rate at which it passes; absent = as quickly as it comes.
    pub(crate) pace: Option<Box<hg_middleware::Pace>>,
}

impl Relay {
    /// Returns the trailers that end the message, as lines of HTTP/1.
    pub(crate) fn trailers(&self) -> &[u8] {
        self.trailers.as_deref().unwrap_or_else(|| self.reader.trailers())
    }
}

impl Default for Relay {
    fn default() -> Self {
        Self {
            reader: BodyReader::None,
            chunked: false,
            encoded: None,
            decoded: None,
            done: true,
            bytes: 0,
            ends: false,
            told: false,
            trailers: None,
            never: NeverIndexed::default(),
            mirrors: Vec::new(),
            pace: None,
        }
    }
}

/// The event that an exchange waits for; a timeout counts under this stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// The rest of a small body, before the worker asks the upstream.
    Collecting,
    /// A place at the upstream.
    Queued,
    /// A connection.
    Connecting,
    /// The answer's head.
    Waiting,
    /// The event that a middleware waits for.
    Paused,
    /// The next try, after one that failed.
    Backoff,
    /// The answer's body.
    Answering,
    /// Bytes in either direction.
    Tunnel,
}

/// The part of a client's connection that templates use.
#[derive(Clone, Copy)]
pub(crate) struct Connection<'a> {
    pub(crate) scheme: &'a str,
    /// The listener's slot.
    pub(crate) listener: u16,
    pub(crate) certificate: Option<ClientCertificate<'a>>,
    pub(crate) tls: Option<ClientTls<'a>>,
}

/// The start of the attempt to connect to the last endpoint, and its duration once it was done.
#[derive(Default)]
pub(crate) struct ConnectTime {
    pub(crate) began_us: u64,
    pub(crate) took_us: Option<u64>,
}

/// The start of a try, with the choice of its endpoint, and the time of the first byte of its
/// answer; 0 = none came.
#[derive(Clone, Copy, Default)]
pub(crate) struct TryTimes {
    pub(crate) began_us: u64,
    pub(crate) first_byte_us: u64,
    /// The start and the end of passing on the body as it came; 0 = it did not, or has not ended.
    pub(crate) upload_us: (u64, u64),
}

impl TryTimes {
    /// Returns how long the answer's head, or the end without one, took. That is not the time in
    /// which the body came, unless the answer came before its end: a client sends as slowly as it
    /// likes.
    pub(crate) fn head_us(&self, now_us: u64) -> u64 {
        let Self { began_us, first_byte_us, upload_us: (from_us, to_us) } = *self;
        let head_us = if first_byte_us > 0 { first_byte_us } else { now_us };
        let upload_us = match (from_us, to_us) {
            (0, _) => 0,
            (_, 0) if first_byte_us > 0 => 0,
            (_, 0) => now_us.saturating_sub(from_us),
            _ if to_us > head_us => 0,
            _ => to_us.saturating_sub(from_us),
        };
        head_us.saturating_sub(began_us).saturating_sub(upload_us)
    }
}

/// The times at which an exchange ends, or goes on another way, unless something happens before.
pub(crate) struct Deadlines {
    pub(crate) request: Ticks,
    /// One try, until the answer begins.
    pub(crate) one_try: Ticks,
    pub(crate) connect: Ticks,
    /// This endpoint's share of the time to connect.
    pub(crate) endpoint: Ticks,
    /// The next address of the endpoint is tried beside the others.
    pub(crate) next_address: Ticks,
    pub(crate) first_byte: Ticks,
    pub(crate) idle: Ticks,
    /// The end of a back-off, or of what a middleware waits for.
    pub(crate) again: Ticks,
    /// The time at which a second try may begin beside the one that waits for its answer.
    pub(crate) hedge: Ticks,
    /// The time at which bodies go on that were held back.
    pub(crate) resume: Ticks,
}

impl Deadlines {
    /// Returns the earliest that concerns a stage.
    pub(crate) fn of(&self, stage: Stage) -> Ticks {
        match stage {
            Stage::Collecting => self.idle,
            Stage::Queued => self.connect,
            Stage::Connecting => self.connect.min(self.endpoint).min(self.next_address),
            Stage::Waiting => self.first_byte.min(self.idle),
            Stage::Backoff | Stage::Paused => self.again,
            Stage::Answering | Stage::Tunnel => self.idle,
        }
    }
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            request: Ticks::MAX,
            one_try: Ticks::MAX,
            connect: Ticks::MAX,
            endpoint: Ticks::MAX,
            next_address: Ticks::MAX,
            first_byte: Ticks::MAX,
            idle: Ticks::MAX,
            again: Ticks::MAX,
            hedge: Ticks::MAX,
            resume: Ticks::MAX,
        }
    }
}

/// A head kept to be parsed again, and which of its lines were accepted.
#[derive(Default)]
pub(crate) struct KeptHead {
    pub(crate) bytes: Vec<u8>,
    pub(crate) admission: Admission,
}

/// Names an exchange, also after its end.
pub(crate) type ExId = Id;

pub(crate) struct Exchange {
    /// Its client's connection, by slab index; the connection outlives it. That of a subrequest is
    /// the one of the exchange that waits for it; that of a copy is the worker's own.
    pub(crate) client: usize,
    pub(crate) stream: Stream,
    pub(crate) snapshot: Option<Held>,
    /// The route's slot in the snapshot, once found.
    pub(crate) route: Option<u32>,
    /// The upstream's slot and its id, because slots are reused.
    pub(crate) upstream: usize,
    pub(crate) upstream_id: u64,
    /// The endpoint, once picked.
    pub(crate) endpoint: Option<Rc<EndpointState>>,
    /// Endpoints already tried for this request.
    pub(crate) tried: hg_policy::Tried,
    pub(crate) wanted: Wanted,
    pub(crate) stage: Stage,
    /// The connection to the endpoint, by slab index.
    pub(crate) up: Option<usize>,
    /// Other attempts to connect to the same endpoint (RFC 8305).
    pub(crate) attempts: Vec<usize>,
    /// Next address of the endpoint to try.
    pub(crate) next_address: usize,
    pub(crate) method: Method<'static>,
    pub(crate) version: Version,
    pub(crate) keep_alive: bool,
    /// For a WebSocket handshake: what a valid answer must contain.
    pub(crate) upgrade: Option<hg_proto::websocket::Accept>,
    pub(crate) expects_continue: bool,
    /// The rebuilt head and a small body after it, for sending once or again.
    pub(crate) head: Vec<u8>,
    /// The client's head as it came, if the answer's headers refer to it.
    pub(crate) kept_head: KeptHead,
    /// The place of the Host value in `head` if it follows the endpoint.
    pub(crate) host_at: Option<(usize, usize)>,
    /// True if `head` contains all that came of the request, which can then be sent again.
    pub(crate) replayable: bool,
    pub(crate) on_reused: bool,
    pub(crate) tries: super::retry::Tries,
    pub(crate) request: Relay,
    pub(crate) response: Relay,
    /// Number of interim answers so far, and the bytes of their heads.
    pub(crate) interim: (u32, usize),
    /// Its place on the connection to the endpoint.
    pub(crate) link: Link,
    /// True if the answer's head was written (or is in the connection's buffer).
    pub(crate) answered: bool,
    pub(crate) close_after: bool,
    /// The middlewares that process the answer.
    pub(crate) chained: super::chain::Chained,
    pub(crate) prefix_len: u32,
    pub(crate) status: u16,
    /// Our own reason, as in `Proxy-Status`; empty for the upstream's own answers.
    pub(crate) reason: &'static str,
    pub(crate) body: super::upload::Body,
    pub(crate) request_id: [u8; 32],
    pub(crate) id_len: u8,
    pub(crate) client_ip: std::net::IpAddr,
    pub(crate) log: LogText,
    pub(crate) start_us: u64,
    pub(crate) times: TryTimes,
    pub(crate) connect: ConnectTime,
    pub(crate) queued_us: u64,
    pub(crate) due: Deadlines,
    /// Frames from the upstream, once the exchange is a tunnel.
    pub(crate) frames: super::frames::Frames,
    /// Its claim on its upstream's limits and breakers.
    pub(crate) claim: Claim,
    /// True if its upstream counts it among the connections in use.
    pub(crate) counted: bool,
}

impl Default for Exchange {
    fn default() -> Self {
        Self {
            client: usize::MAX,
            stream: Stream::default(),
            snapshot: None,
            route: None,
            upstream: usize::MAX,
            upstream_id: 0,
            endpoint: None,
            tried: hg_policy::Tried::default(),
            wanted: Wanted::default(),
            stage: Stage::Connecting,
            up: None,
            attempts: Vec::new(),
            next_address: 0,
            method: Method::Get,
            version: Version::H11,
            keep_alive: true,
            upgrade: None,
            expects_continue: false,
            head: Vec::new(),
            kept_head: KeptHead::default(),
            host_at: None,
            replayable: true,
            on_reused: false,
            tries: super::retry::Tries::default(),
            request: Relay::default(),
            response: Relay::default(),
            interim: (0, 0),
            link: Link::default(),
            answered: false,
            close_after: false,
            chained: super::chain::Chained::default(),
            prefix_len: 0,
            status: 0,
            reason: "",
            body: super::upload::Body::default(),
            request_id: [0; 32],
            id_len: 0,
            client_ip: std::net::IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED),
            log: LogText::default(),
            start_us: 0,
            times: TryTimes::default(),
            connect: ConnectTime::default(),
            queued_us: 0,
            due: Deadlines::default(),
            frames: super::frames::Frames::default(),
            claim: Claim::default(),
            counted: false,
        }
    }
}

impl Recycle for Exchange {
    fn recycle(&mut self) {
        let mut head = std::mem::take(&mut self.head);
        let mut log = std::mem::take(&mut self.log);
        let mut attempts = std::mem::take(&mut self.attempts);
        let (stream, link) = (self.stream.recycle(), self.link.recycle());
        head.clear();
        head.shrink_to(4096);
        log.trace = Trace::default();
        log.text.clear();
        log.text.shrink_to(4096);
        log.noted.clear(4096);
        (log.headers, log.taps) = (Vec::new(), TapWants::default());
        attempts.clear();
        *self = Self { head, log, attempts, stream, link, ..Self::default() };
    }
}

/// Returns an exchange and its client's connection.
pub(crate) fn pair<'a>(
    exchanges: &'a mut Store<Exchange>,
    clients: &'a mut Slab<Client>,
    x: ExId,
) -> Option<(&'a mut Exchange, &'a mut Client)> {
    let e = exchanges.get_mut(x)?;
    let c = clients.get_mut(e.client)?;
    Some((e, c))
}

impl Exchange {
    /// Returns the earliest of its deadlines.
    pub(crate) fn deadline(&self) -> Ticks {
        if self.stage == Stage::Tunnel {
            // Nothing else limits how long a tunnel stays.
            return self.due.idle.min(self.due.resume);
        }
        let stage = self.due.of(self.stage).min(self.other_deadline());
        let attempt = if self.answered { Ticks::MAX } else { self.due.one_try };
        stage.min(attempt).min(self.body_deadline()).min(self.due.request).min(self.due.resume)
    }

    /// Returns its route, as it was when the request came.
    pub(crate) fn route(&self) -> Option<&RouteEntry> {
        self.snapshot.as_ref()?.routes.get(self.route? as usize)
    }

    /// Returns its upstream, as it was when the request came.
    pub(crate) fn entry(&self) -> Option<&UpstreamEntry> {
        self.snapshot.as_ref()?.upstreams.get(self.upstream)?.as_deref()
    }

    /// Returns its route's edits of an answer with that status.
    pub(crate) fn edits_of(&self, status: u16) -> Option<&HeaderProgram> {
        self.route().map(|r| r.terms.chain.response_headers(self.chained.stage, status))
    }

    /// Appends the lines that middlewares add to an answer with that status for the client.
    pub(crate) fn append_lines(&self, status: u16, out: &mut Vec<u8>) {
        if let Some((route, later)) = self.route().zip(self.chained.later.as_ref()) {
            route.terms.chain.append_lines(later, status, out);
        }
    }

    /// Reports whether headers of the answer are made from the request.
    pub(crate) fn answer_needs_request(&self) -> bool {
        self.route().is_some_and(|r| {
            let chain = &r.terms.chain;
            chain.encoding().is_some() || !chain.is_literal(self.chained.stage)
        })
    }

    /// Calls `use_it` with the request as templates see it.
    pub(crate) fn with_view(
        &self,
        connection: Connection<'_>,
        use_it: impl FnOnce(&RequestView<'_>),
    ) {
        let (snapshot, claims) = (self.snapshot.as_deref(), self.chained.claims());
        let Connection { scheme, listener, certificate, tls } = connection;
        let listener = snapshot
            .and_then(|s| s.listeners.get(usize::from(listener))?.as_deref())
            .map_or("", |l| &l.name);
        let mut view = RequestView {
            method: self.method.as_str(),
            scheme,
            protocol: self.version.as_str(),
            host: "",
            port: None,
            path: "/",
            query: None,
            client: hg_middleware::Client { ip: self.client_ip, certificate, tls, claims },
            request_id: self.id(),
            listener,
            route: self.route().map_or("", |r| &r.name),
            upstream: self.entry().map_or("", |u| &u.name),
            endpoint: self.endpoint.as_ref().map_or("", |e| &e.address),
            prefix_len: self.prefix_len as usize,
            headers: &hg_route::NoHeaders,
        };
        let (mut slots, kept) = (HeaderSlots::new(), &self.kept_head);
        let limits = Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
        let parsed = hg_proto::parse_request(&kept.bytes, &mut slots, &limits, kept.admission);
        let Ok(Parse::Complete(head)) = parsed else {
            return use_it(&view);
        };
        let mut names = super::head::Names::default();
        let lines = super::request::Lines { fields: head.fields, certificate };
        view.method = head.method.as_str();
        view.host = hg_proto::host_key(head.host, &mut names.host);
        view.port = hg_proto::host::parse(head.host.as_bytes()).and_then(|h| h.port);
        view.path = hg_route::path::normalise(head.path, &mut names.path).unwrap_or("/");
        view.query = head.query;
        view.headers = &lines;
        use_it(&view);
    }

    /// Reports whether nothing of the answer is left to read or make.
    pub(crate) fn is_answer_complete(&self) -> bool {
        self.answered && self.response.done
    }

    /// Reports whether an endpoint has ended its half of a WebSocket of which one side is a stream,
    /// and what its client sends still has to pass.
    pub(crate) fn is_half_open(&self) -> bool {
        // What an earlier request had of a connection that it shared is kept for the next one.
        let is_sent = match self.is_multiplexed() {
            true => self.request.done && self.held_upload() == 0,
            false => self.request.told,
        };
        let is_over = self.status == 101 && self.stage == Stage::Answering && self.response.done;
        is_over && !is_sent && self.up.is_some()
    }

    /// Returns the method as sent; an unknown one follows the other texts kept for the log.
    pub(crate) fn method_as_sent(&self) -> &str {
        let named = self.log.ends.last().and_then(|end| self.log.text.get(*end as usize..));
        match std::str::from_utf8(named.unwrap_or_default()) {
            Ok(name) if !name.is_empty() => name,
            _ => self.method.as_str(),
        }
    }

    /// Returns the request id as text.
    pub(crate) fn id(&self) -> &str {
        std::str::from_utf8(self.request_id.get(..usize::from(self.id_len)).unwrap_or_default())
            .unwrap_or_default()
    }
}

#[cfg(test)]
mod tests;
