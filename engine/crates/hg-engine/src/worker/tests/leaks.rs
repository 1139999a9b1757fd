//! The remains of requests, as the simulator looks for them.

use super::*;

#[test]
fn what_is_under_way_is_named_and_idle_connections_are_not() {
    let (node, s) = waiting("", "", GET);
    let left_over = || on_worker(&node, |w| w.left_over());
    let all = ["1 clients", "1 listeners", "1 exchanges", "1 connections to endpoints in use"];
    assert_eq!(left_over(), all);
    hg_net::close_with_reset(s.into());
    eventually("the client has gone", || left_over() == ["1 listeners"]);
    let node = Node::simple(&Upstream::answering(OK));
    let mut s = ask(&node, GET);
    assert_eq!(read_answer(&mut s).1, b"ok");
    assert_eq!(on_worker(&node, |w| w.left_over()), ["1 clients", "1 listeners"]);
}
