//! The first bytes of a connection, and the order of its streams.

use super::*;
use crate::worker::exchange::Exchange;
use crate::worker::store::Store;

#[test]
fn the_preface_is_told_from_requests_by_its_first_byte_that_differs() {
    for n in 0..PREFACE.len() {
        let (begun, rest) = PREFACE.split_at(n);
        assert_eq!(Opening::of(begun), Opening::Undecided, "{n} bytes");
        let other = rest.first().map_or(0, |byte| byte.wrapping_add(1));
        assert_eq!(Opening::of(&[begun, &[other]].concat()), Opening::Http1, "{n} bytes");
    }
    assert_eq!(Opening::of(PREFACE), Opening::Http2);
    assert_eq!(Opening::of(&[&PREFACE[..], b"more"].concat()), Opening::Http2);
    assert_eq!(Opening::of(b"PRI / HTTP/1.1\r\n"), Opening::Http1);
}

#[test]
fn streams_come_in_the_order_in_which_they_were_opened() {
    let mut store = Store::<Exchange>::default();
    let all = [9, 1, 5, 3].map(|id| (id, store.open()));
    let mut sorted = all.to_vec();
    sorted.sort_by_key(|(id, _)| *id);
    let streams: HashMap<u32, ExId, foldhash::fast::RandomState> = all.into_iter().collect();
    assert_eq!(in_order(&streams), sorted);
}
