//! Requests of HTTP and calls of gRPC that are sent a second time, to endpoints that treat the copies
//! well or badly even in calm weather: nothing of that may reach a client.

use crate::counters::WorkerCounters;
use crate::endpoint::Habits;
use crate::grpc;
use crate::http::Http;
use crate::http2::Ways;
use crate::ledger::{Act, Ledger, Spec, wrong};
use crate::play::{Deed, Object, Play, remotes};
use crate::scenario::{Scenario, endpoints, upstream};
use crate::speaker::Speaker;
use crate::world::Actor;
use hg_middleware::ResultCount;
use hg_net::{Rng, Weather};
use hg_plan::Kind;
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

const FIRST_PORT: u16 = 8101;

/// Which requests the route mirrors.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// Whether each copy must reach an endpoint that answers it.
    good: bool,
    /// Of 10,000.
    share: u64,
    body_bytes: u64,
    timeout_ms: u64,
    in_flight: u64,
}

pub(crate) struct Mirrors {
    http: Http,
    terms: Terms,
    /// Requests that open WebSockets, and those that are answered before they have come whole.
    tunnels: u64,
    early: u64,
    upstream: String,
    endpoints: Vec<(u16, (Habits, Ways))>,
    deeds: Vec<(u64, Deed)>,
    /// Whether the route has a mirror from the begin to the end, so that nothing is forgotten.
    stays: bool,
}

impl Mirrors {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed ^ 0x0317_707a);
        let calls = rng.chance(250);
        let mut all = match calls {
            true => grpc::scenario(seed ^ 0x3177_0000),
            false => Scenario::new(seed ^ 0x3177_0000),
        };
        all.seed = seed;
        let terms = terms(rng, all.calm);
        let ports: Vec<u16> = (0..rng.between(1, 2)).map(|i| FIRST_PORT + i as u16).collect();
        let idle_us = if terms.good || rng.chance(500) { 0 } else { rng.below(2_000_000) + 1 };
        let mut endpoints = endpoints(rng, (terms.good, idle_us), &ports, all.weather.buffer);
        for (_, (habits, _)) in &mut endpoints {
            habits.is_mirror = true;
        }
        let copies: Vec<Spec> = all.specs.iter().map(|spec| copy(rng, terms.good, spec)).collect();
        let spoken =
            |text: String| if calls { text.replace(r#""http1""#, r#""h2c""#) } else { text };
        let text = spoken(upstream(rng, terms.good, &ports));
        let (alone, mut deeds) = (all.route.clone(), std::mem::take(&mut all.deeds));
        all.route = mirrored(&alone, terms);
        let mut stays = true;
        if rng.chance(300) {
            let object = (Kind::Upstream, "m", Some(spoken(upstream(rng, terms.good, &ports))));
            deeds.push((rng.size(20_000_000), Deed::Apply(vec![object])));
        }
        if rng.chance(200) {
            let route = |text: &str| Deed::Apply(vec![(Kind::Route, "r", Some(text.to_owned()))]);
            let at = rng.size(20_000_000);
            deeds.push((at, route(&alone)));
            deeds.push((at + rng.size(5_000_000), route(&all.route)));
            stays = false;
        }
        if !terms.good {
            remotes(rng, &ports, &mut deeds);
        }
        let tunnels = all.specs.iter().filter(|spec| spec.tunnel.is_some()).count() as u64;
        let is_early = |spec: &&Spec| matches!(spec.act, Act::Early | Act::EarlyClose);
        let early = all.specs.iter().filter(is_early).count() as u64;
        let http = Http::new(all);
        http.ledger().borrow_mut().add_copies(copies);
        Self { http, terms, tunnels, early, upstream: text, endpoints, deeds, stays }
    }
}

fn terms(rng: &mut Rng, calm: bool) -> Terms {
    if calm && rng.chance(400) {
        let (body_bytes, timeout_ms, in_flight) = (1 << 30, 600_000, 1_000);
        return Terms { good: true, share: 10_000, body_bytes, timeout_ms, in_flight };
    }
    Terms {
        good: false,
        share: if rng.chance(500) { 10_000 } else { rng.between(1, 10_000) },
        body_bytes: if rng.chance(500) { 1 << 30 } else { rng.size(50_000) },
        timeout_ms: rng.between(1, 20_000),
        in_flight: if rng.chance(500) { 1_000 } else { rng.between(1, 5) },
    }
}

