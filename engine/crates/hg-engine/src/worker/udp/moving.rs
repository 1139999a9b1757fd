//! Flows that leave this worker for one of the next process, and those that come.

use super::super::Worker;
use super::super::seen::STALE;
use super::super::upstreams::UpstreamState;
use super::aim::tells;
use super::header::{Origin, Told};
use super::{Aim, Flow, Socket, Source};
use crate::counters::Dropped;
use crate::hand_over::{GivenFlows, MovedFlow};
use crate::snapshot::UdpEntry;
use hg_net::{Clock, Ends, Ticks};
use hg_relay::flows::{FlowId, FlowKey, Said, ToldFlow};
use hg_resilience::Outcome;
use std::sync::mpsc;

/// The state that a flow gets here.
struct Place {
    key: FlowKey,
    source: Source,
    route: UdpEntry,
    aim: Aim,
}

impl Worker {
    /// Stops to read of clients and gives all flows away, which may come back.
    pub(in super::super) fn give_flows(&mut self, to: &mpsc::Sender<GivenFlows>) {
        self.udp.waits = true;
        self.refresh_datagram_sockets();
        self.forget_hellos(Dropped::Draining, |_| true);
        let mut flows = Vec::with_capacity(self.udp.flows.len());
        for group in 0..self.udp.flows.groups() {
            let mut next = self.udp.flows.oldest(group);
            while let Some(id) = next {
                next = self.udp.flows.newer(id);
                flows.extend(self.give_flow(id));
            }
        }
        let worker = self.mailbox.index;
        if let Err(mpsc::SendError(given)) = to.send(GivenFlows { worker, flows }) {
            // This worker came too late.
            self.take_back_flows(given.flows);
        }
    }

    /// Takes a flow out, unless it has no endpoint or is at its end anyway.
    fn give_flow(&mut self, id: FlowId) -> Option<MovedFlow> {
        let FlowKey { socket, told, .. } = *self.udp.flows.key(id)?;
        let seen_at = self.udp.flows.seen_at(id)?;
        let flow = self.udp.flows.get(id)?;
        if flow.aim.is_none() || flow.drained_at.is_some() {
            return None;
        }
        let socket = self.udp.sockets.get(socket as usize)?;
        let (address, socket) = (socket.address, socket.index);
        let mut flow = self.forget_flow(id)?;
        let (aim, fd) = flow.aim.take()?;
        // The other process has a duplicate: without this the registration would live on.
        let _ = self.poller.remove(&fd);
        let is_answered = aim.is_answered();
        self.leave_aim(aim, Outcome::Cancelled);
        let ends = flow.source.ends;
        let told = ToldFlow {
            address,
            socket,
            client: ends.client,
            local: ends.local,
            route: flow.route.name.to_string(),
            upstream: flow.route.then.upstream_name.to_string(),
            said: Said {
                sni: flow.sni.map(Into::into),
                told: told.map(|client| (client, flow.source.destination)),
                told_id: flow.told_id.into(),
            },
            endpoint: flow.endpoint.to_string(),
            traffic: flow.traffic,
            age_us: self.now_us.saturating_sub(flow.began_us),
            quiet_us: (self.now.saturating_sub(seen_at)).saturating_mul(Clock::TICK_MS * 1_000),
            is_answered,
        };
        Some(MovedFlow { told, fd })
    }

    /// Takes over flows; returns the places of those that have none here.
    pub(in super::super) fn take_flows(&mut self, flows: Vec<(usize, MovedFlow)>) -> Vec<usize> {
        let mut refused = Vec::new();
        for (at, flow) in flows {
            match self.take_flow(flow) {
                Some(_) => self.counters.udp.taken_over.add(1),
                None => refused.push(at),
            }
        }
        refused
    }

    /// Goes on with flows that nobody took, and with leaving.
    pub(in super::super) fn take_back_flows(&mut self, flows: Vec<MovedFlow>) {
        for flow in flows {
            self.take_flow(flow);
        }
        self.udp.waits = false;
        self.forget_datagram_sockets();
    }

    fn take_flow(&mut self, moved: MovedFlow) -> Option<FlowId> {
        let MovedFlow { told, fd } = moved;
        let Place { key, source, route, aim } = self.place_of(&told)?;
        let endpoint = aim.endpoint.address.clone();
        let quiet: Ticks = told.quiet_us / (Clock::TICK_MS * 1_000);
        let flow = Flow {
            endpoint,
            sni: told.said.sni.map(String::into_boxed_str),
            told_id: told.said.told_id.into(),
            traffic: told.traffic,
            began_us: self.now_us.saturating_sub(told.age_us),
            ..self.new_flow(source, route)
        };
        let id = self.start_flow(key, self.now.saturating_sub(quiet), flow);
        if self.watch_flow(id, &fd, &aim).is_err() {
            self.leave_aim(aim, Outcome::Cancelled);
            self.forget_flow(id);
            return None;
        }
        if let Some(flow) = self.udp.flows.get_mut(id) {
            flow.aim = Some((aim, fd));
        }
        self.tell_flow(id);
        Some(id)
    }

    /// Finds the socket, the route and the endpoint of a flow, by their names.
    fn place_of(&mut self, told: &ToldFlow) -> Option<Place> {
        if !self.shared.flows.has_room() {
            return None;
        }
        let ends = Ends { client: told.client, local: told.local };
        let is_its = |s: &Socket| (s.address, s.index) == (told.address, told.socket);
        let (socket, s) = self.udp.sockets.iter().find(|(_, s)| is_its(s))?;
        let passed = told.said.told.map(|(source, destination)| Told { source, destination });
        let origin = Origin { ends, told: passed };
        let source = s.source(&origin)?;
        let route = self.held.udp.named(source.listener, &told.route)?.clone();
        if *route.then.upstream_name != *told.upstream {
            return None;
        }
        let u = self.upstreams.get_mut(route.then.upstream);
        let u = u.filter(|u| u.entry.name == route.then.upstream_name)?;
        let aim = aim_at(u, route.then.upstream, told, self.now_us)?;
        let endpoint = if route.then.each { aim.endpoint.token.max(1) } else { 0 };
        let key = FlowKey { endpoint, ..origin.key(socket) };
        if self.udp.flows.find(&key).is_some() {
            self.leave_aim(aim, Outcome::Cancelled);
            return None;
        }
        Some(Place { key, source, route, aim })
    }
}

fn aim_at(u: &mut UpstreamState, slot: usize, told: &ToldFlow, now_us: u64) -> Option<Aim> {
    // The endpoint may have gone out before the flow came: its next datagram looks.
    let terms = (STALE, tells(u));
    let (endpoint, claim) = u.rejoin(&told.endpoint)?;
    let began_us = now_us.saturating_sub(told.age_us);
    let first_byte_us = if told.is_answered { now_us.max(1) } else { 0 };
    Some(Aim::new((slot, u.id), (endpoint, claim), (began_us, first_byte_us), terms))
}
