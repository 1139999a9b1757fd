//! Tests of how much of an answer a worker collects for a client, and of what it notes of that.

use super::*;
use crate::worker::exchange::pair;
use crate::worker::http2::STREAM_READ_LEAST;

#[test]
fn the_worker_reads_on_once_when_half_of_what_it_may_collect_is_taken() {
    let up = Upstream::play(|mut s| drop(read_all(&mut s)));
    let node =
        Node::start(&upstream_json(&[up.address], ""), r#","response_buffer_bytes":1000"#, 1);
    let _s = ask(&node, GET);
    eventually("it is under way", || active(&node) == 1);
    let taken = [(1_000, 501), (1_000, 500), (501, 500), (500, 499), (500, 0), (1_000, 0)];
    let goes_on = on_worker(&node, move |w| {
        let e = w.exchanges.iter_mut().next().unwrap();
        taken.map(|(before, after)| e.goes_on_collecting(before, after))
    });
    assert_eq!(goes_on, [false, true, true, false, false, true]);
}

#[test]
fn what_waits_for_peers_is_the_sum_of_all_that_is_kept() {
    let node = Node::simple(&Upstream::answering(OK));
    let noted = on_worker(&node, |w| {
        let pool = &mut w.io.pool;
        let real = (pool.kept, pool.pending, pool.uploads);
        (pool.kept, pool.pending, pool.uploads) = (1, 20, 300);
        w.note_pending();
        let noted = w.counters.pending.bytes.get();
        let pool = &mut w.io.pool;
        (pool.kept, pool.pending, pool.uploads) = real;
        noted
    });
    assert_eq!(noted, 321);
}

#[test]
fn of_an_answer_as_much_is_read_as_its_client_takes_or_may_be_collected() {
    let (node, _s) = waiting("", r#","response_buffer_bytes":100000"#, GET);
    on_request(&node, |w, x, _| {
        let (e, c) = pair(&mut w.exchanges, &mut w.clients, x).unwrap();
        let pool = &mut w.io.pool;
        assert_eq!(c.room(e, pool), usize::MAX);
        for (more, room) in [(40_000, 60_000), (59_999, STREAM_READ_LEAST), (1, 0), (1, 0)] {
            c.conn.out.push(&vec![b'x'; more], pool);
            assert_eq!(c.room(e, pool), room, "{:?}", c.conn.out.waiting());
        }
        c.conn.out.release(pool);
        c.conn.out.push(b"x", pool);
        assert_eq!(c.room(e, pool), 99_999);
        // Where all answers together hold too much, and in a tunnel, as much as the client takes.
        let pending = std::mem::replace(&mut pool.pending, usize::MAX);
        assert_eq!(c.room(e, pool), 0);
        (pool.pending, e.status) = (pending, 101);
        assert_eq!(c.room(e, pool), 0);
        e.status = 0;
        c.conn.out.release(pool);
    });
}
