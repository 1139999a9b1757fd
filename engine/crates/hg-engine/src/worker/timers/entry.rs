//! The wheel's entry for a deadline. The wheel is lazy: an entry does not move with its deadline. Pure.

use hg_net::Ticks;

/// The tick of the earliest entry that the wheel has for a deadline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry(pub(crate) Ticks);

/// The meaning of an entry that fires.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fired {
    /// An earlier one has taken its place.
    Stale,
    /// The deadline was moved after the entry was made, and needs another one.
    Early,
    /// The deadline has come.
    Due,
}

impl Entry {
    /// The wheel has none.
    pub(crate) const NONE: Self = Self(Ticks::MAX);

    /// Moves to an earlier deadline. Reports whether it did: the wheel then needs an entry for that.
    #[inline]
    pub(crate) fn moves_to(&mut self, deadline: Ticks) -> bool {
        let is_late = deadline < self.0;
        if is_late {
            self.0 = deadline;
        }
        is_late
    }

    /// Takes the entry of this tick out of the wheel.
    pub(crate) fn fires(&mut self, at: Ticks, deadline: Ticks, now: Ticks) -> Fired {
        if self.0 != at {
            return Fired::Stale;
        }
        *self = Self::NONE;
        if deadline > now { Fired::Early } else { Fired::Due }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_earlier_deadline_needs_an_entry_and_a_later_one_does_not() {
        let mut entry = Entry::NONE;
        assert!(!entry.moves_to(Ticks::MAX), "there is no deadline");
        assert!(entry.moves_to(10));
        assert!(!entry.moves_to(10) && !entry.moves_to(11));
        assert_eq!(entry, Entry(10));
        assert!(entry.moves_to(9));
        assert_eq!(entry, Entry(9));
    }

    #[test]
    fn the_earliest_entry_alone_says_whether_the_deadline_has_come() {
        for (at, deadline, now, expected, left) in [
            (9, 10, 10, Fired::Stale, Entry(10)),
            (11, 10, 12, Fired::Stale, Entry(10)),
            (10, 11, 10, Fired::Early, Entry::NONE),
            (10, 10, 10, Fired::Due, Entry::NONE),
            (10, 10, 15, Fired::Due, Entry::NONE),
        ] {
            let mut entry = Entry(10);
            assert_eq!(entry.fires(at, deadline, now), expected, "{at} {deadline} {now}");
            assert_eq!(entry, left);
        }
    }
}
