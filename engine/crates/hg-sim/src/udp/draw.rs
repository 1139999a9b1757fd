//! The decisions of a seed for a run of UDP.

use crate::play::{Deed, Object, remotes, settings, weather};
use crate::world::{LISTENER_PORT, address_of};
use hg_net::{Rng, Weather};
use hg_plan::Kind;
use std::net::SocketAddr;

/// A client: what it sends, one datagram after the other.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    pub(crate) address: SocketAddr,
    /// The sizes of their contents, and the pause before each, microseconds.
    pub(crate) datagrams: Vec<(usize, u64)>,
}

/// All that a seed decides.
#[derive(Clone, Debug)]
pub(crate) struct Drawn {
    pub(crate) calm: bool,
    pub(crate) weather: Weather,
    pub(crate) ports: Vec<u16>,
    pub(crate) objects: Vec<Object>,
    pub(crate) deeds: Vec<(u64, Deed)>,
    pub(crate) senders: Vec<Sender>,
    /// Most flows of the listener.
    pub(crate) flows: u64,
    /// Answers to each datagram: at least and at most.
    pub(crate) answers: (u64, u64),
}

impl Drawn {
    pub(crate) fn new(seed: u64) -> Self {
        let rng = &mut Rng::new(seed ^ 0xd47a);
        let calm = rng.chance(350);
        let mut weather = weather(rng, calm);
        if calm {
            weather.blocked_writes = 0;
        } else if rng.chance(500) {
            weather.lost = rng.below(200);
        }
        let ports: Vec<u16> = (0..rng.between(1, 3)).map(|i| 8001 + i as u16).collect();
        let flows = if calm { 1000 } else { rng.between(1, 12) };
        let answers = match rng.chance(400) {
            true => (rng.between(1, 2), 0),
            false => (0, rng.between(0, 3)),
        };
        let answers = if answers.0 > 0 { (answers.0, answers.0) } else { answers };
        let objects = vec![
            (Kind::Settings, "node", Some(settings(rng))),
            (Kind::Listener, "dns", Some(listener(flows))),
            (Kind::Upstream, "u", Some(upstream(rng, calm, &ports))),
            (Kind::UdpRoute, "d", Some(route(rng, calm, answers))),
        ];
        let deeds = deeds(rng, calm, &ports, answers);
        let senders = (0..rng.between(1, 12)).map(|i| sender(rng, i as u8)).collect();
        Self { calm, weather, ports, objects, deeds, senders, flows, answers }
    }
}

fn sender(rng: &mut Rng, i: u8) -> Sender {
    let rest = rng.size(3_000_000);
    let count = rng.between(1, 20);
    let datagrams = (0..count).map(|_| {
        let len = if rng.chance(50) { rng.size(60_000) } else { rng.size(1_400) };
        (usize::try_from(len).unwrap_or(0), if rng.chance(300) { 0 } else { rng.below(rest + 1) })
    });
    let datagrams = datagrams.collect();
    // Several clients behind one address.
    let address = SocketAddr::from(([10, 1, 0, i / 3], 5000 + u16::from(i)));
    Sender { address, datagrams }
}

fn listener(flows: u64) -> String {
    format!(r#"{{"addresses":["10.0.0.1:{LISTENER_PORT}"],"protocol":"udp","flows":{flows}}}"#)
}

fn upstream(rng: &mut Rng, calm: bool, ports: &[u16]) -> String {
    let count = if calm { ports.len() } else { rng.between(1, ports.len() as u64) as usize };
    let endpoints: Vec<String> = ports
        .iter()
        .take(count)
        .map(|p| format!(r#"{{"address":"{}"}}"#, address_of(*p)))
        .collect();
    let most = if !calm && rng.chance(300) { rng.between(1, 4) } else { 0 };
    let balance = rng.pick(&["", r#","balance":"least_conn""#, r#","balance":"p2c""#]);
    format!(
        r#"{{"endpoints":[{}],"max_connections":{most}{}}}"#,
        endpoints.join(","),
        balance.unwrap_or_default()
    )
}

fn route(rng: &mut Rng, calm: bool, answers: (u64, u64)) -> String {
    let idle = if calm { 600_000 } else { rng.between(100, 20_000) };
    let by = if rng.chance(300) { "datagram" } else { "flow" };
    let ends = answers.0 > 0 && rng.chance(700);
    let ends = if ends { format!(r#","answers":{}"#, answers.0) } else { String::new() };
    format!(r#"{{"listeners":["dns"],"upstream":"u","balance_by":"{by}","idle_ms":{idle}{ends}}}"#)
}

/// In calm weather nothing ends a flow before its answers have come.
fn deeds(rng: &mut Rng, calm: bool, ports: &[u16], answers: (u64, u64)) -> Vec<(u64, Deed)> {
    let mut deeds = Vec::new();
    if calm {
        return deeds;
    }
    for _ in 0..if rng.chance(500) { rng.between(1, 5) } else { 0 } {
        let object = match rng.chance(500) {
            true => (Kind::Upstream, "u", Some(upstream(rng, calm, ports))),
            false => (Kind::UdpRoute, "d", Some(route(rng, calm, answers))),
        };
        deeds.push((rng.size(20_000_000), Deed::Apply(vec![object])));
    }
    if rng.chance(200) {
        let from = rng.size(10_000_000);
        deeds.push((from, Deed::Apply(vec![(Kind::UdpRoute, "d", None)])));
        let object = (Kind::UdpRoute, "d", Some(route(rng, calm, answers)));
        deeds.push((from + rng.size(20_000_000), Deed::Apply(vec![object])));
    }
    if rng.chance(250) {
        deeds.push((rng.size(20_000_000), Deed::Drain));
    }
    remotes(rng, ports, &mut deeds);
    deeds
}
