//! The scene of HTTP: requests and WebSockets.

use crate::client::Client;
use crate::counters::WorkerCounters;
use crate::http2;
use crate::ledger::{Ledger, Outcome};
use crate::play::{Deed, Object, Play};
use crate::scenario::{Caller, Scenario};
use crate::speaker::Speaker;
use crate::tunnel;
use crate::world::{Actor, LISTENER_PORT};
use hg_net::Weather;
use hg_plan::Kind;
use std::cell::RefCell;
use std::io;
use std::net::Ipv4Addr;
use std::rc::Rc;

pub(crate) struct Http {
    scenario: Scenario,
    ledger: Rc<RefCell<Ledger>>,
}

impl Http {
    pub(crate) fn new(scenario: Scenario) -> Self {
        let ledger = Rc::new(RefCell::new(scenario.ledger()));
        Self { scenario, ledger }
    }
}

impl Play for Http {
    fn seed(&self) -> u64 {
        self.scenario.seed
    }

    fn weather(&self) -> Weather {
        self.scenario.weather.clone()
    }

    fn text(&self) -> String {
        format!("{:#?}", self.scenario)
    }

    fn objects(&self) -> Vec<Object> {
        let s = &self.scenario;
        vec![
            (Kind::Settings, "node", Some(s.settings.clone())),
            (Kind::Listener, "web", Some(s.listener.clone())),
            (Kind::Upstream, "u", Some(s.upstream.clone())),
            (Kind::Route, "r", Some(s.route.clone())),
        ]
    }

    fn ports(&self) -> Vec<u16> {
        self.scenario.endpoints.iter().map(|(port, _)| *port).collect()
    }

    fn deeds(&self) -> &[(u64, Deed)] {
        &self.scenario.deeds
    }

    fn clients(&self) -> Vec<Box<dyn Actor>> {
        let ips = (0x0a01_0000..).map(Ipv4Addr::from);
        ips.zip(&self.scenario.clients).map(|(ip, caller)| client(ip, caller.clone())).collect()
    }

    fn endpoint(&self, port: u16, socket: usize) -> Option<Box<dyn Actor>> {
        let (_, habits) = self.scenario.endpoints.iter().find(|(p, _)| *p == port)?;
        Some(Box::new(Speaker::new(socket, habits.clone())))
    }

    fn ledger(&self) -> Rc<RefCell<Ledger>> {
        self.ledger.clone()
    }

    fn is_open(&self) -> bool {
        self.ledger.borrow().is_open()
    }

    fn check(&self, counters: &WorkerCounters) -> io::Result<()> {
        check_sums(counters, &self.ledger.borrow())
    }

    fn totals(&self) -> (usize, usize) {
        let ledger = self.ledger.borrow();
        let entries = ledger.requests();
        let served = entries.iter().filter(|e| e.outcome == Some(Outcome::Served)).count();
        (entries.len(), served)
    }
}

/// Makes a client.
fn client(ip: Ipv4Addr, caller: Caller) -> Box<dyn Actor> {
    let Caller { manner, http2, tunnels, ids } = caller;
    match http2 {
        None if tunnels => Box::new(tunnel::Client::new((ip, LISTENER_PORT), manner, ids)),
        None => Box::new(Client::new(ip, LISTENER_PORT, manner, ids)),
        Some(ways) => Box::new(http2::Client::new((ip, LISTENER_PORT), manner, ways, ids)),
    }
}

/// Reports whether the endpoints of an upstream get copies only; nobody counts those as requests.
fn is_mirror(upstream: &str) -> bool {
    crate::mirrors::UPSTREAMS.contains(&upstream)
}

/// Checks that requests are counted once, whatever became of them.
fn check_sums(counters: &WorkerCounters, ledger: &Ledger) -> io::Result<()> {
    let sum = |all: Vec<(u8, u16, u64)>| all.into_iter().map(|(_, _, n)| n).sum::<u64>();
    let upstreams = counters
        .upstreams()
        .into_iter()
        .filter(|(name, _)| !is_mirror(name))
        .map(|(_, u)| sum(u.requests.entries()));
    let by_status = sum(counters.own.entries()) + upstreams.sum::<u64>();
    let all = counters.requests.get();
    let has_answer = |o: Option<Outcome>| matches!(o, Some(Outcome::Served | Outcome::Refused(_)));
    let answers = ledger.entries.iter().filter(|e| has_answer(e.outcome)).count() as u64;
    if by_status != all || all < answers || (ledger.calm && all != answers) {
        let what = format!("{all} requests, {by_status} by status, {answers} had an answer");
        return Err(io::Error::other(what));
    }
    Ok(())
}
