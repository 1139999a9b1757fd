//! The decisions of a seed for a run of TCP.

use crate::play::{Deed, Object, remotes, settings, weather};
use crate::tcp::book::{Mood, Ways};
use crate::tcp::opening::{Start, header, hello};
use crate::tcp::side::{Ends, Part};
use crate::world::{LISTENER_PORT, address_of};
use hg_net::{Rng, Weather};
use hg_plan::Kind;
use std::collections::VecDeque;
use std::net::SocketAddr;

/// The ports of the two upstreams.
const PORTS: [[u16; 2]; 2] = [[8001, 8002], [8011, 8012]];
const NAMES: [&str; 2] = ["u", "v"];
/// The name of the second route.
const SECOND: &str = "second.example";

/// The terms that hold for the whole run.
#[derive(Clone, Debug)]
pub(crate) struct Terms {
    pub(crate) mood: Mood,
    pub(crate) weather: Weather,
    /// True if much comes at once, so that it is spliced.
    pub(crate) bulk: bool,
    /// The sides that may wait with their end for the other side's: 1 = clients, 2 = endpoints, 0 =
    /// none.
    pub(crate) last: u64,
    /// True if routes ask for names.
    pub(crate) named: bool,
    /// The clients that begin with PROXY headers: 1 = all do, 2 = some do.
    pub(crate) proxied: u64,
    /// Versions of the PROXY protocol towards the two upstreams.
    pub(crate) told: [Option<u8>; 2],
}

/// All that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) terms: Terms,
    pub(crate) objects: Vec<Object>,
    pub(crate) deeds: Vec<(u64, Deed)>,
    pub(crate) starts: Vec<Start>,
    pub(crate) ways: [Ways; 2],
    /// Sessions of each client, and its longest pause between two.
    pub(crate) clients: Vec<(VecDeque<(usize, Part)>, u64)>,
}

impl Drawn {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed ^ 0x7c9);
        let terms = Terms::new(rng);
        let mut ways = [Ways::default(), Ways::default()];
        let objects = objects(rng, &terms, &mut ways);
        let deeds = deeds(rng, &terms, &mut ways);
        let mut starts = Vec::new();
        let clients = (0..rng.between(1, 5)).map(|_| client(rng, &terms, &mut starts)).collect();
        Self { terms, objects, deeds, starts, ways, clients }
    }

    /// Returns the ports of all endpoints.
    pub(crate) fn ports() -> Vec<u16> {
        PORTS.iter().flatten().copied().collect()
    }
}

impl Terms {
    fn new(rng: &mut Rng) -> Self {
        let mood = match rng.below(10) {
            0..3 => Mood::Calm,
            3..6 => Mood::Fair,
            _ => Mood::Rough,
        };
        let mut told = || rng.pick(&[None, None, Some(1), Some(2)]).flatten();
        let told = [told(), told()];
        let mut weather = weather(rng, mood != Mood::Rough);
        let bulk = rng.chance(200);
        if bulk {
            (weather.buffer, weather.piece) = (rng.between(300_000, 900_000), 65_536);
        }
        Self {
            mood,
            weather,
            bulk,
            last: rng.below(3),
            named: rng.chance(300),
            proxied: if rng.chance(300) { rng.between(1, 2) } else { 0 },
            told,
        }
    }

    /// Draws how one side behaves.
    pub(crate) fn part(&self, rng: &mut Rng, is_client: bool) -> Part {
        let often = if self.bulk { 400 } else { 20 };
        let most = if rng.chance(often) { 3_000_000 } else { 60_000 };
        let most = rng.size(most).min(self.weather.buffer * 100);
        let waits = if is_client { 1 } else { 2 };
        let last = self.last == waits && rng.chance(600);
        let (rough, leaves) = (self.mood == Mood::Rough, self.mood != Mood::Calm);
        let stall = if rough { 20_000_000 } else { 3_000_000 };
        Part {
            len: usize::try_from(most).unwrap_or(0),
            waits_us: if rng.chance(500) { 0 } else { rng.size(500_000) },
            dribble: pace(rng, most),
            sips: pace(rng, most),
            ends: match rng.chance(30) && rough {
                true => Ends::Never,
                false if last => Ends::Last,
                false => Ends::AtOnce,
            },
            leaves: (leaves && rng.chance(250)).then(|| {
                let at = usize::try_from(rng.size(80_000)).unwrap_or(0);
                (at, rng.chance(600))
            }),
            stalls: rng.chance(200).then(|| {
                let at = usize::try_from(rng.size(30_000)).unwrap_or(0);
                (at, rng.below(stall))
            }),
        }
    }
}

