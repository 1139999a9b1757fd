//! The streams that are open or whose work is not gone, by id.

use crate::flow::{RecvWindow, SendWindow};
use crate::priority::Priority;
use std::collections::VecDeque;

/// The least number of streams that are remembered after we cut them off, and the number of those
/// that a connection without a stream remembers.
const RECENT: usize = 64;
/// Slots of the map at the start; a power of two.
const FIRST_MAP: usize = 16;

/// The next part in one direction of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Head,
    Body,
    /// The rest is read and dropped; only received.
    Discard,
    Ended,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Stream {
    pub id: u32,
    pub recv: Half,
    pub send: Half,
    /// It was reset by one side; its slot counts until the owner releases it.
    pub gone: bool,
    /// The peer reset it, so it must send nothing more on it.
    pub cut_by_peer: bool,
    pub send_window: SendWindow,
    pub recv_window: RecvWindow,
    /// The rest of the declared length of the body that comes.
    pub left: Option<u64>,
    /// The message that comes cannot have a body.
    pub bodiless: bool,
    /// Interim responses that came.
    pub interims: u8,
    pub priority: Priority,
    /// The owner has body bytes to send.
    pub wants: bool,
}

/// Streams in slots that are used again; ids are found by open addressing.
#[derive(Debug, Default)]
pub(crate) struct Streams {
    slots: Vec<Stream>,
    free: Vec<u32>,
    /// Slot number plus one; 0 is empty.
    map: Vec<u32>,
    live: usize,
    /// Ids of streams that we cut off and that may still get frames on their way.
    recent: VecDeque<u32>,
    /// So many of them are remembered.
    most_recent: usize,
    /// Priorities of streams that are not open yet.
    early: Vec<(u32, Priority)>,
}

impl Streams {
    /// Begins for a peer that may have so many streams open; 0 if it opens none.
    pub(crate) fn new(most: u32) -> Self {
        let most_recent = if most == 0 { 0 } else { RECENT.max(most as usize) };
        Self { most_recent, ..Self::default() }
    }

    /// Gives back the memory of streams while none is open; what was said about others is kept.
    pub(crate) fn rest(&mut self) {
        let (recent, early) = (std::mem::take(&mut self.recent), std::mem::take(&mut self.early));
        *self = Self { recent, early, most_recent: self.most_recent, ..Self::default() };
        self.recent.drain(..self.recent.len().saturating_sub(RECENT));
        self.recent.shrink_to_fit();
        self.early.shrink_to_fit();
    }

    pub(crate) fn len(&self) -> usize {
        self.live
    }

    fn home(&self, id: u32) -> usize {
        (id >> 1) as usize & self.map.len().wrapping_sub(1)
    }

    fn id_at(&self, place: usize) -> Option<u32> {
        let slot = self.map.get(place)?.checked_sub(1)?;
        self.slots.get(slot as usize).map(|stream| stream.id)
    }

    /// Returns the place in the map that holds the id.
    fn place(&self, id: u32) -> Option<usize> {
        let mut place = self.home(id);
        loop {
            if self.id_at(place)? == id {
                return Some(place);
            }
            place = (place + 1) & (self.map.len() - 1);
        }
    }

    /// Returns the slot of a stream.
    #[inline]
    pub(crate) fn slot(&self, id: u32) -> Option<u32> {
        self.map.get(self.place(id)?)?.checked_sub(1)
    }

    pub(crate) fn get(&self, id: u32) -> Option<&Stream> {
        self.slots.get(self.slot(id)? as usize)
    }

    pub(crate) fn get_mut(&mut self, id: u32) -> Option<&mut Stream> {
        let slot = self.slot(id)?;
        self.slots.get_mut(slot as usize)
    }

    pub(crate) fn at_mut(&mut self, slot: u32) -> Option<&mut Stream> {
        self.slots.get_mut(slot as usize)
    }

    /// Calls `f` with every stream and its slot.
    pub(crate) fn each(&mut self, mut f: impl FnMut(u32, &mut Stream)) {
        for at in 0..self.map.len() {
            if let Some(slot) = self.map.get(at).and_then(|slot| slot.checked_sub(1))
                && let Some(stream) = self.slots.get_mut(slot as usize)
            {
                f(slot, stream);
            }
        }
    }

    /// Adds a stream that is not there.
    pub(crate) fn insert(&mut self, stream: Stream) {
        if 2 * (self.live + 1) > self.map.len() {
            self.grow();
        }
        let slot = match self.free.pop() {
            Some(slot) => slot,
            None => {
                self.slots.push(stream);
                self.slots.len() as u32 - 1
            }
        };
        if let Some(place) = self.slots.get_mut(slot as usize) {
            *place = stream;
        }
        self.live += 1;
        self.link(stream.id, slot);
    }

