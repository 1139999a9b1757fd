//! The addresses of an endpoint, and sockets that cannot be made.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::*;
use crate::common::udp::{Echo, UdpNode, counted};
use crate::common::{eventually, upstream_json};
use crate::worker::tests::on_worker;
use std::net::SocketAddr;

const NAME: &str = "pool.test:53";

/// The broadcast address of loopback, which no socket here may send to.
fn forbidden() -> SocketAddr {
    SocketAddr::from(([127, 255, 255, 255], 9))
}

/// Starts a node whose only endpoint is a name with these addresses.
fn named(addresses: Vec<SocketAddr>) -> UdpNode {
    let json = format!(r#"{{"endpoints":[{{"address":"{NAME}"}}]}}"#);
    let mut node = UdpNode::start(&json, "", 1);
    node.engine().set_addresses(NAME, Ok(addresses));
    node.apply(&[]);
    node
}

/// Has an address be tried first; returns the one that was.
fn prefer(node: &UdpNode, at: usize) -> usize {
    on_worker(node.node(), move |w| {
        w.upstreams.get_mut(0).unwrap().endpoints[0].preferred.replace(at)
    })
}

#[test]
fn the_next_address_takes_the_place_of_one_that_there_is_no_way_to() {
    let echo = Echo::at("[::1]:0".parse().unwrap());
    for (at, addresses) in [(1, [forbidden(), echo.address]), (0, [echo.address, forbidden()])] {
        let node = named(addresses.to_vec());
        for first in [0, 1] {
            prefer(&node, first);
            assert_eq!(node.client().ask(b"a"), b"a");
            assert_eq!(prefer(&node, 0), at, "{addresses:?}");
        }
    }
}

#[test]
fn a_socket_that_cannot_be_made_is_no_failure_of_its_endpoint() {
    let node = UdpNode::to(&[forbidden()], "");
    node.client().send(b"a");
    let dropped = |reason: &str| counted(&node.metrics().udp.dropped, reason);
    eventually("it is dropped", || dropped("no-socket") == 1);
    assert_eq!((node.failures(), dropped("endpoint-unreachable")), (0, 0));
    let endpoint = &node.engine().status().upstreams[0].endpoints[0];
    assert!(!endpoint.last_error.is_empty());
    assert_eq!(node.metrics().upstreams[0].endpoints[0].active, 0);
}

#[test]
fn a_name_without_an_address_is_told_apart_from_endpoints_that_are_out() {
    let node = named(Vec::new());
    node.client().send(b"a");
    eventually("it is dropped", || counted(&node.metrics().udp.dropped, "unresolved") == 1);
}

/// The time for which one failure keeps flows from the upstream, microseconds.
const OPEN_US: u64 = 600_000_000;

fn with_breaker(echo: &Echo) -> UdpNode {
    let ms = OPEN_US / 1_000;
    let breaker =
        format!(r#","health":{{"breaker":{{"per":"upstream","failures":1,"open_ms":{ms}}}}}"#);
    UdpNode::start(&upstream_json(&[echo.address], &breaker), "", 1)
}

fn aimed(w: &mut Worker) -> Result<Aim, Dropped> {
    let client = IpAddr::from([127, 0, 0, 1]);
    let route = w.held.udp.find(1, client, None).unwrap().clone();
    w.aim(&route, client, &Tried::new())
}

fn is_kept_off(w: &mut Worker) -> bool {
    match aimed(w) {
        Ok(aim) => {
            w.leave_aim(aim, Outcome::Cancelled);
            false
        }
        Err(_) => true,
    }
}

#[test]
fn a_flow_without_an_answer_leaves_its_place_in_a_half_open_breaker_to_another() {
    let echo = Echo::start();
    let node = with_breaker(&echo);
    let is_kept = on_worker(node.node(), |w| {
        let real_us = w.now_us;
        let aim = aimed(w).ok().unwrap();
        w.leave_aim(aim, Outcome::Connect);
        let while_open = is_kept_off(w);
        w.now_us += 2 * OPEN_US;
        let mut all = [(); 2].map(|()| aimed(w).ok()).into_iter().flatten().collect::<Vec<_>>();
        assert_eq!(all.len(), 2);
        let while_two_try = is_kept_off(w);
        w.leave_aim(all.remove(0), Outcome::Cancelled);
        let while_one_tries = is_kept_off(w);
        all.into_iter().for_each(|aim| w.leave_aim(aim, Outcome::Cancelled));
        w.now_us = real_us;
        [while_open, while_two_try, while_one_tries]
    });
    assert_eq!(is_kept, [true, true, false]);
}

#[test]
fn an_endpoint_that_is_lost_after_an_answer_has_failed() {
    let echo = Echo::start();
    for (first_byte_us, outcome, fails) in [
        (0, Outcome::Connect, true),
        (1, Outcome::Connect, true),
        (0, Outcome::Cancelled, false),
        (1, Outcome::Cancelled, false),
    ] {
        let node = with_breaker(&echo);
        let is_open = on_worker(node.node(), move |w| {
            let mut aim = aimed(w).ok().unwrap();
            assert!(aim.times.began_us == w.now_us && !aim.is_answered());
            aim.times.first_byte_us = first_byte_us;
            w.leave_aim(aim, outcome);
            is_kept_off(w)
        });
        assert_eq!(is_open, fails, "{first_byte_us} {outcome:?}");
    }
}

#[test]
fn limits_are_free_of_flows_that_a_worker_forgets() {
    let echo = Echo::start();
    let json = upstream_json(&[echo.address], r#","max_connections":9"#);
    let node = UdpNode::start(&json, "", 1);
    assert_eq!(node.client().ask(b"a"), b"a");
    let in_use = on_worker(node.node(), |w| {
        let entry = w.upstreams.get_mut(0).unwrap().entry.clone();
        let in_use = || entry.in_use.load(std::sync::atomic::Ordering::Relaxed);
        let before = in_use();
        w.forget_flows();
        let after = in_use();
        // It lives on here, and counts.
        w.shared.flows.opened();
        (before, after)
    });
    assert_eq!(in_use, (1, 0));
}
