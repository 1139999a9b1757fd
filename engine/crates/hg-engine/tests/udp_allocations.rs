//! Shows that a datagram of an open flow allocates nothing. The test is alone in its process,
//! because it counts every thread; client and endpoint allocate nothing meanwhile.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "tests")]

mod common;

use common::udp::{Client, Echo, UdpNode};
use stats_alloc::{INSTRUMENTED_SYSTEM, Region, StatsAlloc};
use std::alloc::System;
use std::time::Instant;

#[global_allocator]
static ALLOCATOR: &StatsAlloc<System> = &INSTRUMENTED_SYSTEM;

const CLIENTS: usize = 4;
const ROUNDS: usize = 500;
/// What the clock may add, however many datagrams pass: see `allocations.rs`.
const HOUSE: usize = 16;

fn ask(clients: &[Client], rounds: usize) {
    let mut buffer = [0; 64];
    for _ in 0..rounds {
        for client in clients {
            client.send(b"question");
            assert_eq!(client.receive_into(&mut buffer), 8);
        }
    }
}

#[test]
fn a_datagram_of_an_open_flow_allocates_nothing() {
    let echo = Echo::start();
    let node = UdpNode::to(&[echo.address], "");
    let clients: Vec<Client> = (0..CLIENTS).map(|_| node.client()).collect();
    ask(&clients, ROUNDS);
    let (began, region) = (Instant::now(), Region::new(ALLOCATOR));
    ask(&clients, ROUNDS);
    let change = region.change();
    let count = change.allocations + change.reallocations;
    let house = HOUSE + 5 * began.elapsed().as_secs() as usize;
    assert!(count <= house, "{count} in {} datagrams each way", ROUNDS * CLIENTS);
}
