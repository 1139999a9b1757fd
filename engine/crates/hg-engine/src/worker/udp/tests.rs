//! Flows as a worker keeps them: what counts as an answer, what moves with one, and what its endpoint
//! is told.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "tests")]

use super::receive::Datagrams;
use super::*;
use crate::common::udp::{Client, Echo, UdpNode, counted, listener, route};
use crate::common::{DEADLINE, eventually, put, upstream_json};
use crate::hand_over::{GivenFlows, MovedFlow};
use crate::worker::Worker;
use crate::worker::tests::on_worker;
use hg_net::{Clock, Front};
use hg_plan::Kind;
use hg_relay::flows::{Held, ToldFlow};
use hg_relay::proxy_protocol::{kind, parse_datagram};
use hg_resilience::Admin;
use std::io;
use std::net::UdpSocket;
use std::ops::Range;
use std::sync::mpsc;

/// Runs a function on a node's only flow.
fn on_flow<T: Send + 'static>(
    node: &UdpNode,
    run: impl FnOnce(&mut Worker, FlowId) -> T + Send + 'static,
) -> T {
    on_worker(node.node(), move |w| {
        let id = w.udp.flows.ids().next().unwrap();
        run(w, id)
    })
}

/// Has a node give its flows away; returns them.
fn given(node: &UdpNode) -> Vec<MovedFlow> {
    let (to, flows) = mpsc::channel();
    node.engine().handoff(Some(to));
    let GivenFlows { flows, .. } = flows.recv_timeout(DEADLINE).unwrap();
    flows
}

/// An endpoint that never answers, and a flow that it has got a datagram of.
fn unanswered() -> (UdpSocket, UdpNode, Client) {
    let endpoint = UdpSocket::bind("127.0.0.1:0").unwrap();
    endpoint.set_read_timeout(Some(DEADLINE)).unwrap();
    let node = UdpNode::to(&[endpoint.local_addr().unwrap()], "");
    let client = node.client();
    client.send(b"question");
    endpoint.recv(&mut [0; 16]).unwrap();
    (endpoint, node, client)
}

#[test]
fn a_worker_is_done_with_flows_once_none_is_open_and_none_may_come_back() {
    let mut udp = Udp::default();
    assert!(udp.is_over());
    udp.waits = true;
    assert!(!udp.is_over());
    let (_endpoint, node, _client) = unanswered();
    assert!(on_flow(&node, |w, _| !w.udp.is_over() && w.udp.len() == 1));
}

#[test]
fn a_wake_that_brings_nothing_is_no_answer() {
    let (_endpoint, node, _client) = unanswered();
    let (is_touched, is_answered) = on_flow(&node, |w, id| {
        let (real, before) = (w.now, w.udp.flows.seen_at(id));
        w.now += 100;
        w.on_answers(id.index, id.generation);
        w.now = real;
        let flow = w.udp.flows.get(id).unwrap();
        let is_answered = flow.aim.as_ref().unwrap().0.is_answered();
        (w.udp.flows.seen_at(id) != before, is_answered)
    });
    assert_eq!((is_touched, is_answered), (false, false));
    let flows = given(&node);
    assert_eq!(flows.iter().map(|flow| flow.told.is_answered).collect::<Vec<_>>(), [false]);
}

#[test]
fn a_flow_is_idle_once_it_was_quiet_for_as_long_as_its_route_says() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], r#","idle_ms":60000"#);
    let client = node.client();
    assert_eq!(client.ask(b"a"), b"a");
    let left = on_flow(&node, |w, id| {
        let (real, seen_at) = (w.now, w.udp.flows.seen_at(id).unwrap());
        let idle = 60_000 / Clock::TICK_MS;
        let left = [idle - 1, idle].map(|quiet| {
            w.now = seen_at + quiet;
            w.sweep_flows();
            w.udp.len()
        });
        w.now = real;
        left
    });
    assert_eq!(left, [1, 0]);
}

