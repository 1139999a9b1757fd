//! A hierarchical timer wheel (Varghese & Lauck, SOSP'87), coarse and lazy: an entry never moves
//! and is never removed. Whoever owns the token keeps its deadline and the tick of its earliest
//! entry. When an entry fires, the owner checks the deadline, and inserts a new entry if the
//! deadline has moved. So a request that only pushes its deadline out costs the wheel nothing.

use crate::Ticks;

const BITS: u32 = 8;
const SLOTS: usize = 1 << BITS;
const LEVELS: usize = 4;

/// Timers by tick; holds only (token, tick).
#[derive(Debug)]
pub struct Wheel {
    slots: Vec<Vec<(u64, Ticks)>>,
    now: Ticks,
    len: usize,
}

impl Default for Wheel {
    fn default() -> Self {
        Self { slots: vec![Vec::new(); SLOTS * LEVELS], now: 0, len: 0 }
    }
}

impl Wheel {
    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Reports whether it has no entry.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Inserts an entry; one in the past fires at the next [`Wheel::advance`].
    pub fn insert(&mut self, token: u64, at: Ticks) {
        self.len += 1;
        self.place(token, at.max(self.now.saturating_add(1)), at);
    }

    fn place(&mut self, token: u64, due: Ticks, at: Ticks) {
        let distance = due ^ self.now;
        let level = distance.checked_ilog2().map_or(0, |bit| (bit / BITS) as usize);
        // An entry beyond the highest level is looked at once in each of its turns.
        let level = level.min(LEVELS - 1);
        let index = (due >> (BITS * level as u32)) as usize & (SLOTS - 1);
        if let Some(slot) = self.slots.get_mut(level * SLOTS + index) {
            slot.push((token, at));
        }
    }

    /// Advances time to `to` and appends every entry due by then to `fired`, as (token, its tick).
    pub fn advance(&mut self, to: Ticks, fired: &mut Vec<(u64, Ticks)>) {
        if self.len == 0 {
            self.now = self.now.max(to);
            return;
        }
        while self.now < to {
            self.now += 1;
            self.cascade(fired);
            let index = self.now as usize & (SLOTS - 1);
            if let Some(slot) = self.slots.get_mut(index) {
                self.len -= slot.len();
                fired.append(slot);
            }
            if self.len == 0 {
                self.now = to;
            }
        }
    }

    /// Spreads a level's slot over the levels below when its turn comes.
    fn cascade(&mut self, fired: &mut Vec<(u64, Ticks)>) {
        for level in (1..LEVELS).rev() {
            if self.now & ((1 << (BITS * level as u32)) - 1) != 0 {
                continue;
            }
            let index = (self.now >> (BITS * level as u32)) as usize & (SLOTS - 1);
            let Some(slot) = self.slots.get_mut(level * SLOTS + index) else {
                continue;
            };
            for (token, at) in std::mem::take(slot) {
                if at <= self.now {
                    self.len -= 1;
                    fired.push((token, at));
                } else {
                    self.place(token, at, at);
                }
            }
        }
    }

    /// Returns the ticks until something may be due: a lower bound, at most one turn of the lowest
    /// level; `None` if the wheel is empty.
    pub fn until_next(&self) -> Option<Ticks> {
        if self.len == 0 {
            return None;
        }
        let next = (1..=SLOTS as Ticks).find(|d| {
            let t = self.now.wrapping_add(*d);
            t as usize & (SLOTS - 1) == 0
                || self.slots.get(t as usize & (SLOTS - 1)).is_some_and(|s| !s.is_empty())
        });
        Some(next.unwrap_or(SLOTS as Ticks))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(wheel: &mut Wheel, to: Ticks) -> Vec<(u64, Ticks)> {
        let mut fired = Vec::new();
        wheel.advance(to, &mut fired);
        fired
    }

    #[test]
    fn every_entry_fires_once_at_its_tick_never_before() {
        let mut wheel = Wheel::default();
        let ticks =
            [1, 2, 255, 256, 257, 300, 511, 512, 65_535, 65_536, 70_000, 1_000_000, 20_000_000];
        for (i, t) in ticks.iter().enumerate() {
            wheel.insert(i as u64, *t);
        }
        for (i, t) in ticks.iter().enumerate() {
            assert!(run(&mut wheel, t - 1).is_empty(), "before {t}");
            assert_eq!(run(&mut wheel, *t), vec![(i as u64, *t)]);
        }
        assert!(wheel.is_empty());
    }

    #[test]
    fn an_entry_beyond_the_levels_is_kept_until_its_turn() {
        let turn: Ticks = 1 << 32;
        let mut wheel = Wheel { now: turn - 1000, ..Wheel::default() };
        wheel.insert(1, 2 * turn + 5);
        wheel.insert(2, turn + 5);
        assert!(run(&mut wheel, turn + 4).is_empty());
        assert_eq!(run(&mut wheel, turn + 5), vec![(2, turn + 5)]);
        assert!(run(&mut wheel, turn + 1000).is_empty());
        assert_eq!(wheel.len(), 1);
        wheel.now = 2 * turn - 1;
        assert!(run(&mut wheel, 2 * turn + 4).is_empty());
        assert_eq!(run(&mut wheel, 2 * turn + 5), vec![(1, 2 * turn + 5)]);
    }

    #[test]
    fn an_entry_in_the_past_fires_at_the_next_turn() {
        let mut wheel = Wheel::default();
        wheel.insert(7, 1_000_000);
        run(&mut wheel, 500);
        wheel.insert(1, 3);
        assert_eq!(run(&mut wheel, 501), vec![(1, 3)]);
    }

    #[test]
    fn the_hint_never_oversleeps() {
        let mut wheel = Wheel::default();
        wheel.insert(1, 1000);
        let mut now = 0;
        while !wheel.is_empty() {
            now += wheel.until_next().unwrap();
            let fired = run(&mut wheel, now);
            assert!(fired.is_empty() || now == 1000, "fired at {now}");
        }
    }
}
