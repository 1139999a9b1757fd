//! Requests of HTTP and calls of gRPC that are sent once or twice more, to endpoints that treat the
//! copies well or badly even in calm weather: nothing of that may reach a client.

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

/// The upstreams that get copies, in the order of the route.
pub(crate) const UPSTREAMS: [&str; 2] = [FIRST.name, SECOND.name];
const FIRST: Place = Place { number: 1, name: "m", port: 8101 };
const SECOND: Place = Place { number: 2, name: "n", port: 8111 };

/// The number of a mirror of the route, its upstream, and the first of its ports.
#[derive(Clone, Copy)]
struct Place {
    number: usize,
    name: &'static str,
    port: u16,
}

/// The terms on which the route mirrors requests to one upstream.
#[derive(Clone, Copy, Debug)]
struct Terms {
    /// True if each copy must reach an endpoint that answers it.
    good: bool,
    /// Of 10,000.
    share: u64,
    body_bytes: u64,
    timeout_ms: u64,
    in_flight: u64,
}

/// One upstream that gets copies.
struct Mirror {
    place: Place,
    terms: Terms,
    upstream: String,
    endpoints: Vec<(u16, (Habits, Ways))>,
}

pub(crate) struct Mirrors {
    http: Http,
    mirrors: Vec<Mirror>,
    /// Requests that open WebSockets, and those that are answered before they have come whole.
    tunnels: u64,
    early: u64,
    deeds: Vec<(u64, Deed)>,
    /// True if the route has a mirror from beginning to end, so that nothing is forgotten.
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
        let mut drawn = vec![Mirror::draw(rng, FIRST, &all, calls)];
        // By chances of its own, so that the runs with one mirror are what they would be without.
        let more = &mut Rng::new(seed ^ 0x2317_0003);
        if more.chance(400) {
            drawn.push(Mirror::draw(more, SECOND, &all, calls));
        }
        let (mirrors, copies): (Vec<_>, Vec<_>) = drawn.into_iter().unzip();
        let (alone, mut deeds) = (all.route.clone(), std::mem::take(&mut all.deeds));
        all.route = mirrored(&alone, &mirrors);
        let mut stays = true;
        if let Some(first) = mirrors.first()
            && rng.chance(300)
        {
            let object = (Kind::Upstream, first.place.name, Some(first.upstream(rng, calls)));
            deeds.push((rng.size(20_000_000), Deed::Apply(vec![object])));
        }
        if rng.chance(200) {
            let route = |text: &str| Deed::Apply(vec![(Kind::Route, "r", Some(text.to_owned()))]);
            let at = rng.size(20_000_000);
            deeds.push((at, route(&alone)));
            deeds.push((at + rng.size(5_000_000), route(&all.route)));
            stays = false;
        }
        for (mirror, rng) in mirrors.iter().zip([rng, more]) {
            if !mirror.terms.good {
                remotes(rng, &mirror.ports(), &mut deeds);
            }
        }
        let tunnels = all.specs.iter().filter(|spec| spec.tunnel.is_some()).count() as u64;
        let is_early = |spec: &&Spec| matches!(spec.act, Act::Early | Act::EarlyClose);
        let early = all.specs.iter().filter(is_early).count() as u64;
        let http = Http::new(all);
        copies.into_iter().for_each(|specs| http.ledger().borrow_mut().add_copies(specs));
        Self { http, mirrors, tunnels, early, deeds, stays }
    }

    /// Checks the counts of one mirror.
    fn check_mirror(
        &self,
        mirror: &Mirror,
        results: &[ResultCount],
        requests: u64,
    ) -> io::Result<()> {
        let Mirror { place, terms, .. } = mirror;
        let name = format!("r {}", place.name);
        let of = |result: &str| {
            let is_it =
                |r: &&ResultCount| r.kind == "mirror" && r.middleware == name && r.result == result;
            results.iter().filter(is_it).map(|r| r.count).sum::<u64>()
        };
        let nothing_sent = of("dropped") + of("too_large") + of("incomplete") + of("unsupported");
        let sent = of("answered") + of("error") + of("failed") + of("timeout");
        let ledger = self.http.ledger();
        let ledger = ledger.borrow();
        let copies = ledger.copies_for(place.number).iter();
        let arrived = copies.filter(|e| e.arrivals + e.refusals > 0).count() as u64;
        let counts = format!(
            "{name}: {results:?} of {requests} requests, {arrived} copies arrived, {} WebSockets",
            self.tunnels
        );
        let all = sent + nothing_sent;
        if all > requests || arrived > sent || of("answered") > arrived {
            return wrong(format!("the counts of copies do not add up: {counts}"));
        }
        if ledger.calm && terms.share == 10_000 && all != requests {
            return wrong(format!("not every request is counted as mirrored: {counts}"));
        }
        let failed = of("dropped") + of("too_large") + of("error") + of("timeout");
        let cut = of("incomplete") > self.early;
        if terms.good && (failed > 0 || cut || of("unsupported") != self.tunnels) {
            return wrong(format!("copies failed in calm weather: {counts}"));
        }
        Ok(())
    }
}