#[test]
fn flows_that_are_about_to_end_are_not_given_away() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let clients = [node.client(), node.client()];
    for client in &clients {
        assert_eq!(client.ask(b"a"), b"a");
    }
    on_flow(&node, |w, id| {
        w.udp.flows.get_mut(id).unwrap().drained_at = Some(Ticks::MAX);
    });
    assert_eq!(given(&node).len(), 1);
    assert_eq!(node.metrics().udp.flows.active, 1);
}

#[test]
fn a_flow_that_moves_keeps_its_age_its_name_and_the_time_for_which_it_was_quiet() {
    let echo = Echo::start();
    let old = UdpNode::to(&[echo.address], "");
    assert_eq!(old.client().ask(b"a"), b"a");
    on_flow(&old, |w, id| {
        let (key, flow) = w.udp.flows.remove(id).unwrap();
        let group = usize::from(flow.source.listener);
        w.udp.flows.insert(group, key, w.now - 8_000 / Clock::TICK_MS, flow);
    });
    let new = old.successor(&upstream_json(&[echo.address], ""), 1);
    let mut flow = given(&old).remove(0);
    assert!((8_000_000..68_000_000).contains(&flow.told.quiet_us), "{}", flow.told.quiet_us);
    flow.told.age_us = 90_000_000;
    flow.told.quiet_us = 80_000_000;
    flow.told.said.sni = Some("a.example".to_owned());
    flow.told.said.told_id = "id".to_owned();
    assert!(new.engine().take_flows(vec![flow], DEADLINE).is_empty());
    let (quiet, age_us, texts) = on_flow(&new, |w, id| {
        let flow = w.udp.flows.get(id).unwrap();
        let texts = [flow.sni.as_deref().unwrap_or_default(), &flow.told_id, &flow.endpoint];
        let quiet = w.now - w.udp.flows.seen_at(id).unwrap();
        (quiet, w.now_us - flow.began_us, texts.map(str::to_owned))
    });
    assert!((20_000..40_000).contains(&quiet), "{quiet} ticks");
    assert!((90_000_000..150_000_000).contains(&age_us), "{age_us}");
    assert_eq!(texts, ["a.example".to_owned(), "id".to_owned(), echo.address.to_string()]);
}

#[test]
fn a_flow_moves_only_to_its_own_socket_and_upstream_and_once() {
    let echo = Echo::start();
    let old = UdpNode::to(&[echo.address], "");
    assert_eq!(old.client().ask(b"a"), b"a");
    let new = old.successor(&upstream_json(&[echo.address], ""), 1);
    let flow = given(&old).remove(0);
    let take = |change: &dyn Fn(&mut ToldFlow)| {
        let mut told = flow.told.clone();
        change(&mut told);
        let moved = MovedFlow { told, fd: flow.fd.try_clone().unwrap() };
        new.engine().take_flows(vec![moved], DEADLINE)
    };
    assert_eq!(take(&|told| told.upstream = "other".to_owned()), [0]);
    assert_eq!(take(&|told| told.route = "other".to_owned()), [0]);
    assert_eq!(take(&|told| told.socket = 1), [0]);
    assert_eq!(take(&|told| told.address.set_port(1)), [0]);
    assert_eq!(new.metrics().udp.flows.active, 0);
    assert!(take(&|_| ()).is_empty());
    assert_eq!(take(&|_| ()), [0], "it is here");
    let metrics = new.metrics();
    assert_eq!((metrics.udp.flows.active, metrics.udp.taken_over), (1, 1));
    assert_eq!(metrics.upstreams[0].endpoints[0].active, 1);
}

#[test]
fn datagrams_with_endpoints_of_their_own_find_flows_that_came_from_another_process() {
    let echoes = [Echo::start(), Echo::start()];
    let upstream = upstream_json(&echoes.each_ref().map(|e| e.address), "");
    let each = r#","balance_by":"datagram""#;
    let old = UdpNode::start(&upstream, each, 1);
    let client = old.client();
    for _ in 0..2 {
        assert_eq!(client.ask(b"a"), b"a");
    }
    let mut new = old.successor(&upstream, 1);
    new.apply(&[route(each)]);
    assert!(new.engine().take_flows(given(&old), DEADLINE).is_empty());
    new.engine().flows_are_here(0);
    for _ in 0..4 {
        assert_eq!(client.ask(b"b"), b"b");
    }
    assert_eq!(new.metrics().udp.flows.total, 2);
    assert_eq!(echoes.each_ref().map(|e| (e.count(), e.peers().len())), [(3, 1); 2]);
}

