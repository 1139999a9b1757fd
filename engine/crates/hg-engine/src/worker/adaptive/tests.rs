//! A worker's requests at an upstream whose limit is learned.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::{Node, unused_address, upstream_json};
use crate::worker::claim::Admission;
use crate::worker::exchange::TryTimes;
use crate::worker::tests::on_worker;
use hg_resilience::Outcome;

#[test]
fn an_answer_that_goes_on_for_more_than_a_second_is_a_stream() {
    for (first_byte_us, now_us, expected) in [
        (1, 1_000_001, false),
        (1, 1_000_002, true),
        (5_000_000, 5_000_000, false),
        (0, 9_000_000, false),
    ] {
        assert_eq!(is_stream(first_byte_us, now_us), expected, "{first_byte_us} {now_us}");
    }
}

/// Runs a function on an upstream whose limit begins at 30 and stays between 25 and 33.
fn with_a_limit(run: impl FnOnce(&UpstreamEntry) + Send + 'static) {
    let limits = r#","health":{"concurrency":{"initial":30,"min":25,"max":33}}"#;
    let node = Node::start(&upstream_json(&[unused_address()], limits), "", 1);
    on_worker(&node, |w| run(&w.upstreams.get_mut(0).unwrap().entry.clone()));
}

/// A request whose answer took so long and ended with its first byte.
fn answered(us: u64) -> Left {
    let times = TryTimes { began_us: 1, first_byte_us: 1 + us, upload_us: (0, 0) };
    let admission = Admission::default();
    Left { outcome: Outcome::Ok, admission, times, now_us: 1 + us }
}

#[test]
fn the_limit_is_learned_within_its_bounds() {
    with_a_limit(|entry| {
        let mut adaptive = Adaptive::of(entry, 40).unwrap();
        let limit = || entry.health.concurrency.limit();
        assert_eq!(limit(), 30);
        for (us, n, expected) in [(1_000, 200, 33), (500_000, 100, 25)] {
            for _ in 0..n {
                adaptive.end(&answered(us));
                adaptive.begin();
            }
            assert_eq!(limit(), expected);
        }
    });
}

#[test]
fn a_stream_says_nothing_of_the_load() {
    with_a_limit(|entry| {
        let mut adaptive = Adaptive::of(entry, 40).unwrap();
        for _ in 0..30 {
            let left = Left { now_us: 9_000_000, ..answered(1_000) };
            adaptive.end(&left);
        }
        assert_eq!(entry.health.concurrency.limit(), 30);
    });
}

#[test]
fn the_requests_of_a_worker_count_among_those_of_all_until_they_or_it_have_ended() {
    with_a_limit(|entry| {
        let of_all = || entry.health.concurrency.in_flight();
        let mut one = Adaptive::of(entry, 3).unwrap();
        let mut two = Adaptive::of(entry, 0).unwrap();
        assert_eq!((one.in_flight(), two.in_flight(), of_all()), (3, 0, 3));
        two.end(&answered(1));
        assert_eq!((two.in_flight(), of_all()), (0, 3), "it had none");
        two.begin();
        one.end(&answered(1));
        one.end(&answered(1));
        assert_eq!((one.in_flight(), two.in_flight(), of_all()), (1, 1, 2));
        drop(one);
        assert_eq!(of_all(), 1);
        drop(two);
        assert_eq!(of_all(), 0);
    });
}

#[test]
fn a_worker_has_no_place_once_all_together_have_as_many_as_the_limit() {
    with_a_limit(|entry| {
        let one = Adaptive::of(entry, 10).unwrap();
        let mut two = Adaptive::of(entry, 19).unwrap();
        assert!(!one.is_full(2, 0) && !two.is_full(2, 0));
        two.begin();
        assert!(one.is_full(2, 0) && two.is_full(2, 0));
    });
}
