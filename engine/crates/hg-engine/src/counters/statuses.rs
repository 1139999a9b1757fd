//! Counts of requests by method and status.

use super::Counter;
use std::sync::OnceLock;
use std::sync::atomic::AtomicU32;
use std::sync::atomic::Ordering::Relaxed;

/// Returns the status that a request counts under: its own if it is registered (IANA), or 499, which
/// stands for a client that left; else its class, `5` for 599.
fn counted_as(status: u16) -> u16 {
    match status {
        100..=103
        | 200..=208
        | 226
        | 300..=308
        | 400..=418
        | 421..=426
        | 428
        | 429
        | 431
        | 451
        | 499
        | 500..=508
        | 510
        | 511 => status,
        _ => status / 100,
    }
}

/// Requests by method and status: a chain of small blocks that grows with the combinations that
/// occur. A status that nobody has registered counts by its class: endpoints choose it, and neither a
/// page of metrics nor the search in this chain may grow by their choice.
#[derive(Debug, Default)]
pub(crate) struct StatusTable {
    first: Block,
}

#[derive(Debug, Default)]
struct Block {
    keys: [AtomicU32; 6],
    counts: [Counter; 6],
    next: OnceLock<Box<Block>>,
}

impl StatusTable {
    /// Counts one request; `method` is `Method::index()`.
    pub(crate) fn add(&self, method: u8, status: u16) {
        let key = (u32::from(method) + 1) << 16 | u32::from(counted_as(status));
        let mut block = &self.first;
        loop {
            for (k, c) in block.keys.iter().zip(&block.counts) {
                let held = k.load(Relaxed);
                if held == key {
                    return c.add(1);
                }
                if held == 0 {
                    c.set(1);
                    k.store(key, Relaxed);
                    return;
                }
            }
            block = block.next.get_or_init(Box::default);
        }
    }

    /// Returns (method index, status, count) of every combination that occurred; a status below 10 is
    /// a class.
    pub(crate) fn entries(&self) -> Vec<(u8, u16, u64)> {
        let mut out = Vec::new();
        let mut block = Some(&self.first);
        while let Some(b) = block {
            for (k, c) in b.keys.iter().zip(&b.counts) {
                let key = k.load(Relaxed);
                if key != 0 {
                    out.push((((key >> 16) - 1) as u8, (key & 0xffff) as u16, c.get()));
                }
            }
            block = b.next.get().map(|n| &**n);
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_table_counts_every_pair_and_grows() {
        let table = StatusTable::default();
        for status in 400..416 {
            for method in 0..3 {
                table.add(method, status);
                table.add(method, status);
            }
        }
        let entries = table.entries();
        assert_eq!(entries.len(), 48);
        assert!(entries.iter().all(|(_, _, n)| *n == 2));
    }

    #[test]
    fn no_endpoint_makes_more_than_the_registered_ones_and_the_classes() {
        let table = StatusTable::default();
        for status in 100..=999 {
            for method in 0..10 {
                table.add(method, status);
            }
        }
        let entries = table.entries();
        assert_eq!(entries.len(), 10 * (64 + 9));
        assert_eq!(entries.iter().map(|(_, _, n)| n).sum::<u64>(), 9_000);
        let of = |status| entries.iter().find(|(m, s, _)| (*m, *s) == (0, status)).map(|e| e.2);
        assert_eq!((of(200), of(299), of(2), of(9)), (Some(1), None, Some(90), Some(100)));
    }
}
