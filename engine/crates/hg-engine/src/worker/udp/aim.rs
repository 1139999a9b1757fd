//! The endpoint of a flow, and the socket to it.

use super::super::Worker;
use super::super::affinity::Wanted;
use super::super::claim::{Claim, Left, release_limits};
use super::super::exchange::TryTimes;
use super::super::upstreams::{EndpointState, GONE, NoPick, UpstreamState};
use super::KIND_FLOW;
use crate::counters::{Dropped, Ended};
use crate::snapshot::UdpEntry;
use hg_net::{Address, Fd, Offload, Token, Trouble};
use hg_policy::{KeySource, Tried};
use hg_relay::flows::FlowId;
use hg_resilience::Outcome;
use std::io;
use std::net::IpAddr;
use std::rc::Rc;

/// An endpoint that was picked for a flow, and what that takes of its upstream.
pub(super) struct Aim {
    /// Slot and id of the upstream.
    upstream: (usize, u64),
    pub(super) endpoint: Rc<EndpointState>,
    claim: Claim,
    times: TryTimes,
    /// The epoch of the upstream's health at which the endpoint was last looked at.
    epoch: u64,
    /// True if the endpoint is notified of the client.
    pub(super) tells: bool,
    /// True if the kernel was asked to join what the endpoint sends.
    is_joined: bool,
}

impl Aim {
    /// Returns the aim of a flow that had an endpoint before it came here. `times`: when it began and
    /// when it was answered, 0 = never.
    pub(super) fn new(
        upstream: (usize, u64),
        (endpoint, claim): (Rc<EndpointState>, Claim),
        (began_us, first_byte_us): (u64, u64),
        (epoch, tells): (u64, bool),
    ) -> Self {
        let times = TryTimes { began_us, first_byte_us, ..TryTimes::default() };
        Self { upstream, endpoint, claim, times, epoch, tells, is_joined: false }
    }

    /// Has the kernel join what the endpoint sends, once several datagrams came at once. Flows of a
    /// question and an answer do not pay the call.
    pub(super) fn expect_more(&mut self, up: &Fd, came: usize, offload: Offload) {
        if came > 1 && offload.receive && !self.is_joined {
            self.is_joined = true;
            // Without it each datagram comes alone.
            let _ = hg_net::receive_joined(up);
        }
    }

    /// Reports whether the endpoint has answered.
    pub(super) fn is_answered(&self) -> bool {
        self.times.first_byte_us > 0
    }
}

/// Reports whether the endpoints of an upstream are told of clients.
pub(super) fn tells(u: &UpstreamState) -> bool {
    u.entry.plan.pool.proxy_protocol.is_some()
}

/// Makes a socket to an endpoint: the first of its addresses that there is a way to.
fn connect(endpoint: &EndpointState) -> io::Result<Fd> {
    let n = endpoint.targets.len();
    let mut why = io::Error::from(io::ErrorKind::HostUnreachable);
    for at in (0..n).map(|i| (endpoint.preferred.get() + i) % n) {
        let Some(Address::Inet(address)) = endpoint.targets.get(at) else {
            continue;
        };
        match hg_net::connect_datagrams(*address) {
            Ok(fd) => {
                endpoint.preferred.set(at);
                return Ok(fd);
            }
            Err(e) => why = e,
        }
    }
    Err(why)
}