/// Draws what becomes of the copy of a request.
fn copy(rng: &mut Rng, good: bool, spec: &Spec) -> Spec {
    let rough = [
        Act::Answer,
        Act::Interim,
        Act::Last,
        Act::Early,
        Act::EarlyClose,
        Act::Cut(rng.size(100_000) as usize, rng.chance(500)),
        Act::Hang,
        Act::Garbage,
        Act::Busy,
    ];
    let drawn = rng.pick(&rough).unwrap_or(Act::Answer);
    let act = match spec.call {
        _ if good => Act::Answer,
        // What talks answers before the end of the call.
        Some(call) if call.talks => Act::Early,
        Some(_) if matches!(drawn, Act::Early | Act::EarlyClose | Act::Busy) => Act::Answer,
        _ => drawn,
    };
    let think_us = if rng.chance(500) { 0 } else { rng.size(800_000) };
    Spec { act, think_us, ..spec.clone() }
}

/// Returns the route with a mirror.
fn mirrored(route: &str, terms: Terms) -> String {
    let Terms { share, body_bytes, timeout_ms, in_flight, .. } = terms;
    let begin = route.strip_suffix('}').unwrap_or_default();
    format!(
        r#"{begin},"mirror":{{"upstream":"m","share":{share},"body_bytes":{body_bytes},
            "timeout_ms":{timeout_ms},"in_flight":{in_flight}}}}}"#
    )
}

impl Play for Mirrors {
    fn seed(&self) -> u64 {
        self.http.seed()
    }

    fn weather(&self) -> Weather {
        self.http.weather()
    }

    fn text(&self) -> String {
        format!("{}\n{:#?}\n{}", self.http.text(), self.terms, self.upstream)
    }

    fn objects(&self) -> Vec<Object> {
        let mirror = (Kind::Upstream, "m", Some(self.upstream.clone()));
        [vec![mirror], self.http.objects()].concat()
    }

    fn ports(&self) -> Vec<u16> {
        let mirrors = self.endpoints.iter().map(|(port, _)| *port);
        self.http.ports().into_iter().chain(mirrors).collect()
    }

    fn deeds(&self) -> &[(u64, Deed)] {
        &self.deeds
    }

    fn clients(&self) -> Vec<Box<dyn Actor>> {
        self.http.clients()
    }

    fn endpoint(&self, port: u16, socket: usize) -> Option<Box<dyn Actor>> {
        match self.endpoints.iter().find(|(p, _)| *p == port) {
            Some((_, habits)) => Some(Box::new(Speaker::new(socket, habits.clone()))),
            None => self.http.endpoint(port, socket),
        }
    }

    fn ledger(&self) -> Rc<RefCell<Ledger>> {
        self.http.ledger()
    }

    fn is_open(&self) -> bool {
        self.http.is_open()
    }

    fn check(&self, counters: &WorkerCounters) -> io::Result<()> {
        self.http.check(counters)
    }

    /// Checks that each request that was to be mirrored is counted once, by what came of it.
    fn check_results(&self, results: &[ResultCount], requests: u64) -> io::Result<()> {
        let of = |name: &str| {
            let named = results.iter().filter(|r| r.kind == "mirror" && r.result == name);
            named.map(|r| r.count).sum::<u64>()
        };
        let nothing_sent = of("dropped") + of("too_large") + of("incomplete") + of("unsupported");
        let sent = of("answered") + of("error") + of("failed") + of("timeout");
        let ledger = self.http.ledger();
        let ledger = ledger.borrow();
        let copies = ledger.entries.iter().skip(ledger.copies);
        let arrived = copies.filter(|e| e.arrivals + e.refusals > 0).count() as u64;
        let counts = format!(
            "{results:?} of {requests} requests, {arrived} copies arrived, {} WebSockets",
            self.tunnels
        );
        if !self.stays {
            return Ok(());
        }
        let all = sent + nothing_sent;
        if all > requests || arrived > sent || of("answered") > arrived {
            return wrong(format!("the counts of copies do not add up: {counts}"));
        }
        if ledger.calm && self.terms.share == 10_000 && all != requests {
            return wrong(format!("not every request is counted as mirrored: {counts}"));
        }
        let failed = of("dropped") + of("too_large") + of("error") + of("timeout");
        let cut = of("incomplete") > self.early;
        if self.terms.good && (failed > 0 || cut || of("unsupported") != self.tunnels) {
            return wrong(format!("copies failed in calm weather: {counts}"));
        }
        Ok(())
    }

    fn totals(&self) -> (usize, usize) {
        self.http.totals()
    }
}
