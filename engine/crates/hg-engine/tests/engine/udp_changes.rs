//! UDP flows when the plan changes, and at the end of the process.

use crate::common::udp::{ClosedPort, Echo, UdpNode, counted, is_clean, route};
use crate::common::{DEADLINE, eventually, put, upstream_json};
use hg_engine::{EndpointOrder, GivenFlows, MovedFlow};
use hg_plan::{Change, Kind};
use hg_relay::flows::{ToldFlow, Traffic};
use std::net::UdpSocket;
use std::sync::mpsc;

#[test]
fn a_reload_of_something_else_leaves_flows_alone() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    let peer = echo.last_peer();
    node.apply(&[put(Kind::Upstream, "v", upstream_json(&[echo.address], ""))]);
    node.apply(&[route(r#","idle_ms":30000"#)]);
    assert_eq!((client.ask(b"b"), echo.last_peer()), (b"b".to_vec(), peer));
    assert_eq!(node.metrics().udp.flows.total, 1);
}

fn drain(deadline_ms: u64, idle_grace_ms: u64) -> Change {
    let (deadline, grace) = (deadline_ms, idle_grace_ms);
    let json =
        format!(r#"{{"drain":{{"delay_ms":1,"deadline_ms":{deadline},"idle_grace_ms":{grace}}}}}"#);
    put(Kind::Settings, "node", json)
}

fn gone(kind: Kind, name: &str) -> Change {
    Change { kind, name: name.into(), bytes: None }
}

#[test]
fn flows_of_a_removed_route_drain_and_those_of_a_removed_listener_go() {
    let echo = Echo::start();
    let removed = |node: &UdpNode| counted(&node.metrics().udp.ended, "route-removed");
    let mut node = UdpNode::to(&[echo.address], "");
    node.apply(&[drain(3_600_000, 1)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[gone(Kind::UdpRoute, "d")]);
    assert_eq!((client.ask(b"b"), removed(&node)), (b"b".to_vec(), 0));
    node.apply(&[gone(Kind::Listener, "dns")]);
    assert_eq!(removed(&node), 1);
    is_clean(&node);

    let mut node = UdpNode::to(&[echo.address], "");
    node.apply(&[drain(100, 1)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[gone(Kind::UdpRoute, "d")]);
    eventually("the time to drain is over", || removed(&node) == 1);
    client.send(b"b");
    eventually("no route", || counted(&node.metrics().udp.dropped, "no-route") == 1);
    node.apply(&[route("")]);
    assert_eq!(client.ask(b"c"), b"c");
}

#[test]
fn an_endpoint_that_left_keeps_no_flow_for_ever() {
    let echoes = [Echo::start(), Echo::start()];
    let mut node = UdpNode::to(&[echoes[0].address], "");
    node.apply(&[drain(100, 1)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.apply(&[put(Kind::Upstream, "u", upstream_json(&[echoes[1].address], ""))]);
    eventually("the flow moves", || {
        // What is under way as the flow ends has no answer.
        client.send(b"b");
        echoes[1].count() > 0
    });
    assert_eq!(counted(&node.metrics().udp.ended, "route-removed"), 1);
}

#[test]
fn a_flow_that_drains_goes_to_no_upstream_that_came_in_the_place_of_its_own() {
    let closed = ClosedPort::new();
    let others = [Echo::start(), Echo::start()];
    let mut node = UdpNode::to(&[others[0].address], "");
    let to_gone = put(Kind::UdpRoute, "d", r#"{"listeners":["dns"],"upstream":"gone"}"#);
    let upstream = put(Kind::Upstream, "gone", upstream_json(&[closed.address], ""));
    node.apply(&[drain(3_600_000, 1), upstream, to_gone]);
    let client = node.client();
    client.send(b"a");
    let failures = |node: &UdpNode| {
        let metrics = node.metrics();
        metrics.upstreams.iter().flat_map(|u| &u.endpoints).map(|e| e.failures).sum::<u64>()
    };
    eventually("the failure is counted", || failures(&node) == 1);
    node.apply(&[gone(Kind::UdpRoute, "d"), gone(Kind::Upstream, "gone")]);
    node.apply(&[put(
        Kind::Upstream,
        "v",
        upstream_json(&others.each_ref().map(|o| o.address), ""),
    )]);
    client.send(b"b");
    let dropped = || counted(&node.metrics().udp.dropped, "no-upstream");
    let came = || others.iter().map(Echo::count).sum::<usize>();
    eventually("it is dropped", || dropped() == 1 || came() > 0);
    assert_eq!((dropped(), came()), (1, 0));
}

#[test]
fn a_flow_leaves_an_endpoint_in_maintenance_and_stays_at_one_that_drains() {
    let echoes = [Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let node = UdpNode::to(&addresses, "");
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    let first = usize::from(echoes[1].count() > 0);
    let order = |at: usize, order| node.engine().order("u", &addresses[at].to_string(), order);
    order(first, EndpointOrder::Drain);
    assert_eq!((client.ask(b"b"), echoes[first].count()), (b"b".to_vec(), 2));
    order(first, EndpointOrder::Maintenance);
    assert_eq!((client.ask(b"c"), echoes[first].count()), (b"c".to_vec(), 2));
    order(first, EndpointOrder::Ready);
    assert_eq!((client.ask(b"d"), echoes[first].count()), (b"d".to_vec(), 2));
    // Without another endpoint there is nobody to go to, as for newcomers.
    order(0, EndpointOrder::Maintenance);
    order(1, EndpointOrder::Maintenance);
    client.send(b"e");
    eventually("no endpoint", || counted(&node.metrics().udp.dropped, "no-endpoint") == 1);
    order(first, EndpointOrder::Ready);
    assert_eq!((client.ask(b"f"), node.metrics().udp.flows.total), (b"f".to_vec(), 1));
}

#[test]
fn a_drain_takes_no_newcomers_and_lets_flows_go_on() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    node.apply(&[drain(3_600_000, 3_600_000)]);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    node.engine().drain(Box::new(|| {}));
    eventually("newcomers are refused", || {
        let newcomer = node.client();
        newcomer.send(b"x");
        !newcomer.has_answer() && counted(&node.metrics().udp.dropped, "draining") > 0
    });
    assert_eq!(client.ask(b"b"), b"b");
    assert!(!node.engine().is_drained());
}

#[test]
fn the_end_waits_for_flows_until_they_are_quiet_or_the_deadline() {
    let echo = Echo::start();
    for (settings, why) in
        [(drain(3_600_000, 100), "drained"), (drain(1, 60_000), "drain-deadline")]
    {
        let mut node = UdpNode::to(&[echo.address], "");
        node.apply(&[settings]);
        assert_eq!(node.client().ask(b"a"), b"a");
        node.engine().drain(Box::new(|| {}));
        eventually("the workers leave", || node.engine().is_drained());
        assert_eq!(counted(&node.metrics().udp.ended, why), 1);
        is_clean(&node);
    }
}

#[test]
fn after_a_hand_over_answers_still_arrive() {
    let (ready, asked) = (UdpSocket::bind("127.0.0.1:0").unwrap(), &mut [0; 8]);
    let mut node = UdpNode::to(&[ready.local_addr().unwrap()], "");
    node.apply(&[drain(3_600_000, 60_000)]);
    let client = node.client();
    client.send(b"a");
    let (_, peer) = ready.recv_from(asked).unwrap();
    node.engine().handoff(None);
    for _ in 0..2 {
        ready.send_to(b"late", peer).unwrap();
        assert_eq!(client.receive(), b"late");
    }
}

/// Has a node give its flows away; returns them.
fn given(node: &UdpNode) -> GivenFlows {
    let (to, flows) = mpsc::channel();
    node.engine().handoff(Some(to));
    flows.recv_timeout(DEADLINE).unwrap()
}

#[test]
fn a_successor_goes_on_with_flows_and_loses_nothing_that_came_meanwhile() {
    let endpoint = UdpSocket::bind("127.0.0.1:0").unwrap();
    endpoint.set_read_timeout(Some(DEADLINE)).unwrap();
    let upstream = upstream_json(&[endpoint.local_addr().unwrap()], "");
    let old = UdpNode::start(&upstream, "", 1);
    let client = old.client();
    let mut buffer = [0; 16];
    client.send(b"one");
    let (_, peer) = endpoint.recv_from(&mut buffer).unwrap();
    let new = old.successor(&upstream, 2);
    let all = given(&old);
    assert_eq!((all.worker, all.flows.len()), (0, 1));
    let before = all.flows[0].told.clone();
    assert!(!old.engine().is_drained(), "they may come back");
    client.send(b"two");
    endpoint.send_to(b"answer", peer).unwrap();
    assert!(new.engine().take_flows(all.flows, DEADLINE).is_empty());
    assert_eq!(client.receive(), b"answer");
    assert!(new.metrics().udp.received.0 == 0, "nobody reads before all flows are here");
    new.engine().flows_are_here(0);
    let (n, from) = endpoint.recv_from(&mut buffer).unwrap();
    assert_eq!((&buffer[..n], from), (&b"two"[..], peer));
    old.engine().take_back_flows(GivenFlows { worker: 0, flows: Vec::new() });
    eventually("the old worker leaves", || old.engine().is_drained());
    let metrics = new.metrics();
    assert_eq!((metrics.udp.flows.active, metrics.udp.taken_over), (1, 1));
    assert_eq!(metrics.upstreams[0].endpoints[0].active, 1);
    is_clean(&old);
    // What it gives away in its turn tells of the whole flow.
    eventually("both datagrams are counted", || new.metrics().udp.sent.0 == 1);
    let (to, flows) = mpsc::channel();
    new.engine().handoff(Some(to));
    let all: Vec<_> = (0..2).flat_map(|_| flows.recv_timeout(DEADLINE).unwrap().flows).collect();
    let after = all.into_iter().next().unwrap().told;
    let Traffic { datagrams_in, datagrams_out, bytes_in, bytes_out } = after.traffic;
    assert_eq!((datagrams_in, datagrams_out, bytes_in, bytes_out), (2, 1, 6, 6));
    assert!(
        after.is_answered && after.age_us >= before.age_us,
        "{} {}",
        after.age_us,
        before.age_us
    );
    let place = |told: &ToldFlow| (told.client, told.local, told.address, told.route.clone());
    assert_eq!(place(&after), place(&before));
    assert_eq!((after.upstream, after.endpoint), (before.upstream, before.endpoint));
}

#[test]
fn a_flow_that_a_successor_takes_leaves_an_endpoint_in_maintenance() {
    let echoes = [Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let old = UdpNode::to(&addresses, "");
    let client = old.client();
    assert_eq!(client.ask(b"a"), b"a");
    let first = usize::from(echoes[1].count() > 0);
    let new = old.successor(&upstream_json(&addresses, ""), 1);
    new.engine().order("u", &addresses[first].to_string(), EndpointOrder::Maintenance);
    assert!(new.engine().take_flows(given(&old).flows, DEADLINE).is_empty());
    new.engine().flows_are_here(0);
    assert_eq!((client.ask(b"b"), echoes[first].count()), (b"b".to_vec(), 1));
    old.engine().take_back_flows(GivenFlows { worker: 0, flows: Vec::new() });
    eventually("the old worker leaves", || old.engine().is_drained());
}

#[test]
fn what_a_successor_has_no_place_for_goes_on_in_the_old_process() {
    let echo = Echo::start();
    let mut old = UdpNode::to(&[echo.address], "");
    old.apply(&[drain(60_000, 4_000)]);
    let client = old.client();
    assert_eq!(client.ask(b"a"), b"a");
    let other = Echo::start();
    let new = old.successor(&upstream_json(&[other.address], ""), 1);
    let mut all = given(&old);
    let (back, flow) = (all.flows[0].told.clone(), all.flows.remove(0));
    let fd = flow.fd.try_clone().unwrap();
    assert_eq!(new.engine().take_flows(vec![flow], DEADLINE), [0], "it has no such endpoint");
    let flows = vec![MovedFlow { told: back, fd }];
    old.engine().take_back_flows(GivenFlows { worker: 0, flows });
    new.engine().flows_are_here(1);
    assert_eq!(new.metrics().udp.left_behind, 1);
    eventually("the flow is back", || old.metrics().udp.flows.active == 1);
    assert_eq!(client.ask(b"b"), b"b");
    assert_eq!(other.count(), 1);
    is_clean(&old);
    eventually("the old worker leaves", || old.engine().is_drained());
}