impl Worker {
    /// Picks an endpoint that was not tried.
    pub(super) fn aim(
        &mut self,
        route: &UdpEntry,
        client: IpAddr,
        tried: &Tried,
    ) -> Result<Aim, Dropped> {
        let slot = route.then.upstream;
        let found = self.upstreams.get_mut(slot);
        let u = found
            .filter(|u| u.entry.name == route.then.upstream_name)
            .ok_or(Dropped::NoUpstream)?;
        let by_client = matches!(u.entry.key, Some(KeySource::ClientIp));
        let key = by_client.then(|| hg_policy::hash_client(client.to_canonical()));
        let wanted = Wanted { key, ..Wanted::default() };
        // Before the pick: what changes meanwhile is looked at with the next datagram.
        let (epoch, tells) = (u.entry.health.epoch.get(), tells(u));
        match u.pick(tried, wanted, (self.now_us, &mut self.rng), &self.shared) {
            Ok((endpoint, claim)) => {
                let times = TryTimes { began_us: self.now_us, ..TryTimes::default() };
                let upstream = (slot, u.id);
                Ok(Aim { upstream, endpoint, claim, times, epoch, tells, is_joined: false })
            }
            Err(NoPick::Full) => Err(Dropped::UpstreamFull),
            Err(NoPick::Broken) => Err(Dropped::BreakerOpen),
            Err(NoPick::None) if !tried.is_empty() => Err(Dropped::Unreachable),
            Err(NoPick::None) if u.endpoints.iter().all(|e| e.targets.is_empty()) => {
                Err(Dropped::Unresolved)
            }
            Err(NoPick::None) => Err(Dropped::NoEndpoint),
        }
    }

    /// Makes a socket to the endpoint that was picked, or to another one that there is a way to.
    pub(super) fn connect_flow(
        &mut self,
        route: &UdpEntry,
        client: IpAddr,
        tried: &mut Tried,
        mut aim: Aim,
    ) -> Result<(Aim, Fd), Dropped> {
        loop {
            aim.endpoint.counters.connects.add(1);
            let error = match connect(&aim.endpoint) {
                Ok(fd) => return Ok((aim, fd)),
                Err(error) => error,
            };
            if !matches!(Trouble::of(&error), Trouble::Unreachable) {
                // No descriptor or no port is free: that is not the endpoint's fault.
                aim.endpoint.remember(&error.to_string());
                self.leave_aim(aim, Outcome::Cancelled);
                return Err(Dropped::NoSocket);
            }
            if !self.note_unreachable(aim, &error, tried) {
                return Err(Dropped::Unreachable);
            }
            aim = self.aim(route, client, tried)?;
        }
    }

    /// Takes a flow away from an endpoint that went out, so that its next datagram goes elsewhere: a
    /// client with no end of its flow would have nobody to talk to. One load if nothing has changed.
    pub(super) fn leave_bad_endpoint(&mut self, id: FlowId) {
        let Some(flow) = self.udp.flows.get_mut(id).filter(|flow| !flow.route.then.each) else {
            return;
        };
        let Some((aim, _)) = &mut flow.aim else {
            return;
        };
        let Some(u) = self.upstreams.same(aim.upstream.0, aim.upstream.1) else {
            return;
        };
        let epoch = u.entry.health.epoch.get();
        let at = aim.endpoint.slot.get();
        // What an endpoint has left that the plan lacks is the plan's matter.
        if std::mem::replace(&mut aim.epoch, epoch) == epoch || at == GONE || u.entry.keeps_flow(at)
        {
            return;
        }
        if let Some((aim, _)) = flow.aim.take() {
            self.leave_aim(aim, Outcome::Cancelled);
        }
    }

    /// Gives a flow whose endpoint was unreachable, or went out, another one. If none is left, each may be tried
    /// again with the next datagram.
    pub(super) fn aim_again(&mut self, id: FlowId) -> Result<(), Dropped> {
        let flow = self.udp.flows.get_mut(id).ok_or(Dropped::Unreachable)?;
        let (route, client) = (flow.route.clone(), flow.source.client.ip());
        let mut tried = flow.tried.take().unwrap_or_default();
        let aim = self.aim(&route, client, &tried)?;
        let (aim, fd) = self.connect_flow(&route, client, &mut tried, aim)?;
        if let Err(why) = self.watch_flow(id, &fd, &aim) {
            self.leave_aim(aim, Outcome::Cancelled);
            return Err(why);
        }
        aim.endpoint.counters.requests.add(1);
        if let Some(flow) = self.udp.flows.get_mut(id) {
            flow.endpoint = aim.endpoint.address.clone();
            flow.tried = Some(tried);
            flow.aim = Some((aim, fd));
        }
        self.tell_flow(id);
        Ok(())
    }

