//! The dynamic table of HPACK (RFC 7541 §2.3.2, §4): the newest entry first, bounded.

use std::collections::VecDeque;

/// The cost of an entry beside its octets (RFC 7541 §4.1).
pub(crate) const OVERHEAD: usize = 32;

#[derive(Clone, Copy, Debug)]
struct Entry<T> {
    at: u32,
    name_len: u32,
    value_len: u32,
    /// The value that the owner keeps with the entry.
    note: T,
}

/// An entry, borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found<'a, T> {
    pub name: &'a [u8],
    pub value: &'a [u8],
    pub note: T,
}

/// Entries in one buffer, oldest at the front. The buffer is compacted when it has grown to twice
/// the table's size, so that an insertion costs a copy of its own octets and, on average, once that
/// again.
#[derive(Debug)]
pub(crate) struct Table<T> {
    data: Vec<u8>,
    entries: VecDeque<Entry<T>>,
    size: usize,
    max: usize,
    /// The number of entries that were ever inserted; numbers them.
    inserted: u64,
}

impl<T: Copy> Table<T> {
    pub(crate) fn new(max: usize) -> Self {
        Self { data: Vec::new(), entries: VecDeque::new(), size: 0, max, inserted: 0 }
    }

    /// Returns the size by the measure of RFC 7541 §4.1.
    #[cfg(test)]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    pub(crate) fn max(&self) -> usize {
        self.max
    }

    pub(crate) fn inserted(&self) -> u64 {
        self.inserted
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Gives back the memory that no entry uses.
    pub(crate) fn shrink(&mut self) {
        self.compact();
        self.data.shrink_to_fit();
        self.entries.shrink_to_fit();
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Sets the greatest size and drops what no longer fits.
    pub(crate) fn resize(&mut self, max: usize) {
        self.max = max;
        self.evict(0);
    }

    /// Returns the entry at this distance from the newest (0).
    #[inline]
    pub(crate) fn get(&self, distance: usize) -> Option<Found<'_, T>> {
        let at = self.entries.len().checked_sub(distance + 1)?;
        let entry = self.entries.get(at)?;
        let start = entry.at as usize;
        let middle = start + entry.name_len as usize;
        Some(Found {
            name: self.data.get(start..middle)?,
            value: self.data.get(middle..middle + entry.value_len as usize)?,
            note: entry.note,
        })
    }

    /// Inserts an entry; one that is larger than the table empties it (RFC 7541 §4.4).
    pub(crate) fn insert(&mut self, name: &[u8], value: &[u8], note: T) {
        let cost = name.len() + value.len() + OVERHEAD;
        self.evict(cost);
        if cost > self.max {
            return;
        }
        if self.data.len() + name.len() + value.len() > 2 * self.max {
            self.compact();
        }
        self.entries.push_back(Entry {
            at: self.data.len() as u32,
            name_len: name.len() as u32,
            value_len: value.len() as u32,
            note,
        });
        self.data.extend_from_slice(name);
        self.data.extend_from_slice(value);
        self.size += cost;
        self.inserted += 1;
    }

    /// Drops the oldest entries until `more` fits; all if it never does.
    fn evict(&mut self, more: usize) {
        while self.size + more > self.max {
            let Some(old) = self.entries.pop_front() else { break };
            self.size -= old.name_len as usize + old.value_len as usize + OVERHEAD;
        }
        if self.entries.is_empty() {
            self.data.clear();
        }
    }

    fn compact(&mut self) {
        let Some(start) = self.entries.front().map(|e| e.at) else { return };
        self.data.drain(..start as usize);
        for entry in &mut self.entries {
            entry.at -= start;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut table = Table::new(64);
        table.insert(b"a", b"b", 1);
        assert_eq!((table.len(), table.size()), (1, 34));
        table.insert(b"name-of-20-octets...", b"value-of-13..", 2);
        assert_eq!((table.len(), table.size()), (0, 0));
        table.insert(b"name-of-20-octets...", b"value-of-12.", 3);
        assert_eq!((table.len(), table.size()), (1, 64));
        table.resize(63);
        assert_eq!(table.get(0), None);
    }

    proptest! {
        #[test]
        fn it_holds_what_a_plain_list_would(fields in prop::collection::vec(
            ("[a-z]{0,40}", "[a-z]{0,90}"), 0..200), max in 0_usize..600)
        {
            let mut table = Table::new(max);
            let mut list: Vec<(String, String)> = Vec::new();
            let cost = |(n, v): &(String, String)| n.len() + v.len() + OVERHEAD;
            for (at, field) in fields.into_iter().enumerate() {
                table.insert(field.0.as_bytes(), field.1.as_bytes(), at);
                list.insert(0, field);
                while list.iter().map(cost).sum::<usize>() > max {
                    list.pop();
                }
                prop_assert_eq!(table.len(), list.len());
                prop_assert!(table.size() <= max && table.data.len() <= 2 * max);
                for (distance, (name, value)) in list.iter().enumerate() {
                    let found = table.get(distance).unwrap();
                    prop_assert_eq!(found.name, name.as_bytes());
                    prop_assert_eq!(found.value, value.as_bytes());
                    prop_assert_eq!(found.note, at - distance);
                }
            }
        }
    }
}