#[test]
fn endpoints_are_told_of_a_flow_under_one_id_and_others_are_told_nothing() {
    let echoes = [Echo::start(), Echo::start()];
    let addresses = echoes.each_ref().map(|e| e.address);
    let json = upstream_json(&addresses, r#","pool":{"proxy_protocol":"v2"}"#);
    let node = UdpNode::start(&json, "", 1);
    let client = node.client();
    let id_of = |answer: Vec<u8>| {
        let header = parse_datagram(&answer).unwrap();
        header.tlvs.get(kind::UNIQUE_ID).unwrap().to_vec()
    };
    let order = |node: &UdpNode, at: usize, admin| {
        node.engine().order("u", &addresses[at].to_string(), admin);
    };
    let id = id_of(client.ask(b"a"));
    let first = usize::from(echoes[1].count() > 0);
    order(&node, first, Admin::Maintenance);
    assert_eq!(id_of(client.ask(b"b")), id, "another endpoint gets the same id");
    assert_eq!(echoes[1 - first].count(), 1);
    let header = on_flow(&node, |w, id| {
        w.udp.flows.get_mut(id).unwrap().sni = Some("a.example".into());
        w.tell_flow(id);
        w.udp.flows.get(id).unwrap().header.clone()
    });
    let tlvs = parse_datagram(&header).unwrap().tlvs;
    assert_eq!(tlvs.get(kind::AUTHORITY), Some(&b"a.example"[..]));
    assert_eq!(tlvs.get(kind::UNIQUE_ID), Some(&id[..]));
    let header = on_flow(&node, |w, id| {
        w.udp.flows.get_mut(id).unwrap().aim.as_mut().unwrap().0.tells = false;
        w.tell_flow(id);
        w.udp.flows.get(id).unwrap().header.len()
    });
    assert_eq!(header, 0);
    assert_eq!(client.ask(b"c"), b"c", "nothing is in front of it");
    assert_eq!(node.metrics().udp.flows.total, 1);
}

#[test]
fn a_socket_has_the_terms_of_its_own_listener() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = socket.local_addr().unwrap();
    socket.set_nonblocking(true).unwrap();
    node.engine().add_sockets(&format!("{address}/udp"), vec![socket.into()]);
    let second = |keys: &str| {
        let json = format!(r#"{{"addresses":["{address}"],"protocol":"udp"{keys}}}"#);
        put(Kind::Listener, "second", json)
    };
    let named = r#"{"listeners":["second"],"upstream":"u","sni":["a.example"]}"#;
    node.apply(&[second(""), put(Kind::UdpRoute, "n", named)]);
    assert_eq!(node.client().ask(b"a"), b"a");
    Client::to(address).send(b"a");
    eventually("only the second one asks for names", || {
        counted(&node.metrics().udp.hellos, "not-quic") == 1
    });
    let others = r#","client_ip":{"proxy_protocol":{"trusted":["192.0.2.0/24"]}}"#;
    node.apply(&[second(others), listener(node.address, r#","flows":100"#)]);
    assert_eq!(node.client().ask(b"b"), b"b");
    Client::to(address).send(b"b");
    eventually("only the second one wants headers", || {
        counted(&node.metrics().udp.dropped, "proxy-untrusted") == 1
    });
    assert_eq!(node.metrics().udp.flows.total, 2);
}

/// Datagrams that are passed on at a time: the kernel tells with the second that nobody got the first.
#[test]
fn what_an_endpoint_that_has_gone_does_not_get_is_counted() {
    for (each, ended) in [("", 0), (r#","balance_by":"datagram""#, 1)] {
        let endpoint = UdpSocket::bind("127.0.0.1:0").unwrap();
        endpoint.set_read_timeout(Some(DEADLINE)).unwrap();
        let node = UdpNode::to(&[endpoint.local_addr().unwrap()], each);
        let client = node.client();
        client.send(b"question");
        endpoint.recv(&mut [0; 16]).unwrap();
        drop(endpoint);
        on_flow(&node, |w, id| {
            let mut held = Held::default();
            assert!([b"a", b"b", b"c", b"d"].iter().all(|bytes| held.push(*bytes)));
            w.pass_on(id, (&mut held, 0..4), 0);
        });
        let udp = node.metrics().udp;
        assert_eq!(counted(&udp.dropped, "endpoint-unreachable"), 3, "{each}");
        assert_eq!(udp.received, (2, 9));
        assert_eq!(
            (counted(&udp.ended, "endpoint-unreachable"), udp.flows.active),
            (ended, 1 - ended)
        );
        assert_eq!(node.failures(), 1);
    }
}

#[test]
fn a_socket_that_closes_takes_its_flows_along_and_no_others() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    let second = UdpSocket::bind("127.0.0.1:0").unwrap();
    let [one, two] = [node.address, second.local_addr().unwrap()];
    second.set_nonblocking(true).unwrap();
    node.engine().add_sockets(&format!("{two}/udp"), vec![second.into()]);
    let json = format!(r#"{{"addresses":["{one}","{two}"],"protocol":"udp"}}"#);
    node.apply(&[put(Kind::Listener, "dns", json)]);
    let clients = [one, two].map(Client::to);
    clients.iter().for_each(|client| assert_eq!(client.ask(b"a"), b"a"));
    let left = on_worker(node.node(), move |w| {
        w.close_datagram_socket(two);
        w.udp.sockets.iter().map(|(_, s)| s.address).collect::<Vec<_>>()
    });
    assert_eq!(left, [one]);
    let udp = node.metrics().udp;
    assert_eq!((udp.flows.active, counted(&udp.ended, "route-removed")), (1, 1));
    assert_eq!(clients[0].ask(b"b"), b"b");
}

#[test]
fn a_process_that_hands_its_sockets_over_reads_no_more_of_them() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    let drain = r#"{"drain":{"idle_grace_ms":60000,"deadline_ms":3600000}}"#;
    node.apply(&[put(Kind::Settings, "node", drain)]);
    assert_eq!(node.client().ask(b"a"), b"a");
    node.engine().handoff(None);
    assert_eq!(on_worker(node.node(), |w| (w.udp.sockets.len(), w.udp.len())), (0, 1));
}

/// Datagrams of a byte, and what comes of each attempt to send some.
struct Scripted {
    results: Vec<(usize, io::Error)>,
    tried: Vec<Range<usize>>,
}

impl Datagrams for Scripted {
    fn send(&mut self, _: &Fd, range: Range<usize>, _: Front<'_>) -> (usize, io::Result<()>) {
        self.tried.push(range);
        let (sent, error) = self.results.remove(0);
        (sent, Err(error))
    }

    fn size(&self, _: usize) -> usize {
        1
    }
}

#[test]
fn each_datagram_that_cannot_be_sent_is_counted_and_those_behind_it_are_tried() {
    let (_endpoint, node, _client) = unanswered();
    let tried = on_flow(&node, |w, id| {
        let (denied, full) = (io::ErrorKind::PermissionDenied, io::ErrorKind::WouldBlock);
        let results = vec![(1, denied.into()), (1, denied.into()), (2, full.into())];
        let mut all = Scripted { results, tried: Vec::new() };
        w.pass_on(id, (&mut all, 2..12), 0);
        all.tried
    });
    assert_eq!(tried, [2..12, 4..12, 6..12]);
    let udp = node.metrics().udp;
    let [failed, blocked] = ["send-failed", "send-blocked"].map(|why| counted(&udp.dropped, why));
    assert_eq!((failed, blocked), (2, 4));
    assert_eq!(udp.received, (1 + 4, 8 + 4));
}