/// Returns how many bytes go at once, and the longest pause between: few only where there are few.
fn pace(rng: &mut Rng, len: u64) -> (u64, u64) {
    let most = match rng.below(4) {
        0 if len < 100_000 => rng.between(8, 64),
        0 | 1 => rng.between(64, 4096),
        _ => 1 << 20,
    };
    let pause = if rng.chance(600) { 0 } else { rng.size(if most < 64 { 300 } else { 10_000 }) };
    (most, pause)
}

fn client(rng: &mut Rng, terms: &Terms, starts: &mut Vec<Start>) -> (VecDeque<(usize, Part)>, u64) {
    let parts = (0..rng.between(1, 5)).map(|_| {
        let id = starts.len();
        starts.push(start(rng, terms, id));
        (id, terms.part(rng, true))
    });
    let parts = parts.collect();
    (parts, if rng.chance(500) { 1 } else { rng.size(3_000_000) })
}

/// Draws how a client begins.
fn start(rng: &mut Rng, terms: &Terms, id: usize) -> Start {
    let low = id as u32;
    let own = SocketAddr::from(((0x0a01_0000 + low).to_be_bytes(), 40_000));
    let rough = terms.mood == Mood::Rough;
    let has_header = match terms.proxied {
        0 => false,
        1 => !(rough && rng.chance(50)),
        _ => rng.chance(500),
    };
    let is_second = terms.named && rng.chance(500);
    let name = if is_second { SECOND } else { "other.example" };
    let has_hello = terms.named && !(rough && rng.chance(50));
    let hello = if has_hello { hello(name, rng) } else { Vec::new() };
    let passed =
        SocketAddr::from(((0x0a09_0000 + low).to_be_bytes(), 1024 + rng.below(60_000) as u16));
    let (source, mut header) = match has_header {
        true => (passed, header(if rng.chance(500) { 1 } else { 2 }, passed)),
        false => (own, Vec::new()),
    };
    if rough && has_header && rng.chance(30) {
        header.truncate(header.len() / 2);
        header.extend_from_slice(b"nonsense\r\n");
    }
    Start { source, header, hello, is_second }
}

fn objects(rng: &mut Rng, terms: &Terms, ways: &mut [Ways; 2]) -> Vec<Object> {
    let mut objects = vec![
        (Kind::Settings, "node", Some(times(rng, terms))),
        (Kind::Listener, "web", Some(listener(rng, terms))),
    ];
    objects.extend([0, 1].map(|at| upstream(rng, terms, at)));
    objects.push(route(rng, terms, (0, 0), ways));
    if terms.named {
        objects.push(route(rng, terms, (1, 1), ways));
    }
    objects
}

/// Draws the times of a drain, which begins once all clients are gone: endpoints that still read then
/// are cut only where anything may fail.
fn times(rng: &mut Rng, terms: &Terms) -> String {
    let drawn = settings(rng);
    match terms.mood {
        Mood::Rough => drawn,
        _ => r#"{"drain":{"delay_ms":1,"idle_grace_ms":1,"deadline_ms":100000}}"#.to_owned(),
    }
}

fn listener(rng: &mut Rng, terms: &Terms) -> String {
    let rough = terms.mood == Mood::Rough;
    let wait = if rough { rng.between(200, 10_000) } else { 600_000 };
    let open = if rough && rng.chance(200) { rng.between(1, 4) } else { 0 };
    let mode = if terms.proxied == 1 { "required" } else { "optional" };
    let proxy = match terms.proxied {
        0 => String::new(),
        // After this time those that send nothing are let in, and a header that comes later is part of
        // what they say.
        _ => format!(
            r#","client_ip":{{"proxy_protocol":{{"mode":"{mode}","trusted":["10.1.0.0/16"],
                "timeout_ms":{}}}}}"#,
            if rough && terms.proxied == 1 { wait } else { 60_000 }
        ),
    };
    format!(
        r#"{{"addresses":["10.0.0.1:{LISTENER_PORT}"],"protocol":"tcp","max_connections":{open},
            "handshake_timeout_ms":{wait}{proxy}}}"#
    )
}

