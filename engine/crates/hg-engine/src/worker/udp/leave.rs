//! Flows that are idle, that the plan has no place for any more, and those at the end of the
//! process.

use super::super::Worker;
use super::super::accept::deadline_after;
use super::super::leave::Leaving;
use super::super::upstreams::GONE;
use super::Flow;
use crate::counters::Ended;
use crate::report::EventLevel;
use crate::snapshot::Snapshot;
use hg_net::{Clock, Ticks};
use hg_relay::flows::FlowId;

/// The effect of a new plan on a flow.
enum Fate {
    Stays(crate::snapshot::UdpEntry),
    /// It ends with the time to drain.
    Drains,
    Ends,
}

fn fate(flow: &Flow, plan: &Snapshot) -> Fate {
    let source = &flow.source;
    let listener = plan.listeners.get(usize::from(source.listener)).and_then(Option::as_ref);
    if !listener.is_some_and(|l| l.name == source.listener_name && l.is_udp()) {
        return Fate::Ends;
    }
    let is_gone = flow.aim.as_ref().is_some_and(|(aim, _)| aim.endpoint.slot.get() == GONE);
    let now = plan.udp.find(source.listener, source.client.ip(), flow.sni.as_deref());
    let before = &flow.route;
    match now.filter(|now| now.name == before.name && !is_gone) {
        Some(now)
            if now.then.upstream_name == before.then.upstream_name
                && now.then.each == before.then.each =>
        {
            Fate::Stays(now.clone())
        }
        _ => Fate::Drains,
    }
}

impl Worker {
    /// Brings flows in line with the plan served now. Those whose route and endpoint are still
    /// there go on, with the route's new terms.
    pub(in super::super) fn settle_flows(&mut self) {
        let until = deadline_after(self.now_us, self.held.settings.drain.deadline_ms.max(1));
        for id in self.udp.flows.ids().collect::<Vec<_>>() {
            let Some(flow) = self.udp.flows.get_mut(id) else {
                continue;
            };
            match fate(flow, &self.held) {
                Fate::Stays(route) => (flow.route, flow.drained_at) = (route, None),
                Fate::Drains => {
                    flow.drained_at.get_or_insert(until);
                    let first = self.udp.drain_at.map_or(until, |at| at.min(until));
                    self.udp.drain_at = Some(first);
                }
                Fate::Ends => self.end_flow(id, Ended::RouteRemoved),
            }
        }
    }

    /// Ends flows whose time is over; called a few times a second.
    pub(in super::super) fn sweep_flows(&mut self) {
        self.sweep_hellos();
        if self.udp.flows.is_empty() {
            return;
        }
        if self.udp.drain_at.is_some_and(|at| at <= self.now) {
            self.end_drained();
        }
        let mut ending = std::mem::take(&mut self.udp.ending);
        let grace = match self.leaving {
            Leaving::Closing { .. } => Some(self.held.settings.drain.idle_grace_ms.max(1)),
            _ => None,
        };
        self.find_idle(grace, &mut ending);
        let why = if grace.is_some() { Ended::Drained } else { Ended::Idle };
        for id in ending.drain(..) {
            self.end_flow(id, why);
        }
        self.udp.ending = ending;
    }

    /// Finds flows that have been quiet for as long as their routes allow, or for `grace`. Each
    /// group is in the order of the last datagram, so that only quiet flows are looked at; those of
    /// routes with more patience are passed over.
    fn find_idle(&self, grace: Option<u64>, ending: &mut Vec<FlowId>) {
        let (flows, now) = (&self.udp.flows, self.now);
        let patience = |flow: &Flow| -> Ticks {
            let ms = flow.route.then.idle_ms;
            grace.map_or(ms, |grace| grace.min(ms)).div_ceil(Clock::TICK_MS)
        };
        let rules = self.held.udp.shortest_idle_ms();
        let shortest = grace.map_or(rules, |grace| grace.min(rules)).div_ceil(Clock::TICK_MS);
        for group in 0..flows.groups() {
            let mut next = flows.oldest(group);
            while let Some(id) = next {
                let quiet = now.saturating_sub(flows.seen_at(id).unwrap_or(now));
                if quiet < shortest {
                    break;
                }
                if flows.get(id).is_some_and(|flow| quiet >= patience(flow)) {
                    ending.push(id);
                }
                next = flows.newer(id);
            }
        }
    }

    fn end_drained(&mut self) {
        let now = self.now;
        self.end_flows(Ended::RouteRemoved, |flow| flow.drained_at.is_some_and(|at| at <= now));
        let flows = &self.udp.flows;
        let left = flows.ids().filter_map(|id| flows.get(id)?.drained_at);
        self.udp.drain_at = left.min();
    }

    /// Ends every flow: the time to drain is over.
    pub(in super::super) fn cut_flows(&mut self) {
        let count = self.udp.flows.len();
        if count == 0 {
            return;
        }
        let text = format!("{count} UDP flows were cut at the deadline of the drain");
        self.shared.event(EventLevel::Warn, "drain.cut", text);
        self.end_flows(Ended::DrainDeadline, |_| true);
    }
}
