//! The order in which the flows of a group were last seen: a list through their places, so that a
//! datagram moves its flow to the end without an allocation.

use super::Flows;

/// No place.
pub(super) const NONE: u32 = u32::MAX;

/// The place of a flow in the order of its group.
pub(super) struct Links {
    pub(super) seen_at: u64,
    pub(super) older: u32,
    pub(super) newer: u32,
}

/// The two ends of the list of a group.
pub(super) struct Order {
    pub(super) oldest: u32,
    pub(super) newest: u32,
    pub(super) len: usize,
}

impl Default for Order {
    fn default() -> Self {
        Self { oldest: NONE, newest: NONE, len: 0 }
    }
}

impl<T> Flows<T> {
    pub(super) fn links(&mut self, at: u32) -> Option<&mut Links> {
        Some(&mut self.places.get_mut(at as usize)?.flow.as_mut()?.links)
    }

    /// Puts a flow at the end of its group.
    pub(super) fn join(&mut self, at: u32, group: usize) {
        let Some(order) = self.groups.get_mut(group) else {
            return;
        };
        let before = std::mem::replace(&mut order.newest, at);
        order.len += 1;
        if before == NONE {
            order.oldest = at;
        }
        if let Some(links) = self.links(at) {
            (links.older, links.newer) = (before, NONE);
        }
        if let Some(links) = self.links(before) {
            links.newer = at;
        }
    }

    /// Takes a flow out of its group.
    pub(super) fn part(&mut self, at: u32, group: usize) {
        let Some((older, newer)) = self.links(at).map(|links| (links.older, links.newer)) else {
            return;
        };
        match self.links(older) {
            Some(links) => links.newer = newer,
            None => self.groups.get_mut(group).into_iter().for_each(|o| o.oldest = newer),
        }
        match self.links(newer) {
            Some(links) => links.older = older,
            None => self.groups.get_mut(group).into_iter().for_each(|o| o.newest = older),
        }
        if let Some(order) = self.groups.get_mut(group) {
            order.len -= 1;
        }
    }
}
