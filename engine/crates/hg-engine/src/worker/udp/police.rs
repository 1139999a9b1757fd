//! The policing of datagrams by the `bandwidth` of a route. Nothing is kept of a datagram: those
//! above the limit are dropped and counted, as a policer does it (RFC 2475 §2.3.3.4).

use super::super::Worker;
use super::Source;
use crate::snapshot::UdpEntry;
use hg_middleware::{Context, Pace, Paces};
use hg_policy::Random as _;

impl Worker {
    /// Returns how quickly the datagrams of a new flow may pass.
    pub(super) fn paces_of_flow(&mut self, source: &Source, route: &UdpEntry) -> Paces {
        let Some(limit) = &route.then.bandwidth else {
            return Paces::default();
        };
        let rng = &mut self.rng;
        let mut random = || rng.next_u64();
        let (now_us, unix_us, worker) = (self.now_us, hg_net::unix_micros, self.mailbox.index);
        let mut cx = Context { now_us, unix_us, random: &mut random, worker, accounts: None };
        limit.paces(source.client.ip(), &mut cx)
    }
}

/// Returns how many datagrams of these sizes may pass now, from the first one on. One that begins
/// within the limit passes whole, and the next ones wait for what it has taken.
pub(super) fn admitted(
    pace: &mut Option<Box<Pace>>,
    sizes: impl ExactSizeIterator<Item = usize>,
    now_us: u64,
) -> usize {
    let Some(pace) = pace else {
        return sizes.len();
    };
    let mut passed = 0;
    let within = |size: &usize| {
        let may = pace.allow(passed, now_us) > 0;
        passed += if may { *size as u64 } else { 0 };
        may
    };
    let count = sizes.take_while(within).count();
    pace.restart(passed);
    count
}