fn upstream(rng: &mut Rng, terms: &Terms, at: usize) -> Object {
    let rough = terms.mood == Mood::Rough;
    let ports = PORTS.get(at).into_iter().flatten();
    let count = usize::try_from(rng.between(1, 2)).unwrap_or(1);
    let ports = ports.skip(usize::from(count == 1 && rng.chance(500))).take(count);
    let endpoints: Vec<String> =
        ports.map(|p| format!(r#"{{"address":"{}"}}"#, address_of(*p))).collect();
    let most = if rng.chance(300) { rng.between(1, 3) } else { 0 };
    let (queue, wait) =
        if rough { (rng.below(5), rng.between(100, 6_000)) } else { (100, 600_000) };
    let connect = if rough { rng.between(300, 6_000) } else { 600_000 };
    let told = match terms.told.get(at).copied().flatten() {
        None => String::new(),
        Some(version) => format!(r#","pool":{{"proxy_protocol":"v{version}"}}"#),
    };
    let balance = rng.pick(&["", r#","balance":"least_conn""#, r#","balance":"p2c""#]);
    let json = format!(
        r#"{{"endpoints":[{}],"max_connections":{most},"queue":{queue},"queue_timeout_ms":{wait},
            "connect_timeout_ms":{connect}{told}{}}}"#,
        endpoints.join(","),
        balance.unwrap_or_default()
    );
    (Kind::Upstream, NAMES.get(at).copied().unwrap_or("u"), Some(json))
}

/// Returns a route towards an upstream, and notes that its clients may arrive there.
fn route(rng: &mut Rng, terms: &Terms, (at, to): (usize, usize), ways: &mut [Ways; 2]) -> Object {
    // Without names all clients take the first route.
    for (i, way) in ways.iter_mut().enumerate() {
        if i == at {
            way.ports.extend(PORTS.get(to).into_iter().flatten());
            way.tells.insert(terms.told.get(to).copied().flatten());
        }
    }
    let rough = terms.mood == Mood::Rough;
    let mut t = |least, most| if rough { rng.between(least, most) } else { 0 };
    let (idle, half_open) = (t(200, 20_000), t(200, 20_000));
    let lifetime = if rough && rng.chance(300) { rng.between(500, 60_000) } else { 0 };
    let sni = if at == 1 { format!(r#","sni":["{SECOND}"]"#) } else { String::new() };
    let sni = if at == 0 && terms.named { r#","sni":["*"]"#.to_owned() } else { sni };
    let json = format!(
        r#"{{"listeners":["web"],"upstream":"{}"{sni},
            "timeouts":{{"idle_ms":{idle},"half_open_ms":{half_open},"lifetime_ms":{lifetime}}}{}}}"#,
        NAMES.get(to).copied().unwrap_or("u"),
        bandwidth(rng)
    );
    (Kind::TcpRoute, if at == 0 { "t" } else { "tn" }, Some(json))
}

/// Draws how quickly bytes pass: for most routes as they come.
fn bandwidth(rng: &mut Rng) -> String {
    if !rng.chance(300) {
        return String::new();
    }
    let mut way = |name: &str| match rng.chance(700) {
        true => {
            let (rate, burst) = (rng.between(200_000, 50_000_000), rng.size(300_000));
            format!(r#""{name}":{rate},"{name}_burst":{burst},"#)
        }
        false => String::new(),
    };
    let (mut ways, upload) = (way("download"), way("upload"));
    ways.push_str(&upload);
    if ways.is_empty() {
        return ways;
    }
    let key = rng.pick(&["connection", "client_ip", "all"]).unwrap_or("connection");
    format!(r#","bandwidth":{{{ways}"key":"{key}"}}"#)
}

fn deeds(rng: &mut Rng, terms: &Terms, ways: &mut [Ways; 2]) -> Vec<(u64, Deed)> {
    let mut deeds = Vec::new();
    if rng.chance(600) {
        for _ in 0..rng.between(1, 5) {
            let at = usize::from(terms.named && rng.chance(500));
            let to = usize::from(rng.chance(500));
            let object = match rng.below(3) {
                0 => upstream(rng, terms, to),
                _ => route(rng, terms, (at, to), ways),
            };
            deeds.push((rng.size(20_000_000), Deed::Apply(vec![object])));
        }
    }
    if terms.mood != Mood::Rough {
        return deeds;
    }
    if rng.chance(200) {
        let (from, object) = (rng.size(10_000_000), route(rng, terms, (0, 0), ways));
        deeds.push((from, Deed::Apply(vec![(Kind::TcpRoute, "t", None)])));
        deeds.push((from + rng.size(20_000_000), Deed::Apply(vec![object])));
    }
    if rng.chance(250) {
        deeds.push((rng.size(20_000_000), Deed::Drain));
    }
    remotes(rng, &Drawn::ports(), &mut deeds);
    deeds
}
