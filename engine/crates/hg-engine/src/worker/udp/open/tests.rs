//! The place of a newcomer among flows.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::common::put;
use crate::common::udp::{Echo, UdpNode, listener};
use crate::worker::tests::on_worker;
use hg_plan::Kind;

/// Returns whether a newcomer has a place beside a flow that has been quiet for so many milliseconds.
fn has_place_beside(node: &UdpNode, quiet_ms: u64) -> bool {
    on_worker(node.node(), move |w| {
        let id = w.udp.flows.ids().next().unwrap();
        let source = w.udp.flows.get(id).unwrap().source.clone();
        let real = w.now;
        w.now = w.udp.flows.seen_at(id).unwrap() + quiet_ms / Clock::TICK_MS;
        let has_place = w.room_for_flow(&source).is_ok();
        w.now = real;
        has_place
    })
}

#[test]
fn a_flow_gives_its_place_to_a_newcomer_after_a_second_and_not_before() {
    let echo = Echo::start();
    for (quiet_ms, expected) in [(0, false), (996, false), (1_000, true)] {
        let mut node = UdpNode::to(&[echo.address], "");
        node.apply(&[listener(node.address, r#","flows":1"#)]);
        assert_eq!(node.client().ask(b"a"), b"a");
        assert_eq!(has_place_beside(&node, quiet_ms), expected, "{quiet_ms} ms");
        assert_eq!(node.metrics().udp.flows.active, u64::from(!expected));
    }
}

#[test]
fn a_worker_that_leaves_has_no_place_for_newcomers_and_keeps_its_flows() {
    let echo = Echo::start();
    let mut node = UdpNode::to(&[echo.address], "");
    node.apply(&[put(Kind::Settings, "node", r#"{"drain":{"idle_grace_ms":60000}}"#)]);
    assert_eq!(node.client().ask(b"a"), b"a");
    let why = on_worker(node.node(), |w| {
        let id = w.udp.flows.ids().next().unwrap();
        let source = w.udp.flows.get(id).unwrap().source.clone();
        w.leaving = Leaving::Closing { idle_until: Ticks::MAX, deadline: Ticks::MAX };
        let found = w.room_for_flow(&source).err();
        w.leaving = Leaving::No;
        (found, w.udp.flows.len())
    });
    assert_eq!(why, (Some(Dropped::Draining), 1));
}

#[test]
fn no_flow_opens_once_the_process_has_as_many_as_it_may() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    assert_eq!(node.client().ask(b"a"), b"a");
    let found = on_worker(node.node(), |w| {
        let id = w.udp.flows.ids().next().unwrap();
        let mut source = w.udp.flows.get(id).unwrap().source.clone();
        // A listener without a flow.
        source.listener = 9;
        let before = w.room_for_flow(&source);
        let mut others = 0;
        while w.shared.flows.has_room() {
            w.shared.flows.opened();
            others += 1;
        }
        let after = w.room_for_flow(&source);
        (0..others).for_each(|_| w.shared.flows.ended());
        (before, after)
    });
    assert_eq!(found, (Ok(()), Err(Dropped::FlowsFull)));
}
