//! A request's way through the middlewares of its route: to an upstream, to an answer, or to a wait.

use super::Worker;
use super::exchange::ExId;
use super::identity::told;
use super::pause::Paused;
use super::request::{Asked, Forward, Lines, Step};
use super::subrequest::Sub;
use crate::snapshot::{Flight, RouteEntry, UpstreamEntry};
use hg_middleware::{
    Claims, Client, Context, Decoding, Later, Outcome, RequestView, Rewritten, Stage, Woken,
};
use hg_policy::Random as _;
use hg_proto::{Reject, RequestHead};
use std::net::{IpAddr, Ipv4Addr};

/// The state that the middlewares of a request leave with its exchange.
#[derive(Default)]
pub(crate) struct Chained {
    /// The edits that its answer passes.
    pub(crate) stage: Stage,
    pub(crate) later: Option<Box<Later>>,
    /// The state with which it goes on once a middleware has waited.
    pub(crate) paused: Option<Box<Paused>>,
    /// Set if it answers a middleware of another exchange, not a client.
    pub(crate) sub: Option<Box<Sub>>,
    /// Set if it is a copy of a request, whose answer is for nobody.
    pub(crate) flight: Option<Box<Flight>>,
}

impl Chained {
    /// Returns the lines that middlewares add to the request for the endpoint.
    pub(crate) fn request_lines(&self) -> &[u8] {
        self.later.as_ref().map_or(&[], |later| later.request_lines())
    }

    /// Returns the claims of the token that let the request in, if the chain names any.
    pub(crate) fn claims(&self) -> Option<&Claims> {
        self.later.as_ref()?.claims()
    }

    /// Reports whether middlewares add lines to the answer for the client.
    pub(crate) fn has_response_lines(&self) -> bool {
        self.later.as_ref().is_some_and(|later| later.has_response_lines())
    }
}

impl Worker {
    /// Runs the middlewares, then forwards to the upstream or answers.
    pub(super) fn run_chain(
        &mut self,
        x: ExId,
        asked: &Asked<'_>,
        view: &RequestView<'_>,
        (route, slot, upstream): (&RouteEntry, Option<usize>, Option<&UpstreamEntry>),
    ) -> Step {
        if self.sheds(x, asked.load, route.terms.importance) {
            return Step::Over;
        }
        let mut rewritten = std::mem::take(&mut self.scratch.rewritten);
        let step = self.run_steps(x, asked, view, (route, slot, upstream), (&mut rewritten, None));
        self.scratch.rewritten = rewritten;
        step
    }

    /// Runs a chain from its beginning, or from where it waited.
    fn walk(
        &mut self,
        x: ExId,
        view: &RequestView<'_>,
        route: &RouteEntry,
        rewritten: &mut Rewritten,
        woken: Option<Woken>,
    ) -> Result<Outcome, Reject> {
        let rng = &mut self.rng;
        let mut random = || rng.next_u64();
        let (now_us, worker) = (self.now_us, self.mailbox.index);
        let unix_us = hg_net::unix_micros;
        let chain = &route.terms.chain;
        // Looked up for chains with steps alone: a bare route pays nothing for it.
        let exchange = if chain.has_steps() { self.exchanges.get(x) } else { None };
        let client = exchange.and_then(|e| self.clients.get_mut(e.client));
        let accounts = client.map(|client| &mut client.seat.accounts);
        let mut cx = Context { now_us, unix_us, random: &mut random, worker, accounts };
        match woken {
            None => chain.begin(view, rewritten, &mut cx),
            Some(woken) => chain.resume(view, rewritten, &mut cx, woken),
        }
    }

    /// Keeps with the exchange what steps leave for later. Returns how its body is decoded.
    fn keep_later(&mut self, x: ExId, rewritten: &mut Rewritten) -> Option<Decoding> {
        let mut later = rewritten.take_later()?;
        let e = self.exchanges.get_mut(x)?;
        let paces = later.take_paces();
        (e.request.pace, e.response.pace) = (paces.upload, paces.download);
        let decoding = later.take_decoding();
        match &mut e.chained.later {
            Some(own) => own.absorb(*later),
            None => e.chained.later = Some(later),
        }
        decoding
    }

    /// Runs a chain from its beginning, or from where it waited, then forwards or answers.
    pub(super) fn run_steps(
        &mut self,
        x: ExId,
        asked: &Asked<'_>,
        view: &RequestView<'_>,
        (route, slot, upstream): (&RouteEntry, Option<usize>, Option<&UpstreamEntry>),
        (rewritten, woken): (&mut Rewritten, Option<Woken>),
    ) -> Step {
        let kept = self.kept_tls(x, view, route);
        let with_tls = kept.as_ref().map(|kept| told(view, kept));
        let view = with_tls.as_ref().unwrap_or(view);
        let outcome = self.walk(x, view, route, rewritten, woken);
        let claims = rewritten.claims();
        // Before anything else: whatever ends the request now has its line with them.
        if let Some((claims, e)) = claims.as_ref().zip(self.exchanges.get_mut(x)) {
            e.note_claims(claims);
        }
        if let Ok(Outcome::Wait) = outcome {
            self.begin_wait(x, route.terms.chain.waiting(rewritten));
            return self.pause(x, asked, slot, std::mem::take(rewritten));
        }
        let claiming = claims.as_ref().map(|claims| view.claiming(claims));
        let view = claiming.as_ref().unwrap_or(view);
        let decoding = self.keep_later(x, rewritten);
        match outcome {
            Ok(Outcome::Answer) => {
                self.answer_own(x, route, rewritten);
                Step::Over
            }
            Err(reject) => {
                self.refuse(x, &reject);
                Step::Over
            }
            Ok(Outcome::Forward | Outcome::Wait) => {
                if !self.begin_decoding(x, decoding, asked.head) {
                    return Step::Over;
                }
                let forward = Forward { head: asked.head, view, route, rewritten };
                self.prepare(x, &forward, slot, upstream, asked.sent.admission.claims)
            }
        }
    }
}

/// Returns a request as middlewares see it, as far as its head and its id tell.
pub(super) fn request_view<'a>(
    head: &RequestHead<'a, 'a>,
    (host, path): (&'a str, &'a str),
    lines: &'a Lines<'a>,
    (id, len): (&'a [u8; 32], u8),
) -> RequestView<'a> {
    RequestView {
        method: head.method.as_str(),
        scheme: "",
        protocol: head.version.as_str(),
        host,
        port: head.host_port.port,
        path,
        query: head.query,
        client: Client {
            certificate: lines.certificate,
            ..Client::of(IpAddr::V4(Ipv4Addr::UNSPECIFIED))
        },
        request_id: std::str::from_utf8(id.get(..usize::from(len)).unwrap_or_default())
            .unwrap_or_default(),
        listener: "",
        route: "",
        upstream: "",
        endpoint: "",
        prefix_len: 0,
        headers: lines,
    }
}
