//! The shares of the branches of a split.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::{Node, Upstream};
use crate::worker::tests::{OK, on_worker};
use hg_policy::WyRand;
use std::time::{SystemTime, UNIX_EPOCH};

#[test]
fn branches_are_drawn_by_their_weights() {
    const DRAWS: usize = 4_000;
    let node = Node::simple(&Upstream::answering(OK));
    on_worker(&node, |w| {
        w.rng = WyRand::new(7);
        for weights in [[1, 3, 0], [0, 1, 0], [0, 0, 5], [2, 0, 2], [1, 1, 1]] {
            let parts = [10, 11, 12].into_iter().zip(weights).collect();
            let total: u32 = weights.iter().sum();
            let split = Split { parts, total: total.into(), sticky: None };
            let mut drawn = [0; 3];
            (0..DRAWS).for_each(|_| drawn[w.draw_branch(&split).unwrap() - 10] += 1);
            for (n, weight) in drawn.into_iter().zip(weights) {
                let share = DRAWS * weight as usize / total as usize;
                assert!(share.abs_diff(n) <= 150, "{drawn:?} of {weights:?}");
                assert_eq!(n == 0, weight == 0, "{drawn:?} of {weights:?}");
            }
        }
        let none = Split { parts: vec![(10, 0), (11, 0)], total: 0, sticky: None };
        assert_eq!(w.draw_branch(&none), None);
    });
}

#[test]
fn the_time_of_a_cookie_is_in_seconds_since_the_epoch() {
    let now_s = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let before = now_s();
    let said = unix_s();
    assert!((before..=now_s()).contains(&said), "{said}");
}
