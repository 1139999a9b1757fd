//! The decisions of a seed before a run: the weather, the plan, the clients and what they do.

use crate::client::Manner;
use crate::endpoint::Habits;
use crate::http2::Ways;
use crate::ledger::{Act, Entry, Frame, Ledger, Repeats, Spec};
use crate::play::{Deed, remotes, settings, weather};
use crate::world::{LISTENER_PORT, address_of};
use hg_net::{Rng, Weather};
use hg_plan::Kind;
use std::collections::VecDeque;

/// A client.
#[derive(Clone, Debug)]
pub(crate) struct Caller {
    pub(crate) manner: Manner,
    /// Its behaviour over HTTP/2, if it speaks that.
    pub(crate) http2: Option<Ways>,
    /// True if it opens WebSockets, over HTTP/1.
    pub(crate) tunnels: bool,
    /// Its requests.
    pub(crate) ids: VecDeque<usize>,
}

#[derive(Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    pub(crate) calm: bool,
    pub(crate) weather: Weather,
    pub(crate) listener: String,
    pub(crate) upstream: String,
    pub(crate) route: String,
    pub(crate) settings: String,
    pub(crate) repeats: Repeats,
    /// Ports of the endpoints.
    pub(crate) endpoints: Vec<(u16, (Habits, Ways))>,
    pub(crate) clients: Vec<Caller>,
    pub(crate) specs: Vec<Spec>,
    /// Times in microseconds, and what happens then.
    pub(crate) deeds: Vec<(u64, Deed)>,
}

impl Scenario {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed);
        let calm = rng.chance(350);
        let count = rng.between(1, 3);
        let ports: Vec<u16> = (0..count).map(|i| 8001 + i as u16).collect();
        let idle_us = if calm || rng.chance(500) { 0 } else { rng.below(2_000_000) + 1 };
        let weather = weather(rng, calm);
        let endpoints = endpoints(rng, (calm, idle_us), &ports, weather.buffer);
        let mut specs = Vec::new();
        let clients =
            (0..rng.between(1, 5)).map(|_| client(rng, calm, weather.buffer, &mut specs)).collect();
        let (route, repeats_any) = route(rng, calm);
        let route = collected(delayed(route, seed, calm), seed);
        let mut all = Self {
            seed,
            calm,
            weather,
            listener: listener(rng, calm),
            upstream: upstream(rng, calm, &ports),
            route,
            settings: settings(rng),
            repeats: Repeats { any: repeats_any, codes: Vec::new() },
            endpoints,
            clients,
            specs,
            deeds: deeds(rng, calm, &ports),
        };
        if rng.chance(400) {
            all.clients.push(tunnels(rng, calm, &mut all.specs));
        }
        all
    }

    pub(crate) fn ledger(&self) -> Ledger {
        Ledger {
            copies: self.specs.len(),
            entries: self.specs.iter().cloned().map(Entry::new).collect(),
            calm: self.calm,
            repeats: self.repeats.clone(),
        }
    }
}

/// Draws how endpoints behave.
pub(crate) fn endpoints(
    rng: &mut Rng,
    (calm, idle_us): (bool, u64),
    ports: &[u16],
    buffer: u64,
) -> Vec<(u16, (Habits, Ways))> {
    let mut draw = |port: &u16| {
        let (dribble, sips) = (pace(rng), pace(rng));
        let ways = Ways::draw(rng, calm, buffer);
        (*port, (Habits { dribble, sips, idle_us, mirror: 0 }, ways))
    };
    ports.iter().map(&mut draw).collect()
}

/// Draws a client that opens WebSockets.
fn tunnels(rng: &mut Rng, calm: bool, specs: &mut Vec<Spec>) -> Caller {
    let Caller { manner, .. } = client(rng, calm, 4096, &mut Vec::new());
    let begin = specs.len();
    for _ in 0..rng.between(1, 3) {
        let spec = spec(rng, calm, 40_000);
        let act = match spec.act {
            Act::Early | Act::EarlyClose | Act::Last => Act::Answer,
            act => act,
        };
        let tunnel = Some((size(rng, 40_000), size(rng, 40_000)));
        let down_trailers = false;
        specs.push(Spec { method: "GET", up: None, down_trailers, act, tunnel, ..spec });
    }
    Caller { manner, http2: None, tunnels: true, ids: (begin..specs.len()).collect() }
}

/// Returns how many bytes go at once, and the longest pause between.
fn pace(rng: &mut Rng) -> (u64, u64) {
    let most = match rng.below(4) {
        0 => rng.between(8, 64),
        1 => rng.between(64, 4096),
        _ => 1 << 20,
    };
    let pause = if rng.chance(600) { 0 } else { rng.size(if most < 64 { 300 } else { 30_000 }) };
    (most, pause)
}

