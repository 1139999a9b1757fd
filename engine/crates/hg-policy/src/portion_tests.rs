use super::*;
use crate::WyRand;
use std::collections::HashSet;

fn taken(share: u16, block: &Block, rng: &mut WyRand, requests: u32) -> Vec<u32> {
    let portion = Portion::new(share);
    (0..requests).filter(|_| portion.takes(block, rng)).collect()
}

#[test]
fn a_portion_is_exact_in_every_block() {
    for (share, of, part) in [
        (1_000, 10, 1),
        (5_000, 2, 1),
        (3_300, 100, 33),
        (9_999, 10_000, 9_999),
        (1, 10_000, 1),
        (0, 50, 0),
        (10_000, 50, 50),
        (u16::MAX, 50, 50),
    ] {
        let (block, mut rng) = (Block::default(), WyRand::new(7));
        for _ in 0..5 {
            assert_eq!(taken(share, &block, &mut rng, of).len(), part, "{share}");
        }
    }
}

#[test]
fn every_place_of_a_block_is_taken_some_time() {
    let (block, mut rng) = (Block::default(), WyRand::new(1));
    let places: HashSet<u32> = (0..400).flat_map(|_| taken(1_000, &block, &mut rng, 10)).collect();
    assert_eq!(places.len(), 10);
}

#[test]
fn a_block_that_was_begun_with_another_share_ends_first() {
    let (block, mut rng) = (Block::default(), WyRand::new(3));
    let begun = taken(5_000, &block, &mut rng, 1).len();
    let rest = taken(1_000, &block, &mut rng, 1).len();
    assert_eq!(begun + rest, 1);
    assert_eq!(taken(1_000, &block, &mut rng, 10).len(), 1);
    assert!(taken(0, &block, &mut rng, 100).is_empty());
}

#[test]
fn threads_share_a_block() {
    let block = Block::default();
    let counts = std::thread::scope(|scope| {
        let one = |seed| {
            let block = &block;
            scope.spawn(move || taken(2_500, block, &mut WyRand::new(seed), 1_000).len())
        };
        let all: Vec<_> = (0..4).map(one).collect();
        all.into_iter().map(|t| t.join().unwrap_or_default()).sum::<usize>()
    });
    assert_eq!(counts, 1_000);
}
