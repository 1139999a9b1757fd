//! What flows may take of the process's descriptors. A process of its own, as the limit is lowered.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::eventually;
use common::udp::{Echo, UdpNode, counted};
use rustix::process::{Resource, Rlimit, setrlimit};

const LIMIT: u64 = 400;

#[test]
fn flows_leave_half_of_the_descriptors_to_others() {
    setrlimit(Resource::Nofile, Rlimit { current: Some(LIMIT), maximum: Some(LIMIT) }).unwrap();
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let turned_away = || {
        node.client().send(b"one datagram, and never heard of again");
        let udp = node.metrics().udp;
        // On a slow machine the first ones are quiet for a second, and give their place away.
        counted(&udp.dropped, "flows-full") + counted(&udp.ended, "evicted")
    };
    eventually("newcomers find no room", || turned_away() > 20);
    // The last newcomer may be about to take the place of another.
    eventually("half are taken", || node.metrics().udp.flows.active == LIMIT / 2);
    // A descriptor is free for a connection.
    std::net::TcpListener::bind("127.0.0.1:0").unwrap();
}
