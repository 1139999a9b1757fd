//! The tree into which all three formats are read.

use crate::fault::Fault;
use foldhash::fast::RandomState;
use hashbrown::HashTable;
use std::hash::BuildHasher;
use std::ops::Range;

/// One value of a config text.
///
/// `M` is what an entry records of its place in the text: nothing in the values that callers see.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<M = ()> {
    /// YAML and JSON `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number; always finite.
    Float(f64),
    /// Text.
    Str(Box<str>),
    /// Values in order.
    List(Vec<Item<M>>),
    /// Values by name, in the order of the text.
    Map(Map<M>),
}

impl<M> Value<M> {
    /// Returns the entries of a map; none of anything else.
    pub(crate) fn named(&self) -> &[Entry<M>] {
        match self {
            Value::Map(map) => map.entries(),
            _ => &[],
        }
    }

    /// Returns the value of a map's entry by its position.
    pub(crate) fn child_mut(&mut self, at: usize) -> Option<&mut Value<M>> {
        match self {
            Value::Map(map) => map.entry_mut(at).map(|e| &mut e.value),
            _ => None,
        }
    }

    /// Returns the number of values in this one, itself included.
    pub(crate) fn count(&self) -> usize {
        match self {
            Value::List(items) => 1 + items.iter().map(|i| i.value.count()).sum::<usize>(),
            Value::Map(map) => 1 + map.entries.iter().map(|e| e.value.count()).sum::<usize>(),
            _ => 1,
        }
    }
}

/// One value of a list.
#[derive(Clone, Debug, PartialEq)]
pub struct Item<M = ()> {
    /// The value.
    pub value: Value<M>,
    /// Its place.
    pub(crate) mark: M,
}

/// One named value of a map.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry<M = ()> {
    /// The name.
    pub key: Box<str>,
    /// The value.
    pub value: Value<M>,
    /// The places of both.
    pub(crate) mark: M,
}

/// From this many entries on, a map keeps a hash index.
const INDEXED_FROM: usize = 12;

/// Values by name, in the order of the text; no duplicate names.
#[derive(Clone, Debug)]
pub struct Map<M = ()> {
    entries: Vec<Entry<M>>,
    index: Option<Box<Index>>,
    /// The origin of the map, because TOML allows some maps to be continued and others not.
    pub(crate) origin: Origin,
}

/// The origin of a map, as far as TOML's rules about continuing one need it (TOML 1.0, "Table").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// A whole value: an inline table, or any map of YAML and JSON. Complete.
    Value,
    /// A `[header]`. Takes further sub-tables, but not a second header.
    Header,
    /// An inner part of a header. Takes its own header later.
    Implied,
    /// An inner part of a dotted key. Takes further dotted keys.
    Dotted,
}

#[derive(Clone, Debug)]
struct Index {
    slots: HashTable<u32>,
    state: RandomState,
}

impl<M: PartialEq> PartialEq for Map<M> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl<M> Default for Map<M> {
    fn default() -> Self {
        Map::new(Origin::Value)
    }
}

impl<M> Map<M> {
    pub(crate) fn new(origin: Origin) -> Self {
        Map { entries: Vec::new(), index: None, origin }
    }

    /// Returns the entries in the order of the text.
    pub fn entries(&self) -> &[Entry<M>] {
        &self.entries
    }

    /// Takes the entries out.
    pub(crate) fn into_entries(self) -> Vec<Entry<M>> {
        self.entries
    }

    /// Returns the entry of that name.
    pub fn get(&self, key: &str) -> Option<&Entry<M>> {
        self.entries.get(self.find(key)?)
    }

    pub(crate) fn entry_mut(&mut self, at: usize) -> Option<&mut Entry<M>> {
        self.entries.get_mut(at)
    }

    /// Returns the position of the entry of that name. Constant time.
    pub(crate) fn find(&self, key: &str) -> Option<usize> {
        match &self.index {
            None => self.entries.iter().position(|e| &*e.key == key),
            Some(index) => index
                .slots
                .find(index.state.hash_one(key), |&i| self.key_at(i) == Some(key))
                .map(|&i| i as usize),
        }
    }

    fn key_at(&self, at: u32) -> Option<&str> {
        self.entries.get(at as usize).map(|e| &*e.key)
    }

    /// Adds an entry whose name is known to be new, and returns its position.
    pub(crate) fn push(&mut self, entry: Entry<M>) -> usize {
        let at = self.entries.len();
        self.entries.push(entry);
        if self.index.is_some() {
            self.add_to_index(at);
        } else if at + 1 == INDEXED_FROM {
            self.index =
                Some(Box::new(Index { slots: HashTable::new(), state: RandomState::default() }));
            (0..=at).for_each(|i| self.add_to_index(i));
        }
        at
    }

    fn add_to_index(&mut self, at: usize) {
        let (Some(index), Some(entry)) = (&mut self.index, self.entries.get(at)) else {
            return;
        };
        let (state, entries) = (&index.state, &self.entries);
        index.slots.insert_unique(state.hash_one(&*entry.key), at as u32, |&i| {
            entries.get(i as usize).map_or(0, |e| state.hash_one(&*e.key))
        });
    }
}

impl<M: Mark> Map<M> {
    /// Adds an entry.
    ///
    /// # Errors
    /// If the name exists already.
    pub(crate) fn insert(
        &mut self,
        key: Box<str>,
        value: Value<M>,
        mark: M,
        key_at: usize,
    ) -> Result<(), Fault> {
        match self.find(&key).and_then(|at| self.entries.get(at)) {
            Some(first) => Err(Fault::duplicate(&key, key_at, first.mark.key_start())),
            None => {
                self.push(Entry { key, value, mark });
                Ok(())
            }
        }
    }
}

/// The record of an entry's place. Offsets are in the unit of the format (see
/// [`crate::position::Unit`]).
pub trait Mark: Clone {
    /// Makes the mark of a value and of its key (the value itself in a list).
    fn new(key: Range<usize>, value: Range<usize>) -> Self;
    /// Returns where the key begins, if that was recorded.
    fn key_start(&self) -> Option<usize>;
}

impl Mark for () {
    fn new(_: Range<usize>, _: Range<usize>) -> Self {}
    fn key_start(&self) -> Option<usize> {
        None
    }
}

/// The mark of the second pass: the places of key and value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Place {
    pub key: (u32, u32),
    pub value: (u32, u32),
}

impl Mark for Place {
    fn new(key: Range<usize>, value: Range<usize>) -> Self {
        // MAX_BYTES keeps every offset below 2^32.
        Place {
            key: (key.start as u32, key.end as u32),
            value: (value.start as u32, value.end as u32),
        }
    }
    fn key_start(&self) -> Option<usize> {
        Some(self.key.0 as usize)
    }
}
