//! The times in the record of a request.

#![allow(clippy::unwrap_used, reason = "tests")]

use crate::worker::exchange::pair;
use crate::worker::tests::{GET, on_request, waiting};

#[test]
fn the_time_of_the_first_byte_counts_from_the_request_if_one_came() {
    let (node, _s) = waiting("", "", GET);
    on_request(&node, |w, x, _| {
        let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
        assert_eq!(e.record(c, "", 0).first_byte_us, None);
        e.times.first_byte_us = e.start_us + 7;
        assert_eq!(e.record(c, "", 0).first_byte_us, Some(7));
        assert_eq!((e.record(c, "a", 9).listener, e.record(c, "", 9).total_us), ("a", 9));
        e.times.first_byte_us = 0;
    });
}
