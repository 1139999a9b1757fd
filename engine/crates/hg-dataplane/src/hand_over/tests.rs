use super::packets::tests::flow;
use super::*;
use crate::fake::FakeEngine;
use crate::link::tests::pair;
use rustix::net::{AddressFamily, SocketType, socket};

fn moved(client: u16, route: &str) -> MovedFlow {
    let fd = socket(AddressFamily::INET, SocketType::DGRAM, None).unwrap();
    MovedFlow { told: flow(client, route), fd }
}

fn engine(flows: Vec<GivenFlows>) -> (Arc<FakeEngine>, Arc<dyn EngineApi>) {
    let engine = Arc::new(FakeEngine::default());
    *engine.flows.lock().unwrap() = flows;
    (engine.clone(), engine)
}

fn clients(flows: &[hg_engine::ToldFlow]) -> Vec<u16> {
    flows.iter().map(|told| told.client.port()).collect()
}

#[test]
fn flows_go_to_the_successor_and_what_it_has_no_place_for_comes_back() {
    let one = GivenFlows { worker: 0, flows: (0..450).map(|i| moved(i, "r")).collect() };
    let flows = vec![moved(900, "r"), moved(901, "unknown"), moved(902, "r")];
    let (old, old_api) = engine(vec![one, GivenFlows { worker: 1, flows }]);
    let (new, new_api) = engine(vec![]);
    let (there, Link { socket: here }) = pair();
    give(Some(here), &old_api);
    take(Some(there), &new_api);
    let seen = new.wait(|seen| seen.left_behind.is_some());
    assert_eq!(seen.left_behind, Some(1));
    // Those that were quiet for longest come first.
    let expected: Vec<u16> = [902, 900].into_iter().chain((0..450).rev()).collect();
    assert_eq!(clients(&seen.taken), expected);
    let back = old.wait(|seen| seen.taken_back.len() == 2).taken_back;
    assert_eq!((back[0].0, clients(&back[0].1)), (0, vec![]));
    assert_eq!((back[1].0, clients(&back[1].1)), (1, vec![901]));
}

#[test]
fn all_flows_come_back_from_a_successor_that_is_gone() {
    let flows = vec![moved(1, "r"), moved(2, "r")];
    let (old, api) = engine(vec![GivenFlows { worker: 3, flows }]);
    let (there, Link { socket: here }) = pair();
    drop(there);
    give(Some(here), &api);
    let back = old.wait(|seen| seen.taken_back.len() == 1).taken_back;
    assert_eq!((back[0].0, clients(&back[0].1)), (3, vec![1, 2]));
}

#[test]
fn a_predecessor_that_breaks_off_keeps_its_flows() {
    let (new, api) = engine(vec![]);
    let (there, ours) = pair();
    send_flows(&ours, &[moved(1, "r"), moved(2, "r")], Instant::now() + DEADLINE).unwrap();
    drop(ours);
    take(Some(there), &api);
    let seen = new.wait(|seen| seen.left_behind.is_some());
    assert_eq!((seen.left_behind, seen.taken), (Some(2), vec![]));
}

#[test]
fn without_a_connection_nothing_is_waited_for() {
    let (old, api) = engine(vec![]);
    give(None, &api);
    assert!(old.seen().is_handed_off);
    take(None, &api);
    assert_eq!(old.seen().left_behind, Some(0));
}