/// Draws a client and its requests.
pub(crate) fn client(rng: &mut Rng, calm: bool, buffer: u64, specs: &mut Vec<Spec>) -> Caller {
    let largest = buffer * 100;
    let http2 = rng.chance(500).then(|| Ways::draw(rng, calm, buffer));
    let most = if http2.is_some() { 12 } else { 5 };
    let manner = Manner {
        depth: if rng.chance(if http2.is_some() { 200 } else { 400 }) {
            1
        } else {
            usize::try_from(rng.between(2, most)).unwrap_or(2)
        },
        dribble: pace(rng),
        sips: pace(rng),
        rest_us: if rng.chance(700) {
            0
        } else {
            rng.below(if calm { 1_000_000 } else { 9_000_000 })
        },
        is_old: rng.chance(60),
        half_closes: rng.chance(100) && !calm,
        leaves: if calm || rng.chance(600) { 0 } else { rng.below(600) },
    };
    let begin = specs.len();
    specs.extend((0..rng.between(1, 8)).map(|_| spec(rng, calm, largest)));
    Caller { manner, http2, tunnels: false, ids: (begin..specs.len()).collect() }
}

/// Draws a request. `largest` bounds the bodies, so that small buffers do not take them for ever.
fn spec(rng: &mut Rng, calm: bool, largest: u64) -> Spec {
    let method = rng.pick(&["GET", "GET", "GET", "POST", "PUT", "HEAD"]).unwrap_or("GET");
    let most = if rng.chance(30) { 1_500_000 } else { 40_000 };
    let up_frame = if rng.chance(500) { Frame::Length } else { Frame::Chunked };
    let up =
        (method == "POST" || method == "PUT").then(|| (size(rng, most.min(largest)), up_frame));
    let down_frame = match rng.below(10) {
        0..5 => Frame::Length,
        5..9 => Frame::Chunked,
        _ => Frame::Close,
    };
    let most = if rng.chance(30) { 4_500_000 } else { 60_000 };
    let down = (size(rng, most.min(largest)), down_frame);
    let reset = rng.chance(500);
    let act = match rng.below(if calm { 12 } else { 24 }) {
        0..8 => Act::Answer,
        8 | 9 => Act::Interim,
        10 | 11 => Act::Last,
        12 | 13 => Act::Early,
        14 | 15 => Act::EarlyClose,
        16..19 => Act::Cut(size(rng, 100_000), reset),
        19 => Act::Hang,
        20 => Act::Garbage,
        21 => Act::Busy,
        _ => Act::Answer,
    };
    let waits_for_continue = up.is_some() && rng.chance(200);
    let think_us = if rng.chance(500) { 0 } else { rng.size(800_000) };
    let (up_trailers, down_trailers) = (rng.chance(400), rng.chance(400));
    let (tunnel, call) = (None, None);
    Spec {
        method,
        up,
        up_trailers,
        down_trailers,
        waits_for_continue,
        down,
        act,
        tunnel,
        call,
        think_us,
    }
}

fn size(rng: &mut Rng, most: u64) -> usize {
    usize::try_from(rng.size(most)).unwrap_or(0)
}

pub(crate) fn listener(rng: &mut Rng, calm: bool) -> String {
    let (requests, idle) = match calm {
        true => (1000, 60_000),
        false => (rng.between(1, 20), rng.between(200, 20_000)),
    };
    let head = if calm { 60_000 } else { rng.between(500, 20_000) };
    let http2 = if rng.chance(500) { http2(rng) } else { String::new() };
    format!(
        r#"{{"addresses":["10.0.0.1:{LISTENER_PORT}"],"protocol":"http","h2c":true,
            "keepalive_requests":{requests},"idle_timeout_ms":{idle},"head_timeout_ms":{head}{http2}}}"#
    )
}

/// Returns what few connections over HTTP/2 have to be content with.
fn http2(rng: &mut Rng) -> String {
    let (streams, dispatched) = (rng.between(1, 12), rng.between(1, 8));
    let bodies = rng.below(dispatched + 1);
    let (window, connection) = (rng.between(16_384, 65_536), rng.between(65_536, 200_000));
    let (answers, frames) = (rng.between(16_384, 300_000), rng.between(16_384, 100_000));
    format!(
        r#","http2":{{"streams":{streams},"dispatched":{dispatched},"bodies":{bodies},
            "windows":{{"stream_bytes":{window},"most_stream_bytes":{},
                        "connection_bytes":{connection}}},
            "output":{{"answers_bytes":{answers},"frames_bytes":{frames}}}}}"#,
        window * rng.between(1, 4)
    )
}