    /// Registers the socket of a flow.
    pub(super) fn watch_flow(&mut self, id: FlowId, fd: &Fd, aim: &Aim) -> Result<(), Dropped> {
        let token = Token::new(KIND_FLOW, id.generation, id.index);
        self.poller.add_listener(fd, token).map_err(|error| {
            aim.endpoint.remember(&error.to_string());
            Dropped::NoSocket
        })
    }

    /// Takes a flow away from an endpoint that ICMP says nobody is at.
    pub(super) fn lose_endpoint(&mut self, id: FlowId, error: &io::Error) {
        let Some(flow) = self.udp.flows.get_mut(id) else {
            return;
        };
        let Some((aim, _)) = flow.aim.take() else {
            return;
        };
        let is_bound = flow.route.then.each;
        let mut tried = flow.tried.take().unwrap_or_default();
        let has_room = self.note_unreachable(aim, error, &mut tried);
        if is_bound {
            return self.end_flow(id, Ended::Unreachable);
        }
        if let Some(flow) = self.udp.flows.get_mut(id).filter(|_| has_room) {
            flow.tried = Some(tried);
        }
    }

    /// Counts a failure of an endpoint. Reports whether it could be noted as tried.
    fn note_unreachable(&mut self, aim: Aim, error: &io::Error, tried: &mut Tried) -> bool {
        aim.endpoint.counters.connect_failures.add(1);
        aim.endpoint.failed(&error.to_string());
        let has_room = tried.insert(aim.endpoint.slot.get().min(u32::MAX as usize));
        self.leave_aim(aim, Outcome::Connect);
        has_room
    }

    /// Notes an answer: health and breakers learn of the first.
    pub(super) fn note_answer(&mut self, id: FlowId) {
        let now_us = self.now_us;
        let Some(flow) = self.udp.flows.get_mut(id) else {
            return;
        };
        flow.tried = None;
        let Some((aim, _)) = flow.aim.as_mut().filter(|(aim, _)| aim.times.first_byte_us == 0)
        else {
            return;
        };
        aim.times.first_byte_us = now_us;
        let admission = std::mem::take(&mut aim.claim.admission);
        let left = Left { outcome: Outcome::Ok, admission, times: aim.times, now_us };
        let (slot, upstream) = aim.upstream;
        if let Some(u) = self.upstreams.same(slot, upstream) {
            u.learn(&aim.endpoint, &left, &self.shared);
        }
    }

    /// Gives back what a flow holds of its upstream.
    pub(super) fn leave_aim(&mut self, aim: Aim, outcome: Outcome) {
        let Aim { upstream: (slot, upstream), endpoint, claim, times, .. } = aim;
        endpoint.counters.active.sub(1);
        if let Some(u) = self.upstreams.same(slot, upstream) {
            let left = Left { outcome, admission: claim.admission, times, now_us: self.now_us };
            if times.first_byte_us > 0 && outcome == Outcome::Cancelled {
                u.gone(&endpoint, &left);
            } else {
                u.left(&endpoint, &left, &self.shared);
            }
        }
        if let Some(entry) = claim.limits {
            release_limits(&entry, &endpoint.address);
        }
    }

    /// After a panic, gives back what flows hold of limits that all workers share.
    pub(in super::super) fn forget_flows(&mut self) {
        for id in self.udp.flows.ids().collect::<Vec<_>>() {
            self.shared.flows.ended();
            let flow = self.udp.flows.get_mut(id);
            if let Some((aim, _)) = flow.and_then(|flow| flow.aim.as_mut())
                && let Some(entry) = aim.claim.limits.take()
            {
                release_limits(&entry, &aim.endpoint.address);
            }
        }
    }
}

#[cfg(test)]
mod tests;
