//! From a client's first datagram to a flow.

use super::super::Worker;
use super::super::leave::Leaving;
use super::header::Origin;
use super::{Aim, Flow, Source};
use crate::counters::{Dropped, Ended};
use crate::snapshot::UdpEntry;
use hg_net::{Clock, Ticks};
use hg_policy::{Random, Tried};
use hg_relay::flows::{FlowId, FlowKey, Room, Traffic};
use hg_resilience::Outcome;

/// A flow that has been quiet for so long gives its place to a newcomer.
const QUIET_MS: u64 = 1_000;

impl Worker {
    /// Opens the flow of a datagram that has none, or finds it, where each datagram has an endpoint
    /// chosen for it. Reports in the second case that the flow takes only this datagram.
    pub(super) fn open_flow(
        &mut self,
        socket: usize,
        (origin, sni): (Origin, Option<Box<str>>),
    ) -> Result<(FlowId, bool), Dropped> {
        let source = self.udp.sockets.get(socket).and_then(|s| s.source(&origin));
        let source = source.ok_or(Dropped::NoRoute)?;
        let mut key = origin.key(socket);
        let client = source.client.ip();
        let route = self.held.udp.find(source.listener, client, sni.as_deref());
        let route = route.ok_or(Dropped::NoRoute)?.clone();
        let mut tried = Tried::new();
        let each = route.then.each;
        let aim = match (self.aim(&route, client, &tried), each) {
            (Err(why @ Dropped::UpstreamFull), true) => {
                return self.flow_to_any(&route, &mut key).map(|id| (id, true)).ok_or(why);
            }
            (aim, _) => aim?,
        };
        if each && let Some(id) = self.flow_to(&aim, &mut key) {
            self.leave_aim(aim, Outcome::Cancelled);
            return Ok((id, true));
        }
        if let Err(why) = self.room_for_flow(&source) {
            self.leave_aim(aim, Outcome::Cancelled);
            return Err(why);
        }
        let (aim, fd) = self.connect_flow(&route, client, &mut tried, aim)?;
        // It may be another endpoint now, which the client has a flow to.
        if each && let Some(id) = self.flow_to(&aim, &mut key) {
            self.leave_aim(aim, Outcome::Cancelled);
            return Ok((id, true));
        }
        let endpoint = aim.endpoint.clone();
        let flow = self.new_flow(source, route);
        flow.source.counters.accepted.add(1);
        let flow = Flow { endpoint: endpoint.address.clone(), sni, ..flow };
        let id = self.start_flow(key, self.now, flow);
        if let Err(why) = self.watch_flow(id, &fd, &aim) {
            self.leave_aim(aim, Outcome::Cancelled);
            self.end_flow(id, Ended::Unreachable);
            return Err(why);
        }
        endpoint.counters.requests.add(1);
        if let Some(flow) = self.udp.flows.get_mut(id) {
            flow.aim = Some((aim, fd));
        }
        self.tell_flow(id);
        Ok((id, each))
    }

    /// Completes the key of a flow where a client has one to each endpoint, and finds the one to this
    /// endpoint.
    fn flow_to(&self, aim: &Aim, key: &mut FlowKey) -> Option<FlowId> {
        // 0 stands for a flow to any endpoint.
        key.endpoint = aim.endpoint.token.max(1);
        self.udp.flows.find(key)
    }

    /// Finds a client's flow to any endpoint that takes datagrams, which needs no new place; each time
    /// to another one.
    fn flow_to_any(&mut self, route: &UdpEntry, key: &mut FlowKey) -> Option<FlowId> {
        let u = self.upstreams.get_mut(route.then.upstream)?;
        let count = u.endpoints.len();
        let first = usize::try_from(self.rng.below(count.max(1) as u64)).unwrap_or_default();
        (first..count).chain(0..first).filter(|at| u.seen.takes(*at)).find_map(|at| {
            key.endpoint = u.endpoints.get(at)?.token.max(1);
            self.udp.flows.find(key)
        })
    }

    /// Makes room for one more flow of a listener.
    fn room_for_flow(&mut self, source: &Source) -> Result<(), Dropped> {
        if matches!(self.leaving, Leaving::Closing { .. }) {
            return Err(Dropped::Draining);
        }
        let slot = usize::from(source.listener);
        let entry = self.held.listeners.get(slot).and_then(Option::as_ref);
        let most = entry.map_or(0, |l| l.plan.flows.div_ceil(self.shared.workers));
        let quiet_since = self.now.checked_sub(QUIET_MS / Clock::TICK_MS);
        let has_room = self.shared.flows.has_room();
        let most = if has_room { most } else { 0 };
        match self.udp.flows.room(slot, most as usize, quiet_since) {
            Room::Free if has_room => Ok(()),
            Room::After(oldest) => {
                self.end_flow(oldest, Ended::Evicted);
                Ok(())
            }
            Room::Free | Room::Full => Err(Dropped::FlowsFull),
        }
    }

    pub(super) fn new_flow(&mut self, source: Source, route: UdpEntry) -> Flow {
        let paces = self.paces_of_flow(&source, &route);
        Flow {
            source,
            route,
            aim: None,
            endpoint: "".into(),
            sni: None,
            header: Box::default(),
            told_id: Box::default(),
            tried: None,
            paces,
            traffic: Traffic::default(),
            began_us: self.now_us,
            drained_at: None,
        }
    }

    /// Puts a flow into the table and into the counts.
    pub(super) fn start_flow(&mut self, key: FlowKey, seen_at: Ticks, flow: Flow) -> FlowId {
        self.counters.udp.flows.opened();
        self.shared.flows.opened();
        flow.source.counters.connections.add(1);
        let group = usize::from(flow.source.listener);
        self.udp.flows.insert(group, key, seen_at, flow)
    }
}

#[cfg(test)]
mod tests;