    fn link(&mut self, id: u32, slot: u32) {
        let mut place = self.home(id);
        while self.id_at(place).is_some() {
            place = (place + 1) & (self.map.len() - 1);
        }
        if let Some(entry) = self.map.get_mut(place) {
            *entry = slot + 1;
        }
    }

    fn grow(&mut self) {
        let old = std::mem::take(&mut self.map);
        self.map.resize((2 * old.len()).max(FIRST_MAP), 0);
        for slot in old.into_iter().filter_map(|slot| slot.checked_sub(1)) {
            if let Some(id) = self.slots.get(slot as usize).map(|stream| stream.id) {
                self.link(id, slot);
            }
        }
    }

    /// Removes a stream; entries behind it move up, so that no search meets a gap.
    pub(crate) fn remove(&mut self, id: u32) -> Option<Stream> {
        let mut gap = self.place(id)?;
        let slot = self.map.get(gap)?.checked_sub(1)?;
        let mask = self.map.len() - 1;
        let mut place = gap;
        loop {
            place = (place + 1) & mask;
            let Some(next) = self.id_at(place) else { break };
            // An entry may move to the gap if its home is not between the gap and itself.
            if (place.wrapping_sub(self.home(next)) & mask) >= (place.wrapping_sub(gap) & mask) {
                let moved = self.map.get(place).copied().unwrap_or(0);
                if let Some(entry) = self.map.get_mut(gap) {
                    *entry = moved;
                }
                gap = place;
            }
        }
        if let Some(entry) = self.map.get_mut(gap) {
            *entry = 0;
        }
        self.live -= 1;
        self.free.push(slot);
        self.slots.get(slot as usize).copied()
    }

    /// Remembers a stream that we cut off, in place of the oldest such.
    pub(crate) fn remember(&mut self, id: u32) {
        if self.recent.len() == self.most_recent && self.recent.pop_front().is_none() {
            return;
        }
        self.recent.push_back(id);
    }

    /// Forgets that we cut a stream off: its peer has done so, too, and may send nothing more on it.
    pub(crate) fn forget_recent(&mut self, id: u32) {
        self.recent.retain(|recent| *recent != id);
    }

    pub(crate) fn is_recent(&self, id: u32) -> bool {
        self.recent.contains(&id)
    }

    /// Keeps the priority of a stream that is not open yet; at most `most` such.
    pub(crate) fn keep_priority(&mut self, id: u32, priority: Priority, most: usize) {
        let room = self.early.len() < most;
        match self.early.iter_mut().find(|(early, _)| *early == id) {
            Some(entry) => entry.1 = priority,
            None if room => self.early.push((id, priority)),
            None => {}
        }
    }

    /// Takes the priority that came before the stream, and drops those of streams before it.
    pub(crate) fn take_priority(&mut self, id: u32) -> Option<Priority> {
        if self.early.is_empty() {
            return None;
        }
        let found = self.early.iter().find(|(early, _)| *early == id).map(|(_, p)| *p);
        self.early.retain(|(early, _)| *early > id);
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeSet;

    pub(super) fn stream(id: u32) -> Stream {
        Stream {
            id,
            recv: Half::Head,
            send: Half::Head,
            gone: false,
            cut_by_peer: false,
            send_window: SendWindow::new(0),
            recv_window: RecvWindow::new(0),
            left: None,
            bodiless: false,
            interims: 0,
            priority: Priority::default(),
            wants: false,
        }
    }

    proptest! {
        #[test]
        fn it_holds_what_a_set_would(ids in prop::collection::vec(0_u32..200, 0..600)) {
            let (mut streams, mut set) = (Streams::default(), BTreeSet::new());
            for id in ids {
                if set.remove(&id) {
                    prop_assert_eq!(streams.remove(id).map(|s| s.id), Some(id));
                } else {
                    set.insert(id);
                    streams.insert(stream(id));
                }
                prop_assert_eq!(streams.len(), set.len());
                for id in 0..200 {
                    prop_assert_eq!(streams.get(id).is_some(), set.contains(&id));
                }
            }
            let mut seen = BTreeSet::new();
            streams.each(|_, stream| { seen.insert(stream.id); });
            prop_assert_eq!(seen, set);
        }
    }

    #[test]
    fn early_priorities_are_bounded_and_taken_once() {
        let mut streams = Streams::default();
        let urgency = |urgency| Priority { urgency, incremental: false };
        streams.keep_priority(5, urgency(1), 2);
        streams.keep_priority(5, urgency(2), 2);
        streams.keep_priority(7, urgency(4), 2);
        streams.keep_priority(9, urgency(5), 2);
        assert_eq!(streams.take_priority(5), Some(urgency(2)));
        assert_eq!((streams.take_priority(5), streams.take_priority(9)), (None, None));
        assert_eq!(streams.take_priority(7), None, "older than the stream that was opened");
    }
}