pub(crate) fn upstream(rng: &mut Rng, calm: bool, ports: &[u16]) -> String {
    let endpoints: Vec<String> =
        ports.iter().map(|p| format!(r#"{{"address":"{}"}}"#, address_of(*p))).collect();
    let limited = rng.chance(300);
    let (most, queue) = match (limited, calm) {
        (false, true) => (0, 100),
        (false, false) => (0, 10),
        (true, true) => (rng.between(1, 3), 100),
        (true, false) => (rng.between(1, 3), rng.between(0, 4)),
    };
    let wait = if calm { 600_000 } else { rng.between(100, 6_000) };
    let connect = if calm { 60_000 } else { rng.between(300, 6_000) };
    let (idle, pool_ms) = (rng.below(6), rng.between(50, 60_000));
    let protocol = if rng.chance(500) { "h2c" } else { "http1" };
    let learned = match (rng.chance(200), calm) {
        (false, _) => "",
        // Those that wait have room in the queue.
        (true, true) => r#","health":{"concurrency":{"initial":4,"min":1,"max":8}}"#,
        (true, false) => r#","health":{"concurrency":{"initial":2,"min":1,"max":4}}"#,
    };
    format!(
        r#"{{"endpoints":[{}],"protocol":"{protocol}","max_connections":{most},"queue":{queue},"queue_timeout_ms":{wait},
            "connect_timeout_ms":{connect},
            "pool":{{"max_idle":{idle},"idle_timeout_ms":{pool_ms}}}{learned}}}"#,
        endpoints.join(",")
    )
}

/// Draws a route; returns whether it repeats any method, too.
pub(crate) fn route(rng: &mut Rng, calm: bool) -> (String, bool) {
    let mut t = |least: u64, most: u64| if calm { 600_000 } else { rng.between(least, most) };
    let limits = (t(2_000, 90_000), t(1_000, 60_000), t(500, 20_000), t(1_000, 30_000));
    let rate = if calm { 0 } else { rng.size(2_000) };
    let (whole, body, first, idle) = limits;
    let timeouts = format!(
        r#"{{"request_ms":{whole},"body_ms":{body},"body_rate":{rate},"first_byte_ms":{first},
            "stream_idle_ms":{idle}}}"#
    );
    let buffer = if rng.chance(400) { rng.size(100_000) } else { 0 };
    let (retry, repeats_any) = if rng.chance(500) { retry(rng) } else { (String::new(), false) };
    let json = format!(
        r#"{{"action":{{"upstream":"u"}},"hosts":["*"],"listeners":["web"],
            "body_buffer_bytes":{buffer},"timeouts":{timeouts}{retry}}}"#
    );
    (json, repeats_any)
}

/// Adds a middleware that waits to some routes; other seeds play as they did without it.
fn delayed(route: String, seed: u64, calm: bool) -> String {
    let rng = &mut Rng::new(seed ^ 0xfa17);
    if !rng.chance(300) {
        return route;
    }
    let (delay, percent) = (rng.between(1, if calm { 500 } else { 20_000 }), rng.between(1, 100));
    let (most, fields) = (rng.size(4), route.strip_suffix('}').unwrap_or_default());
    let fault = format!(r#"{{"delay_ms":{delay},"delay_percent":{percent},"most":{most}}}"#);
    format!(r#"{fields},"middlewares":[{{"fault":{fault}}}]}}"#)
}

/// Has some routes collect answers for slow clients; other seeds play as they did without it.
fn collected(route: String, seed: u64) -> String {
    let rng = &mut Rng::new(seed ^ 0xb0ff);
    if !rng.chance(300) {
        return route;
    }
    let (most, fields) = (rng.size(200_000), route.strip_suffix('}').unwrap_or_default());
    format!(r#"{fields},"response_buffer_bytes":{most}}}"#)
}

fn retry(rng: &mut Rng) -> (String, bool) {
    let on = rng.pick(&[
        r#""timeout""#,
        r#""reset""#,
        r#""503""#,
        r#""timeout","reset","5xx","gateway-error""#,
    ]);
    let any = rng.chance(200);
    let methods = if any { r#","methods":"all""# } else { "" };
    let hedge = match rng.chance(200) {
        true => format!(r#","hedge":{{"after_ms":{}}}"#, rng.between(1, 2_000)),
        false => String::new(),
    };
    let (retries, base) = (rng.between(1, 4), rng.between(1, 2_000));
    let json = format!(
        r#","retry":{{"retries":{retries},"on":[{}]{methods}{hedge},
            "backoff":{{"base_ms":{base},"max_ms":{base}}},
            "budget":{{"percent":100,"per_second":100}}}}"#,
        on.unwrap_or_default()
    );
    (json, any)
}

pub(crate) fn deeds(rng: &mut Rng, calm: bool, ports: &[u16]) -> Vec<(u64, Deed)> {
    let mut deeds = Vec::new();
    if rng.chance(400) {
        for _ in 0..rng.between(1, 3) {
            let at = rng.size(20_000_000);
            let object = (Kind::Upstream, "u", Some(upstream(rng, calm, ports)));
            deeds.push((at, Deed::Apply(vec![object])));
        }
    }
    if calm {
        return deeds;
    }
    if rng.chance(250) {
        deeds.push((rng.size(20_000_000), Deed::Drain));
    }
    remotes(rng, ports, &mut deeds);
    deeds
}
