//! The parts that all scenes share: clients, endpoints, events at set times, and the checks at the
//! end.

use crate::counters::WorkerCounters;
use crate::ledger::Ledger;
use crate::world::Actor;
use hg_middleware::ResultCount;
use hg_net::{Datagram, Remote, Rng, Weather};
use hg_plan::{Change, Kind};
use std::cell::RefCell;
use std::io;
use std::rc::Rc;

/// An object of the plan: its kind, its name and its text; `None` takes it out.
pub(crate) type Object = (Kind, &'static str, Option<String>);

/// Something that happens at a set time.
#[derive(Clone, Debug)]
pub(crate) enum Deed {
    /// The worker drains.
    Drain,
    /// A remote behaves so from now on.
    Remote(u16, Remote),
    /// A new plan: these objects change.
    Apply(Vec<Object>),
}

/// A run of a scene.
pub(crate) trait Play {
    fn seed(&self) -> u64;
    fn weather(&self) -> Weather;
    /// Returns all that is drawn, for whoever reads the trace.
    fn text(&self) -> String;
    /// Reports whether clients send datagrams.
    fn is_udp(&self) -> bool {
        false
    }
    /// Returns the first plan.
    fn objects(&self) -> Vec<Object>;
    /// Returns the ports of the endpoints.
    fn ports(&self) -> Vec<u16>;
    /// Returns times in microseconds, and what happens then.
    fn deeds(&self) -> &[(u64, Deed)];
    fn clients(&self) -> Vec<Box<dyn Actor>>;
    /// Returns who answers a connection of the worker; nobody if it should not have made it.
    fn endpoint(&self, port: u16, socket: usize) -> Option<Box<dyn Actor>>;
    /// Takes a datagram that has come to a client or an endpoint.
    ///
    /// # Errors
    /// Returns the fault of the datagram.
    fn datagram(&self, what: &Datagram) -> io::Result<()> {
        crate::ledger::wrong(format!("{} bytes came to {}", what.bytes.len(), what.to))
    }
    /// Returns the requests of HTTP; none in other scenes.
    fn ledger(&self) -> Rc<RefCell<Ledger>>;
    /// Reports whether a peer has not seen its end yet.
    fn is_open(&self) -> bool;
    /// Checks the counters of a worker that has left against what its peers have seen.
    ///
    /// # Errors
    /// Returns the counts that do not add up.
    fn check(&self, counters: &WorkerCounters) -> io::Result<()>;
    /// Checks what came of copies of requests, of which the worker counted so many.
    ///
    /// # Errors
    /// Returns the counts that do not add up.
    fn check_results(&self, _results: &[ResultCount], _requests: u64) -> io::Result<()> {
        Ok(())
    }
    /// Returns how much was asked for, and how much of it was served.
    fn totals(&self) -> (usize, usize);
}

/// Returns a change of the plan.
pub(crate) fn change((kind, name, text): &Object) -> Change {
    let bytes = text.as_ref().map(|text| text.as_bytes().to_vec());
    Change { kind: *kind, name: (*name).into(), bytes }
}

/// Draws how the network treats connections; in calm weather slowly, but it breaks nothing.
pub(crate) fn weather(rng: &mut Rng, calm: bool) -> Weather {
    let rough =
        |rng: &mut Rng, most: u64| if calm || rng.chance(500) { 0 } else { rng.below(most) };
    Weather {
        latency_us: rng.size(60_000) + 1,
        piece: rng.size(20_000) + 1,
        buffer: rng.size(300_000) + if rng.chance(100) { 64 } else { 4096 },
        short_writes: if rng.chance(500) { rng.below(300) } else { 0 },
        blocked_writes: if rng.chance(500) { rng.below(300) } else { 0 },
        resets: rough(rng, 400),
        no_descriptors: rough(rng, 60),
        lost: 0,
        late: if rng.chance(300) { rng.below(20) } else { 0 },
    }
}

/// Draws the times of a drain.
pub(crate) fn settings(rng: &mut Rng) -> String {
    format!(
        r#"{{"drain":{{"delay_ms":{},"idle_grace_ms":{},"deadline_ms":{}}}}}"#,
        rng.size(3_000),
        rng.size(3_000),
        rng.between(1, 60_000)
    )
}

/// Draws endpoints that are out of reach for a while.
pub(crate) fn remotes(rng: &mut Rng, ports: &[u16], deeds: &mut Vec<(u64, Deed)>) {
    for port in ports {
        let how = rng.pick(&[Remote::Refuses, Remote::Silent, Remote::Unreachable]);
        let Some(how) = how.filter(|_| rng.chance(400)) else { continue };
        let from = rng.size(10_000_000);
        deeds.push((from, Deed::Remote(*port, how)));
        deeds.push((from + rng.size(20_000_000), Deed::Remote(*port, Remote::Up)));
    }
}
