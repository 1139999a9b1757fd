//! The order of sending (RFC 9218 §10): by urgency; within one, streams that are useful only as a
//! whole and incremental ones take turns.

use crate::priority::Priority;

/// Bytes of one turn of a stream that is useful only as a whole: enough to let small answers pass
/// a large one of the same urgency.
const WHOLE_TURN: usize = 64 * 1024;
/// Bytes of one turn of an incremental stream.
const PART_TURN: usize = 16 * 1024;
/// A turn with less left is over, so that no tiny frame ends it.
const LEAST: usize = 1024;
const NONE: u32 = u32::MAX;
/// Urgencies times two: the queue of whole streams, then that of incremental ones.
const QUEUES: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Queue {
    head: u32,
    tail: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    before: u32,
    after: u32,
    /// The queue that it stands in.
    queue: Option<u8>,
    /// Bytes sent in this turn.
    used: usize,
}

const UNLINKED: Link = Link { before: NONE, after: NONE, queue: None, used: 0 };

/// Streams that have something to send and a window for it, by slot.
#[derive(Debug)]
pub(crate) struct Sched {
    queues: [Queue; QUEUES],
    links: Vec<Link>,
    /// One bit per urgency: the incremental queue has the next turn.
    parts_next: u8,
}

impl Default for Sched {
    fn default() -> Self {
        let empty = Queue { head: NONE, tail: NONE };
        Self { queues: [empty; QUEUES], links: Vec::new(), parts_next: 0 }
    }
}

fn queue_of(priority: Priority) -> u8 {
    2 * priority.urgency.min(7) + u8::from(priority.incremental)
}

impl Sched {
    fn link(&mut self, slot: u32) -> Option<&mut Link> {
        self.links.get_mut(slot as usize)
    }

    /// Puts a stream at the end of its queue, if it stands in none.
    pub(crate) fn push(&mut self, slot: u32, priority: Priority) {
        if self.links.len() <= slot as usize {
            self.links.resize(slot as usize + 1, UNLINKED);
        }
        if self.link(slot).is_some_and(|link| link.queue.is_none()) {
            self.append(slot, queue_of(priority));
        }
    }

    fn append(&mut self, slot: u32, at: u8) {
        let Some(queue) = self.queues.get_mut(usize::from(at)) else { return };
        let before = std::mem::replace(&mut queue.tail, slot);
        if before == NONE {
            queue.head = slot;
        }
        if let Some(link) = self.link(before) {
            link.after = slot;
        }
        if let Some(link) = self.link(slot) {
            *link = Link { before, after: NONE, queue: Some(at), used: 0 };
        }
    }

    /// Takes a stream out.
    pub(crate) fn remove(&mut self, slot: u32) {
        let Some(link) = self.link(slot) else { return };
        let Link { before, after, queue, .. } = std::mem::replace(link, UNLINKED);
        let Some(at) = queue else { return };
        if let Some(link) = self.link(before) {
            link.after = after;
        }
        if let Some(link) = self.link(after) {
            link.before = before;
        }
        let Some(queue) = self.queues.get_mut(usize::from(at)) else { return };
        if queue.head == slot {
            queue.head = after;
        }
        if queue.tail == slot {
            queue.tail = before;
        }
    }

    /// Moves a stream to the queue of another priority.
    pub(crate) fn reorder(&mut self, slot: u32, priority: Priority) {
        if self.link(slot).is_some_and(|link| link.queue.is_some()) {
            self.remove(slot);
            self.append(slot, queue_of(priority));
        }
    }

    /// Returns the stream whose turn it is and the bytes left of its turn.
    pub(crate) fn front(&self) -> Option<(u32, usize)> {
        let (queues, _) = self.queues.as_chunks::<2>();
        for (urgency, [whole, parts]) in queues.iter().enumerate() {
            let parts_first = self.parts_next & (1 << urgency) != 0;
            let (first, second) = if parts_first { (parts, whole) } else { (whole, parts) };
            let slot = if first.head == NONE { second.head } else { first.head };
            if let Some(link) = self.links.get(slot as usize) {
                let turn = turn(link.queue.unwrap_or(0));
                return Some((slot, turn.saturating_sub(link.used).max(1)));
            }
        }
        None
    }

    /// Counts bytes that a stream sent and still has more; its turn ends when it is used up.
    pub(crate) fn used(&mut self, slot: u32, bytes: usize) {
        let Some(link) = self.link(slot) else { return };
        let Some(at) = link.queue else { return };
        link.used += bytes;
        if link.used + LEAST > turn(at) {
            self.end_turn(at);
            self.remove(slot);
            self.append(slot, at);
        }
    }

    /// Takes out a stream that has nothing more to send; its turn is over.
    pub(crate) fn finish(&mut self, slot: u32) {
        if let Some(at) = self.link(slot).and_then(|link| link.queue) {
            self.end_turn(at);
            self.remove(slot);
        }
    }

    /// Gives the next turn to the other queue of the urgency.
    fn end_turn(&mut self, at: u8) {
        let bit = 1 << (at / 2);
        if at.is_multiple_of(2) {
            self.parts_next |= bit;
        } else {
            self.parts_next &= !bit;
        }
    }
}

fn turn(at: u8) -> usize {
    if at.is_multiple_of(2) { WHOLE_TURN } else { PART_TURN }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn p(urgency: u8, incremental: bool) -> Priority {
        Priority { urgency, incremental }
    }

    /// Returns who sends, in pieces of 16 KiB.
    fn order(sched: &mut Sched, pieces: usize) -> Vec<u32> {
        let mut seen = Vec::new();
        for _ in 0..pieces {
            let Some((slot, bytes)) = sched.front() else { break };
            sched.used(slot, bytes.min(16 * 1024));
            seen.push(slot);
        }
        seen
    }

    #[test]
    fn urgent_streams_go_first() {
        let mut sched = Sched::default();
        sched.push(0, p(3, false));
        sched.push(1, p(0, true));
        sched.push(2, p(7, false));
        assert_eq!(order(&mut sched, 2), [1, 1]);
        sched.finish(1);
        assert_eq!(order(&mut sched, 2), [0, 0]);
        sched.finish(0);
        assert_eq!(order(&mut sched, 1), [2]);
        sched.reorder(2, p(0, false));
        sched.push(0, p(1, false));
        assert_eq!(order(&mut sched, 1), [2]);
        sched.finish(2);
        sched.finish(0);
        assert_eq!(sched.front(), None);
    }

    #[test]
    fn incremental_streams_share_and_whole_ones_have_longer_turns() {
        let mut sched = Sched::default();
        for slot in 0..3 {
            sched.push(slot, p(3, true));
        }
        assert_eq!(order(&mut sched, 7), [0, 1, 2, 0, 1, 2, 0]);
        let mut sched = Sched::default();
        sched.push(0, p(3, false));
        sched.push(1, p(3, false));
        sched.push(2, p(3, true));
        assert_eq!(order(&mut sched, 10), [0, 0, 0, 0, 2, 1, 1, 1, 1, 2]);
    }

    #[test]
    fn a_stream_leaves_from_any_place() {
        for gone in 0..3 {
            let mut sched = Sched::default();
            for slot in 0..3 {
                sched.push(slot, p(3, true));
                sched.push(slot, p(3, true));
            }
            sched.remove(gone);
            sched.remove(gone);
            let left: Vec<u32> = (0..3).filter(|slot| *slot != gone).collect();
            assert_eq!(order(&mut sched, 2), left);
        }
    }
}