impl Mirror {
    /// Draws a mirror of a run, and what becomes of the copies that it gets.
    fn draw(rng: &mut Rng, place: Place, all: &Scenario, calls: bool) -> (Self, Vec<Spec>) {
        let terms = terms(rng, all.calm);
        let ports: Vec<u16> = (0..rng.between(1, 2)).map(|i| place.port + i as u16).collect();
        let idle_us = if terms.good || rng.chance(500) { 0 } else { rng.below(2_000_000) + 1 };
        let mut endpoints = endpoints(rng, (terms.good, idle_us), &ports, all.weather.buffer);
        for (_, (habits, _)) in &mut endpoints {
            habits.mirror = place.number;
        }
        let copies = all.specs.iter().map(|spec| copy(rng, terms.good, spec)).collect();
        let mut mirror = Self { place, terms, upstream: String::new(), endpoints };
        mirror.upstream = mirror.upstream(rng, calls);
        (mirror, copies)
    }

    fn ports(&self) -> Vec<u16> {
        self.endpoints.iter().map(|(port, _)| *port).collect()
    }

    /// Draws its upstream; calls want one that speaks HTTP/2.
    fn upstream(&self, rng: &mut Rng, calls: bool) -> String {
        let text = upstream(rng, self.terms.good, &self.ports());
        if calls { text.replace(r#""http1""#, r#""h2c""#) } else { text }
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

/// Returns the route with its mirrors.
fn mirrored(route: &str, mirrors: &[Mirror]) -> String {
    let one = |mirror: &Mirror| {
        let name = mirror.place.name;
        let Terms { share, body_bytes, timeout_ms, in_flight, .. } = mirror.terms;
        format!(
            r#"{{"upstream":"{name}","share":{share},"body_bytes":{body_bytes},
                "timeout_ms":{timeout_ms},"in_flight":{in_flight}}}"#
        )
    };
    let all: Vec<_> = mirrors.iter().map(one).collect();
    let begin = route.strip_suffix('}').unwrap_or_default();
    format!(r#"{begin},"mirrors":[{}]}}"#, all.join(","))
}

impl Play for Mirrors {
    fn seed(&self) -> u64 {
        self.http.seed()
    }

    fn weather(&self) -> Weather {
        self.http.weather()
    }

    fn text(&self) -> String {
        let told = self.mirrors.iter().map(|m| format!("\n{:#?}\n{}", m.terms, m.upstream));
        self.http.text() + &told.collect::<String>()
    }

    fn objects(&self) -> Vec<Object> {
        let of = |m: &Mirror| (Kind::Upstream, m.place.name, Some(m.upstream.clone()));
        self.mirrors.iter().map(of).chain(self.http.objects()).collect()
    }

    fn ports(&self) -> Vec<u16> {
        self.http.ports().into_iter().chain(self.mirrors.iter().flat_map(Mirror::ports)).collect()
    }

    fn deeds(&self) -> &[(u64, Deed)] {
        &self.deeds
    }

    fn clients(&self) -> Vec<Box<dyn Actor>> {
        self.http.clients()
    }

    fn endpoint(&self, port: u16, socket: usize) -> Option<Box<dyn Actor>> {
        let mut endpoints = self.mirrors.iter().flat_map(|mirror| &mirror.endpoints);
        match endpoints.find(|(p, _)| *p == port) {
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

    /// Checks that each request that was to be mirrored is counted once, by what came of it, for each
    /// mirror.
    fn check_results(&self, results: &[ResultCount], requests: u64) -> io::Result<()> {
        if !self.stays {
            return Ok(());
        }
        self.mirrors.iter().try_for_each(|mirror| self.check_mirror(mirror, results, requests))
    }

    fn totals(&self) -> (usize, usize) {
        self.http.totals()
    }
}
