//! The choice of the streams of a connection that may go to an upstream: a connection may have more
//! streams open than it may keep upstreams busy with. Pure; the clock is passed in.

use std::collections::VecDeque;

/// A stream, and the kind of place that it needs or has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Entry {
    stream: u32,
    /// A body that streams upstream.
    body: bool,
}

/// The answer to a stream that asks for a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// It may be dispatched now.
    Now,
    /// It waits; [`Places::next`] returns it later.
    Later,
}

/// The places of one connection. A place is given back when the upstream's work is gone, not when
/// the stream was cut off.
#[derive(Debug)]
pub struct Places {
    most: usize,
    most_bodies: usize,
    taken: Vec<Entry>,
    bodies: usize,
    /// Streams that wait, in the order in which they came, and until when they must.
    queue: VecDeque<(Entry, u64)>,
}

impl Places {
    /// Makes so many places, of which so many for streams with a body.
    pub fn new(most: usize, most_bodies: usize) -> Self {
        Self { most, most_bodies, taken: Vec::new(), bodies: 0, queue: VecDeque::new() }
    }

    /// Asks for a place. `wait_ms` is that of [`crate::Event::Head`]: so long the stream waits in any
    /// case.
    pub fn ask(&mut self, stream: u32, body: bool, wait_ms: u16, now_ms: u64) -> Place {
        let entry = Entry { stream, body };
        if wait_ms == 0 && self.queue.is_empty() && self.has_room(entry) {
            self.take(entry);
            return Place::Now;
        }
        self.queue.push_back((entry, now_ms.saturating_add(u64::from(wait_ms))));
        Place::Later
    }

    fn has_room(&self, entry: Entry) -> bool {
        self.taken.len() < self.most && (!entry.body || self.bodies < self.most_bodies)
    }

    fn take(&mut self, entry: Entry) {
        self.bodies += usize::from(entry.body);
        self.taken.push(entry);
    }

    /// Returns the next stream that waited and may be dispatched now; it has its place. A stream that
    /// must wait longer does not hold up those behind it.
    pub fn next(&mut self, now_ms: u64) -> Option<u32> {
        if self.taken.len() >= self.most {
            return None;
        }
        let ready = |(entry, until): &(Entry, u64)| *until <= now_ms && self.has_room(*entry);
        let at = self.queue.iter().position(ready)?;
        let (entry, _) = self.queue.remove(at)?;
        self.take(entry);
        Some(entry.stream)
    }

    /// Returns when a stream that waits for time alone may go on.
    pub fn deadline_ms(&self) -> Option<u64> {
        let room = |(entry, until): &(Entry, u64)| self.has_room(*entry).then_some(*until);
        self.queue.iter().filter_map(room).min()
    }

    /// Says that the body of a stream has gone upstream; its place of a body is free.
    pub fn body_ended(&mut self, stream: u32) {
        if let Some(entry) = self.taken.iter_mut().find(|e| e.stream == stream && e.body) {
            entry.body = false;
            self.bodies -= 1;
        }
    }

    /// Gives back the place of a stream, or its place in the queue.
    pub fn leave(&mut self, stream: u32) {
        if let Some(at) = self.taken.iter().position(|e| e.stream == stream) {
            self.bodies -= usize::from(self.taken.swap_remove(at).body);
        } else {
            self.queue.retain(|(entry, _)| entry.stream != stream);
        }
    }

    /// Returns the number of streams with a place.
    pub fn taken(&self) -> usize {
        self.taken.len()
    }

    /// Returns the number of streams that wait.
    pub fn waiting(&self) -> usize {
        self.queue.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn streams_wait_for_a_place_in_their_order() {
        let mut places = Places::new(2, 1);
        assert_eq!(places.ask(1, true, 0, 0), Place::Now);
        assert_eq!(places.ask(3, true, 0, 0), Place::Later);
        assert_eq!(places.ask(5, false, 0, 0), Place::Later, "not past one that waits");
        assert_eq!(places.next(0), Some(5), "but the body is no obstacle to it");
        assert_eq!(places.ask(7, false, 0, 0), Place::Later);
        assert_eq!((places.next(0), places.taken(), places.waiting()), (None, 2, 2));
        places.body_ended(1);
        assert_eq!(places.next(0), None);
        places.leave(5);
        assert_eq!((places.next(0), places.next(0)), (Some(3), None));
        places.leave(1);
        assert_eq!((places.next(0), places.taken()), (Some(7), 2));
    }

    #[test]
    fn a_stream_that_must_wait_waits_and_can_leave() {
        let mut places = Places::new(10, 10);
        assert_eq!(places.ask(1, false, 100, 1000), Place::Later);
        assert_eq!(places.ask(3, false, 0, 1010), Place::Later);
        assert_eq!(places.deadline_ms(), Some(1010));
        assert_eq!((places.next(1010), places.next(1010)), (Some(3), None));
        assert_eq!(places.deadline_ms(), Some(1100));
        assert_eq!((places.next(1099), places.next(1100)), (None, Some(1)));
        places.ask(5, true, 100, 1100);
        places.leave(5);
        assert_eq!((places.next(2000), places.deadline_ms(), places.waiting()), (None, None, 0));
    }

    proptest! {
        #[test]
        fn no_more_than_the_limits_are_ever_taken(steps in prop::collection::vec(
            (0_u8..5, 0_u32..40, any::<bool>()), 0..300))
        {
            let mut places = Places::new(10, 3);
            let (mut now, mut running) = (0, Vec::new());
            for (what, stream, body) in steps {
                now += 10;
                match what {
                    0 | 1 if !running.contains(&stream) => {
                        places.leave(stream);
                        if places.ask(stream, body, if body { 100 } else { 0 }, now) == Place::Now {
                            running.push(stream);
                        }
                    }
                    2 => places.body_ended(stream),
                    3 => {
                        places.leave(stream);
                        running.retain(|s| *s != stream);
                    }
                    _ => running.extend(places.next(now)),
                }
                prop_assert_eq!(places.taken(), running.len());
                prop_assert!(running.len() <= 10 && places.bodies <= 3);
            }
        }
    }
}
