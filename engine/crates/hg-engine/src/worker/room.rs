//! Room in the tables of connections.

use slab::{Slab, VacantEntry};

/// The place that a table of fewer bytes leaves behind is not worth the search for it.
const WORTH: usize = 1024 * 1024;

/// Returns the place of one more entry. A table that grows moves, and the allocator would keep the place
/// that it left for as long as the worker frees nothing: about as much as the entries take.
pub(super) fn vacant_entry<T>(table: &mut Slab<T>) -> VacantEntry<'_, T> {
    let size = table.capacity().saturating_mul(size_of::<T>());
    if table.len() == table.capacity() && size >= WORTH {
        table.reserve(1);
        hg_net::give_memory_back();
    }
    table.vacant_entry()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_table_gets_room_and_others_stay() {
        let mut table: Slab<[u8; 1024]> = Slab::with_capacity(1024);
        let capacity = table.capacity();
        for _ in 0..capacity {
            vacant_entry(&mut table).insert([0; 1024]);
        }
        assert_eq!(table.capacity(), capacity);
        vacant_entry(&mut table).insert([1; 1024]);
        assert!(table.capacity() > capacity && table.len() == capacity + 1);
        let mut small: Slab<u8> = Slab::new();
        assert_eq!(vacant_entry(&mut small).key(), 0);
    }
}
