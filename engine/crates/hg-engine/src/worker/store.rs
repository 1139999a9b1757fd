//! Values with ids that go stale: a slot may serve another value later, its old id finds nothing.

use hg_net::Token;
use slab::Slab;

/// Number of boxes kept for the next values.
const SPARE: usize = 1024;

/// Bits of a value's number that a token keeps.
const TOKEN_BITS: u32 = 0xff_ffff;

/// Names one value of a [`Store`], also after its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Id {
    index: usize,
    /// Counts the values of the store; returns to 0 after 2³² of them.
    number: u32,
}

impl Id {
    /// Returns the token of timers that concern the value.
    pub(crate) fn token(self, kind: u8) -> Token {
        Token::new(kind, self.number, self.index)
    }
}

/// A value that a [`Store`] uses again once it has ended.
pub(crate) trait Recycle: Default {
    /// Resets it to the state of a new one; may keep what it allocated, up to a bound.
    fn recycle(&mut self);
}

/// Boxed values by id. A steady number of values allocates nothing.
pub(crate) struct Store<T> {
    slots: Slab<(u32, Box<T>)>,
    spare: Vec<Box<T>>,
    last: u32,
}

impl<T> Default for Store<T> {
    fn default() -> Self {
        Self { slots: Slab::new(), spare: Vec::new(), last: 0 }
    }
}

impl<T: Recycle> Store<T> {
    /// Opens a value in its initial state.
    pub(crate) fn open(&mut self) -> Id {
        let value = self.spare.pop().unwrap_or_default();
        self.last = self.last.wrapping_add(1);
        Id { index: self.slots.insert((self.last, value)), number: self.last }
    }

    pub(crate) fn get(&self, id: Id) -> Option<&T> {
        let (number, value) = self.slots.get(id.index)?;
        (*number == id.number).then_some(value)
    }

    pub(crate) fn get_mut(&mut self, id: Id) -> Option<&mut T> {
        let (number, value) = self.slots.get_mut(id.index)?;
        (*number == id.number).then_some(value)
    }

    /// Returns two values, which are not the same.
    pub(crate) fn get_two(&mut self, first: Id, second: Id) -> Option<[&mut T; 2]> {
        self.get(first)?;
        self.get(second)?;
        let ((_, first), (_, second)) = self.slots.get2_mut(first.index, second.index)?;
        Some([first, second])
    }

    /// Returns the id of the value that a token names, if it is still there.
    pub(crate) fn named(&self, token: Token) -> Option<Id> {
        let (number, _) = self.slots.get(token.index())?;
        let is_it = number & TOKEN_BITS == token.generation();
        is_it.then_some(Id { index: token.index(), number: *number })
    }

    /// Takes a value out: its id finds nothing from now on.
    pub(crate) fn take(&mut self, id: Id) -> Option<Box<T>> {
        self.get(id)?;
        self.slots.try_remove(id.index).map(|(_, value)| value)
    }

    /// Keeps the box of a value that was taken out, for another value.
    pub(crate) fn give_back(&mut self, mut value: Box<T>) {
        if self.spare.len() < SPARE {
            value.recycle();
            self.spare.push(value);
        }
    }

    /// Returns the ids of the values for which `is_wanted` holds.
    pub(crate) fn ids(&self, is_wanted: impl Fn(&T) -> bool) -> Vec<Id> {
        let wanted = self.slots.iter().filter(|(_, (_, value))| is_wanted(value));
        wanted.map(|(index, (number, _))| Id { index, number: *number }).collect()
    }

    /// Returns all values.
    pub(crate) fn iter_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.slots.iter_mut().map(|(_, (_, value))| &mut **value)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[derive(Default)]
    struct Text(String);

    impl Recycle for Text {
        fn recycle(&mut self) {
            self.0.clear();
        }
    }

    #[test]
    fn no_more_boxes_are_kept_than_a_bound() {
        let mut store = Store::<Text>::default();
        (0..SPARE + 2).for_each(|_| store.give_back(Box::default()));
        assert_eq!(store.spare.len(), SPARE);
    }

    #[test]
    fn an_old_id_finds_nothing_although_its_slot_and_box_are_used_again() {
        let mut store = Store::<Text>::default();
        let first = store.open();
        store.get_mut(first).unwrap().0.push_str("first");
        let value = store.take(first).unwrap();
        assert!(store.get(first).is_none() && store.take(first).is_none());
        let text = value.0.as_ptr();
        store.give_back(value);
        assert_eq!(store.named(first.token(4)), None);
        let second = store.open();
        assert_eq!(store.named(first.token(4)), None);
        assert_eq!(store.named(second.token(4)), Some(second));
        assert_eq!(second.index, first.index);
        assert!(store.get(first).is_none() && store.get_mut(first).is_none());
        let value = store.get(second).unwrap();
        assert!(value.0.is_empty());
        assert_eq!(value.0.as_ptr(), text, "its allocation is used again");
    }
}
