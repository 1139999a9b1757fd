//! The place of each datagram of a batch: the kernel may put several in one room. Arithmetic only.

use super::ROOM;
use std::ops::Range;

/// One datagram.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Place {
    room: u16,
    /// Its first byte in the room, and how many it has. A room has fewer bytes than fit here.
    from: u16,
    size: u16,
}

/// The datagrams of a batch in their order. A room has as many as the kernel joins, which are at most
/// 128 now, so that the table of a full batch takes 24 KiB.
#[derive(Default)]
pub(super) struct Table(Vec<Place>);

impl Table {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Forgets all but the first of them.
    pub(super) fn truncate(&mut self, len: usize) {
        self.0.truncate(len);
    }

    /// Adds what came into a room: a datagram, or several of `segment` bytes, of which the last may
    /// have fewer. Returns how many.
    pub(super) fn add(&mut self, room: usize, size: usize, segment: Option<usize>) -> usize {
        let short = |n: usize| u16::try_from(n).unwrap_or(u16::MAX);
        let step = segment.filter(|n| *n > 0).unwrap_or(ROOM);
        let before = self.0.len();
        let mut from = 0;
        loop {
            let len = step.min(size - from);
            self.0.push(Place { room: short(room), from: short(from), size: short(len) });
            from += len;
            if from >= size {
                return self.0.len() - before;
            }
        }
    }

    /// Returns the size of a datagram; 0 of one that is not there.
    pub(super) fn size(&self, at: usize) -> usize {
        self.0.get(at).map_or(0, |d| usize::from(d.size))
    }

    /// Returns the room of a datagram.
    pub(super) fn room(&self, at: usize) -> Option<usize> {
        self.0.get(at).map(|d| usize::from(d.room))
    }

    /// Returns the rooms and the sizes of some datagrams.
    pub(super) fn of(&self, range: Range<usize>) -> impl Iterator<Item = (usize, usize)> {
        let some = self.0.get(range).unwrap_or_default();
        some.iter().map(|d| (usize::from(d.room), usize::from(d.size)))
    }

    /// Returns where the bytes of some datagrams lie, in as few parts as there are rooms.
    pub(super) fn parts(&self, range: Range<usize>) -> impl Iterator<Item = Range<usize>> {
        let some = self.0.get(range).unwrap_or_default();
        some.chunk_by(|a, b| a.room == b.room).filter_map(|same| {
            let (first, last) = (same.first()?, same.last()?);
            let room = usize::from(first.room) * ROOM;
            let end = usize::from(last.from) + usize::from(last.size);
            Some(room + usize::from(first.from)..room + end)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_room_is_divided_and_an_empty_datagram_is_one() {
        let mut table = Table::default();
        assert_eq!(table.add(0, 0, None), 1);
        assert_eq!(table.add(1, 10, Some(4)), 3);
        assert_eq!(table.add(2, 8, Some(4)), 2);
        assert_eq!(table.add(3, 8, Some(0)), 1);
        assert_eq!(table.add(4, 0, Some(4)), 1);
        let all: Vec<_> = table.of(0..table.len()).collect();
        let expected = [(0, 0), (1, 4), (1, 4), (1, 2), (2, 4), (2, 4), (3, 8), (4, 0)];
        assert_eq!(all, expected);
        let parts: Vec<_> = table.parts(2..5).collect();
        assert_eq!(parts, [ROOM + 4..ROOM + 10, 2 * ROOM..2 * ROOM + 4]);
        assert!(table.parts(0..1).eq(std::iter::once(0..0)));
        table.truncate(2);
        assert_eq!((table.len(), table.size(1), table.size(2)), (2, 4, 0));
        table.clear();
        assert_eq!((table.len(), table.size(0), table.room(0)), (0, 0, None));
    }

    proptest! {
        /// Bytes that are divided and joined again, in any stretches, are the same bytes in order.
        #[test]
        fn no_byte_is_lost_or_passed_twice(
            rooms in prop::collection::vec((0usize..=65_535, prop::option::of(0usize..3_000)), 0..8),
            stretch in 1usize..100,
        ) {
            let mut table = Table::default();
            for (room, (size, segment)) in rooms.iter().enumerate() {
                let before = table.len();
                let count = table.add(room, *size, *segment);
                prop_assert_eq!(table.len(), before + count);
                let each = segment.filter(|n| *n > 0).unwrap_or(ROOM);
                prop_assert_eq!(count, size.div_ceil(each).max(1));
                prop_assert!((before..table.len() - 1).all(|at| table.size(at) == each));
                prop_assert!(table.size(table.len() - 1) <= each);
            }
            let mut seen = vec![0; rooms.len()];
            let mut at = 0;
            while at < table.len() {
                let end = table.len().min(at + stretch);
                for part in table.parts(at..end) {
                    let room = part.start / ROOM;
                    prop_assert_eq!(part.start % ROOM, seen[room]);
                    seen[room] += part.len();
                }
                at = end;
            }
            let sizes: Vec<usize> = rooms.iter().map(|(size, _)| *size).collect();
            prop_assert_eq!(seen, sizes);
        }
    }
}
