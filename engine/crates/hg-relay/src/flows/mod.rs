//! Flows of datagrams: a bounded table of who sends to whom. Pure: it has no sockets, and callers
//! pass the time in.
//!
//! A flow is known by its [`FlowKey`] and named by a [`FlowId`], which finds nothing after its end.
//! Flows of one group share a bound and an order: the one that has been quiet for longest gives its
//! place to a newcomer, if it has been quiet for long enough.

mod held;
mod order;
#[cfg(test)]
mod tests;
mod told;
mod traffic;

pub use held::Held;
pub use told::{Said, ToldFlow};
pub use traffic::Traffic;

use order::{Links, NONE, Order};
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};

/// The properties that distinguish flows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowKey {
    /// The socket that its datagrams come to.
    pub socket: u32,
    /// The address that sends them.
    pub client: SocketAddr,
    /// The address that they come from, where a load balancer sends them and tells that.
    pub told: Option<SocketAddr>,
    /// The address that they are sent to, where the socket has several.
    pub local: Option<IpAddr>,
    /// The endpoint, if a client has a flow to each; else 0.
    pub endpoint: u64,
}

/// Names one flow; finds nothing after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct FlowId {
    /// Its place in the table.
    pub index: usize,
    /// The number of the flow among those that have had this place; 24 bits.
    pub generation: u32,
}

/// The answer to whether a group has a place for one more flow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Room {
    /// It has.
    Free,
    /// It has as soon as this flow has ended, which has been quiet for longest.
    After(FlowId),
    /// It has none: every flow is busy.
    Full,
}

struct Place<T> {
    generation: u32,
    flow: Option<Open<T>>,
}

struct Open<T> {
    key: FlowKey,
    group: usize,
    links: Links,
    value: T,
}

/// The flows of a worker.
pub struct Flows<T> {
    places: Vec<Place<T>>,
    free: Vec<u32>,
    /// With a random key of std: clients choose their ports, and may invent their addresses.
    by_key: HashMap<FlowKey, u32>,
    groups: Vec<Order>,
}

impl<T> Default for Flows<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new(), by_key: HashMap::new(), groups: Vec::new() }
    }
}

impl<T> Flows<T> {
    /// Returns how many flows are open.
    pub fn len(&self) -> usize {
        self.by_key.len()
    }

    /// Reports whether no flow is open.
    pub fn is_empty(&self) -> bool {
        self.by_key.is_empty()
    }

    /// Returns the flow of a key.
    pub fn find(&self, key: &FlowKey) -> Option<FlowId> {
        let at = *self.by_key.get(key)?;
        let place = self.places.get(at as usize)?;
        Some(FlowId { index: at as usize, generation: place.generation })
    }

    fn open(&self, id: FlowId) -> Option<&Open<T>> {
        let place = self.places.get(id.index).filter(|p| p.generation == id.generation)?;
        place.flow.as_ref()
    }

    /// Returns a flow.
    pub fn get(&self, id: FlowId) -> Option<&T> {
        self.open(id).map(|flow| &flow.value)
    }

    /// Returns a flow, to change it.
    pub fn get_mut(&mut self, id: FlowId) -> Option<&mut T> {
        let place = self.places.get_mut(id.index).filter(|p| p.generation == id.generation)?;
        place.flow.as_mut().map(|flow| &mut flow.value)
    }

    /// Returns the key of a flow.
    pub fn key(&self, id: FlowId) -> Option<&FlowKey> {
        self.open(id).map(|flow| &flow.key)
    }

    /// Returns the name of the flow that has a place now.
    pub fn at(&self, index: usize) -> Option<FlowId> {
        let place = self.places.get(index).filter(|p| p.flow.is_some())?;
        Some(FlowId { index, generation: place.generation })
    }

    /// Returns every flow.
    pub fn ids(&self) -> impl Iterator<Item = FlowId> {
        (0..self.places.len()).filter_map(|index| self.at(index))
    }

    /// Returns how many groups there are, with flows or without.
    pub fn groups(&self) -> usize {
        self.groups.len()
    }

    /// Returns the flow of a group that has been quiet for longest.
    pub fn oldest(&self, group: usize) -> Option<FlowId> {
        self.at(self.groups.get(group)?.oldest as usize)
    }

    /// Returns the flow of the same group that was seen next.
    pub fn newer(&self, id: FlowId) -> Option<FlowId> {
        self.at(self.open(id)?.links.newer as usize)
    }

    /// Says whether a group of at most `most` flows takes one more now. A flow that was seen after
    /// `quiet_since` keeps its place; without such a time every flow does.
    pub fn room(&self, group: usize, most: usize, quiet_since: Option<u64>) -> Room {
        if self.groups.get(group).is_none_or(|order| order.len < most.max(1)) {
            return Room::Free;
        }
        let is_quiet = |id: &FlowId| self.seen_at(*id) <= quiet_since;
        match self.oldest(group).filter(|id| quiet_since.is_some() && is_quiet(id)) {
            Some(id) => Room::After(id),
            None => Room::Full,
        }
    }

    /// Adds a flow that was seen at some time, which is not before that of its group's newest flow. A
    /// flow of the same key loses its key, not its place; callers look for it first.
    pub fn insert(&mut self, group: usize, key: FlowKey, seen_at: u64, value: T) -> FlowId {
        if self.groups.len() <= group {
            self.groups.resize_with(group + 1, Order::default);
        }
        let newest = self.groups.get(group).and_then(|order| self.at(order.newest as usize));
        let seen_at = seen_at.max(newest.and_then(|id| self.seen_at(id)).unwrap_or(0));
        let links = Links { seen_at, older: NONE, newer: NONE };
        let flow = Some(Open { key, group, links, value });
        let at = match self.free.pop() {
            Some(at) => at,
            None => {
                let at = u32::try_from(self.places.len()).unwrap_or(NONE);
                self.places.push(Place { generation: 0, flow: None });
                at
            }
        };
        let mut generation = 0;
        if let Some(place) = self.places.get_mut(at as usize) {
            place.generation = (place.generation + 1) & 0xff_ffff;
            generation = place.generation;
            place.flow = flow;
        }
        self.by_key.insert(key, at);
        self.join(at, group);
        FlowId { index: at as usize, generation }
    }

    /// Notes that a datagram passed now, so that the flow is the last to give its place.
    pub fn touch(&mut self, id: FlowId, now: u64) {
        let Some(flow) = self.open(id).filter(|flow| flow.links.seen_at < now) else {
            return;
        };
        let (group, at) = (flow.group, id.index as u32);
        self.part(at, group);
        if let Some(links) = self.links(at) {
            links.seen_at = now;
        }
        self.join(at, group);
    }

    /// Returns when a datagram last passed.
    pub fn seen_at(&self, id: FlowId) -> Option<u64> {
        self.open(id).map(|flow| flow.links.seen_at)
    }

    /// Ends a flow and returns it with its key.
    pub fn remove(&mut self, id: FlowId) -> Option<(FlowKey, T)> {
        let (group, at) = (self.open(id)?.group, id.index as u32);
        self.part(at, group);
        let flow = self.places.get_mut(id.index)?.flow.take()?;
        if self.by_key.get(&flow.key) == Some(&at) {
            self.by_key.remove(&flow.key);
        }
        self.free.push(at);
        Some((flow.key, flow.value))
    }
}
