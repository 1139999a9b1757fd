//! The request that probes an endpoint after its ejection, on the only worker of a node.

use super::*;
use crate::health::EndpointHealth;
use hg_resilience::{Admin, Event, FULL_WEIGHT, Outlier, Reason};
use std::sync::Arc;

const OUTLIERS: &str = r#","health":{"outliers":{"ejection_ms":600000,"max_ejection_ms":600000}}"#;

/// Runs a function with the health of the second endpoint and the worker's clock in milliseconds.
fn with_second<T: Send + 'static>(
    node: &Node,
    run: impl FnOnce(&EndpointHealth, u64) -> T + Send + 'static,
) -> T {
    on_worker(node, move |w| {
        let now_ms = w.now_us / 1_000;
        let entry = Arc::clone(&w.upstreams.get_mut(0).unwrap().entry);
        let found = run(&entry.endpoints.get(1).unwrap().health, now_ms);
        entry.health.epoch.advance();
        found
    })
}

fn outlier(node: &Node) -> Outlier {
    with_second(node, |health, _| health.shared.load().outlier)
}

/// Ejects the second endpoint and ends that, by a clock that is so far before the worker's.
fn let_probe(node: &Node, ahead_ms: u64) {
    with_second(node, move |health, now_ms| {
        for event in [Event::Eject(Reason::ConsecutiveLocal), Event::EjectionOver] {
            health.shared.apply(event, now_ms + ahead_ms, FULL_WEIGHT).unwrap();
        }
    });
}

fn probed(node: &Node) -> Outlier {
    while outlier(node) == Outlier::ProbeDue {
        let mut s = ask(node, GET);
        assert_eq!(read_answer(&mut s).1, b"ok");
    }
    outlier(node)
}

#[test]
fn a_probe_counts_whatever_the_clock_of_the_thread_that_ended_the_ejection() {
    let ups = [Upstream::answering(OK), Upstream::answering(OK)];
    let node = Node::start(&upstream_json(&[ups[0].address, ups[1].address], OUTLIERS), "", 1);
    for ahead_ms in [0, 3, 60_000] {
        let_probe(&node, ahead_ms);
        assert_eq!(probed(&node), Outlier::In, "{ahead_ms} ms");
    }
}

#[test]
fn a_probe_ends_with_the_head_of_its_answer_whatever_else_changed_meanwhile() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let second = Upstream::play(move |mut s| {
        read_head(&mut s);
        wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
        s.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc").unwrap();
        drop(read_all(&mut s));
    });
    let first = Upstream::answering(OK);
    let node = Node::start(&upstream_json(&[first.address, second.address], OUTLIERS), "", 1);
    let_probe(&node, 0);
    let mut asked = Vec::new();
    while outlier(&node) == Outlier::ProbeDue {
        asked.push(ask(&node, GET));
        node.barrier();
    }
    assert_eq!(outlier(&node), Outlier::Probing);
    with_second(&node, |health, now_ms| {
        for order in [Admin::Drain, Admin::Ready] {
            health.shared.apply(Event::Operator(order), now_ms + 60_000, FULL_WEIGHT).unwrap();
        }
    });
    go.send(()).unwrap();
    for s in &mut asked {
        assert!(read_head(s).unwrap().starts_with("HTTP/1.1 200 "));
    }
    assert_eq!(outlier(&node), Outlier::In);
}
