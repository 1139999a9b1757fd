//! The answers of the agents of endpoints, and the weights that follow from them.

use crate::counters::lock;
use crate::health::EndpointHealth;
use crate::snapshot::{EndpointEntry, UpstreamEntry};
use hg_net::Address;
use hg_plan::{AgentCheck, Balance, Endpoint};
use hg_policy::{Balancer, Problem};
use hg_resilience::{Report, Said};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering::Acquire, Ordering::Relaxed, Ordering::Release};

/// The most bytes that an agent is sent.
const MAX_SEND: usize = 1_024;

/// The answers of the agent of one endpoint.
#[derive(Default)]
pub(crate) struct AgentHealth {
    /// Questions that it answered, and that it did not.
    pub(crate) answers: AtomicU64,
    pub(crate) failures: AtomicU64,
    told: Mutex<Told>,
}

#[derive(Default)]
struct Told {
    said: Said,
    /// Its words.
    text: String,
    /// The reason why it did not answer; empty if it did.
    failure: String,
}

impl AgentHealth {
    /// Returns all that it said.
    pub(crate) fn said(&self) -> Said {
        lock(&self.told).said
    }

    /// Takes in an answer. Returns what it says now, and whether it had not answered before.
    pub(crate) fn heard(&self, report: &Report) -> (Said, bool) {
        self.answers.fetch_add(1, Relaxed);
        let mut told = lock(&self.told);
        told.said = told.said.and(report);
        told.text.clone_from(&report.text);
        let returns = !told.failure.is_empty();
        told.failure.clear();
        (told.said, returns)
    }

    /// Takes in that it did not answer; reports whether that is news.
    pub(crate) fn missed(&self, why: &str) -> bool {
        self.failures.fetch_add(1, Relaxed);
        let mut told = lock(&self.told);
        let is_news = told.failure.is_empty();
        told.failure = why.to_owned();
        is_news
    }

    /// Forgets all that it said.
    pub(crate) fn forget(&self) {
        *lock(&self.told) = Told::default();
    }

    /// Reports whether it said anything.
    pub(crate) fn has_spoken(&self) -> bool {
        !lock(&self.told).text.is_empty()
    }

    /// Returns what is to be said of it besides the state of its endpoint, as further clauses.
    pub(crate) fn clauses(&self) -> String {
        let told = lock(&self.told);
        let mut clauses = String::new();
        let percent = told.said.percent();
        if percent != 100 && percent != 0 {
            clauses.push_str(&format!("; its agent asks for {percent} % of its weight"));
        }
        if !told.text.is_empty() && told.said.agent() != hg_resilience::Agent::Ready {
            clauses.push_str(&format!("; its agent said: {}", told.text));
        }
        if !told.failure.is_empty() {
            let failure = &told.failure;
            clauses.push_str(&format!(
                "; its agent does not answer ({failure}), and what it said last stays"
            ));
        }
        clauses
    }
}

/// Returns what is wrong with how the agents of an upstream are asked.
pub(crate) fn problems(agent: &AgentCheck, endpoints: &[Endpoint]) -> Vec<Problem> {
    let mut found = Vec::new();
    let mut add = |path: String, text: &str| found.push((path, text.to_owned()));
    if agent.port == 0 {
        add("health.agent.port".into(), "0 is no port of an agent; write 1 to 65535");
    }
    if agent.interval_ms == 0 || agent.timeout_ms == 0 {
        let text = "interval and timeout of an agent are never 0; write a time";
        add("health.agent.interval_ms".into(), text);
    }
    if agent.send.len() > MAX_SEND {
        add("health.agent.send".into(), "the text is too long; write at most 1024 bytes");
    }
    for (i, _) in endpoints.iter().enumerate().filter(|(_, e)| e.address.starts_with("unix:")) {
        let text = "an agent has a port, and a Unix socket has none; leave the agent check out, or \
                    write `host:port`";
        add(format!("endpoints[{i}].address"), text);
    }
    found
}

/// Returns where the agent of an endpoint is.
pub(crate) fn targets(of: &[Address], port: u16) -> Vec<Address> {
    let moved = |target: &Address| match target {
        Address::Inet(address) => {
            let mut address = *address;
            address.set_port(port);
            Some(Address::Inet(address))
        }
        Address::Unix(_) => None,
    };
    of.iter().filter_map(moved).collect()
}

/// The weights of an upstream whose endpoints have agents, and the balancer that they make.
pub(crate) struct Weighed {
    /// As configured.
    endpoints: Vec<Endpoint>,
    now: Mutex<(Vec<u16>, Balancer)>,
    /// The number of times that they changed.
    version: AtomicU64,
}

impl Weighed {
    /// Makes the balancer by what agents said so far.
    pub(crate) fn new(
        policy: &Balance,
        endpoints: Vec<Endpoint>,
        entries: &[EndpointEntry],
    ) -> Result<Self, Vec<Problem>> {
        let percents = percents(entries);
        let balancer = weigh(policy, &endpoints, &percents)?;
        let (now, version) = (Mutex::new((percents, balancer)), AtomicU64::new(0));
        Ok(Self { endpoints, now, version })
    }

    /// Returns the balancer.
    pub(crate) fn balancer(&self) -> Balancer {
        lock(&self.now).1.clone()
    }
}

impl UpstreamEntry {
    /// Makes the balancer anew, if agents asked for other weights, and tells the workers.
    pub(crate) fn reweigh(&self) {
        let Some(weighed) = &self.weighed else { return };
        let percents = percents(&self.endpoints);
        if lock(&weighed.now).0 == percents {
            return;
        }
        if let Ok(balancer) = weigh(&self.plan.balance, &weighed.endpoints, &percents) {
            *lock(&weighed.now) = (percents, balancer);
            weighed.version.fetch_add(1, Release);
            self.health.epoch.advance();
        }
    }

    /// Returns the balancer of the present weights and their version, if it is not `known`.
    pub(crate) fn weighed_since(&self, known: u64) -> Option<(u64, Balancer)> {
        let weighed = self.weighed.as_ref()?;
        let version = weighed.version.load(Acquire);
        (version != known).then(|| (version, weighed.balancer()))
    }
}

fn percents(entries: &[EndpointEntry]) -> Vec<u16> {
    let percent = |health: &EndpointHealth| health.agent.said().percent().max(1);
    entries.iter().map(|e| percent(&e.health)).collect()
}

/// Makes a balancer of weights times percent, which are hundredths: at 100 % a ring has the points
/// that are configured, and another weight moves only its own share of keys.
fn weigh(
    policy: &Balance,
    endpoints: &[Endpoint],
    percents: &[u16],
) -> Result<Balancer, Vec<Problem>> {
    let weighed = endpoints.iter().zip(percents).map(|(e, percent)| Endpoint {
        weight: e.weight.saturating_mul((*percent).into()),
        ..e.clone()
    });
    Balancer::in_parts(policy, &weighed.collect::<Vec<_>>(), 100)
}
