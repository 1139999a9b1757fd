//! The places that an upstream has for requests, and what a change of it leaves as it was.

use super::*;
use crate::shared::Shared;
use crate::worker::affinity::Wanted;
use crate::worker::claim::{Claim, Left, release_limits};
use crate::worker::exchange::TryTimes;
use crate::worker::upstreams::{EndpointState, NoPick, UpstreamState};
use hg_policy::{Tried, WyRand};
use hg_resilience::Outcome;
use std::rc::Rc;
use std::sync::atomic::Ordering::Relaxed;

/// Starts a node whose upstream has these endpoints, and these further keys.
fn node(endpoints: &[String], rest: &str) -> Node {
    Node::start(&json(endpoints, rest), "", 1)
}

fn json(endpoints: &[String], rest: &str) -> String {
    format!(r#"{{"endpoints":[{}]{rest}}}"#, endpoints.join(","))
}

fn endpoint(port: u16, rest: &str) -> String {
    format!(r#"{{"address":"127.0.0.1:{port}"{rest}}}"#)
}

/// Runs a function on what the worker knows of the upstream.
fn at_upstream<T: Send + 'static>(
    node: &Node,
    run: impl FnOnce(&mut UpstreamState, &mut WyRand, &Shared) -> T + Send + 'static,
) -> T {
    on_worker(node, |w| run(w.upstreams.get_mut(0).unwrap(), &mut w.rng, &w.shared))
}

/// An endpoint that was picked, and what the request takes there.
type Claimed = (Rc<EndpointState>, Claim);

/// Gives back what a request took.
fn leave(u: &mut UpstreamState, shared: &Shared, claimed: &Claimed) {
    leave_as(u, shared, claimed, (Outcome::Ok, 1));
}

/// Does the same for a request that ended so, at that time.
fn leave_as(
    u: &mut UpstreamState,
    shared: &Shared,
    (endpoint, claim): &Claimed,
    (outcome, now_us): (Outcome, u64),
) {
    let (admission, times) = (claim.admission, TryTimes::default());
    let left = Left { outcome, admission, times, now_us };
    endpoint.counters.active.sub(1);
    u.left(endpoint, &left, shared);
    if let Some(entry) = &claim.limits {
        release_limits(entry, &endpoint.address);
    }
}

fn counted(u: &UpstreamState) -> (u64, u32, u32) {
    let active = u.endpoints.iter().map(|e| e.counters.active.get()).sum();
    let each = u.entry.endpoints.iter().map(|e| e.in_use.load(Relaxed)).sum();
    (active, u.entry.in_use.load(Relaxed), each)
}

#[test]
fn requests_take_as_many_places_as_there_are_and_give_them_back() {
    for (of_upstream, of_each, places) in
        [(3, 0, 3), (0, 2, 4), (3, 2, 3), (4, 2, 4), (5, 2, 4), (1, 0, 1), (0, 1, 2), (0, 0, 6)]
    {
        let each = format!(r#","max_connections":{of_each}"#);
        let all = [1, 2].map(|port| endpoint(port, &each));
        let node = node(&all, &format!(r#","max_connections":{of_upstream}"#));
        at_upstream(&node, move |u, rng, shared| {
            for _ in 0..2 {
                let mut taken = Vec::new();
                for _ in 0..6 {
                    let has_room = u.has_room(Wanted::default(), shared, 0);
                    let picked = u.pick(&Tried::new(), Wanted::default(), (0, rng), shared);
                    assert_eq!(picked.is_ok(), has_room);
                    match picked {
                        Ok(claimed) => taken.push(claimed),
                        Err(why) => assert_eq!(why, NoPick::Full),
                    }
                }
                assert_eq!(taken.len(), places, "{of_upstream} {of_each}");
                let limited = if places == 6 { 0 } else { places as u32 };
                assert_eq!(counted(u), (places as u64, limited, limited));
                assert!(taken.iter().all(|(_, claim)| claim.limits.is_some() == (places < 6)));
                taken.iter().for_each(|claimed| leave(u, shared, claimed));
                assert_eq!(counted(u), (0, 0, 0));
            }
        });
    }
}

#[test]
fn only_a_request_that_has_tried_nothing_waits_for_a_place_of_an_endpoint() {
    let all = [1, 2].map(|port| endpoint(port, r#","max_connections":1"#));
    let node = node(&all, "");
    at_upstream(&node, |u, rng, shared| {
        let mut tried = Tried::new();
        assert!(tried.insert(0));
        let first = u.pick(&tried, Wanted::default(), (0, rng), shared).unwrap();
        assert_eq!(first.0.slot.get(), 1, "not the one that was tried");
        let why = u.pick(&tried, Wanted::default(), (0, rng), shared).err();
        assert_eq!(why, Some(NoPick::None));
        let second = u.pick(&Tried::new(), Wanted::default(), (0, rng), shared).unwrap();
        assert_eq!(second.0.slot.get(), 0, "the one that is not full");
        let why = u.pick(&Tried::new(), Wanted::default(), (0, rng), shared).err();
        assert_eq!(why, Some(NoPick::Full));
        assert!(tried.insert(1));
        leave(u, shared, &first);
        let why = u.pick(&tried, Wanted::default(), (0, rng), shared).err();
        assert_eq!(why, Some(NoPick::None));
        leave(u, shared, &second);
    });
}

#[test]
fn a_breaker_of_an_upstream_lets_a_request_through_after_its_time() {
    let breaker = r#","health":{"breaker":{"per":"upstream","failures":1,"open_ms":60000}}"#;
    let node = node(&[endpoint(1, "")], breaker);
    at_upstream(&node, |u, rng, shared| {
        let began_us = 1_000_000_000;
        let mut after = |ms: u64, outcome| {
            let now_us = began_us + ms * 1_000;
            let picked = u.pick(&Tried::new(), Wanted::default(), (now_us, rng), shared);
            let (endpoint, claim) = picked?;
            endpoint.counters.active.sub(1);
            let times = TryTimes { began_us: now_us, ..TryTimes::default() };
            let left = Left { outcome, admission: claim.admission, times, now_us };
            u.left(&endpoint, &left, shared);
            Ok(())
        };
        assert_eq!(after(0, Outcome::Reset), Ok(()));
        assert_eq!(after(59_000, Outcome::Ok), Err(NoPick::Broken));
        assert_eq!(after(61_000, Outcome::Ok), Ok(()));
    });
}

#[test]
fn each_upstream_has_an_id_that_no_other_has_had() {
    let one = json(&[endpoint(1, "")], "");
    let mut node = node(&[endpoint(1, "")], "");
    let id = |node: &Node, slot| on_worker(node, move |w| w.upstreams.get_mut(slot).unwrap().id);
    node.apply(&[put(Kind::Upstream, "v", &*one)]);
    let (first, second) = (id(&node, 0), id(&node, 1));
    node.apply(&[Change { kind: Kind::Upstream, name: "v".into(), bytes: None }]);
    node.apply(&[put(Kind::Upstream, "w", &*one)]);
    let third = id(&node, 1);
    assert!(first != second && second != third && first != third, "{first} {second} {third}");
}

#[test]
fn a_request_that_an_earlier_process_sent_has_a_place_at_its_endpoint() {
    let all = [1, 2].map(|port| endpoint(port, r#","max_connections":2"#));
    let node = node(&all, "");
    at_upstream(&node, |u, _, shared| {
        assert!(u.rejoin("127.0.0.1:3").is_none());
        let claimed = u.rejoin("127.0.0.1:2").unwrap();
        assert_eq!((claimed.0.slot.get(), claimed.1.limits.is_some()), (1, true));
        assert_eq!(counted(u), (1, 1, 1));
        leave(u, shared, &claimed);
        assert_eq!(counted(u), (0, 0, 0));
    });
}

#[test]
fn a_full_place_of_an_endpoint_that_takes_nothing_is_no_reason_to_wait() {
    let all = [
        endpoint(1, r#","max_connections":1"#),
        r#"{"address":"nobody.invalid:1","max_connections":1}"#.to_owned(),
    ];
    let node = node(&all, "");
    at_upstream(&node, |u, rng, shared| {
        assert!(u.has_room(Wanted::default(), shared, 0));
        let first = u.pick(&Tried::new(), Wanted::default(), (0, rng), shared).unwrap();
        assert_eq!(first.0.slot.get(), 0);
        assert!(!u.has_room(Wanted::default(), shared, 0), "the second one has no address");
        leave(u, shared, &first);
        assert!(u.has_room(Wanted::default(), shared, 0));
    });
}

const AFFINITY: &str =
    r#","affinity":{"cookie":"at","keys":["a-key-of-at-least-32-characters-00"]}"#;

#[test]
fn an_endpoint_of_weight_0_has_room_for_its_own_clients_alone() {
    let all =
        [endpoint(1, r#","max_connections":1"#), endpoint(2, r#","weight":0,"max_connections":1"#)];
    let node = node(&all, AFFINITY);
    at_upstream(&node, |u, rng, shared| {
        let any = Wanted::default();
        let own = Wanted { token: Some(u.endpoints[1].token), ..any };
        let first = u.pick(&Tried::new(), any, (0, rng), shared).unwrap();
        assert_eq!(first.0.slot.get(), 0);
        assert_eq!([any, own].map(|wanted| u.has_room(wanted, shared, 0)), [false, true]);
        let why = u.pick(&Tried::new(), any, (0, rng), shared).err();
        assert_eq!(why, Some(NoPick::Full));
        let second = u.pick(&Tried::new(), own, (0, rng), shared).unwrap();
        assert_eq!(second.0.slot.get(), 1);
        assert_eq!([any, own].map(|wanted| u.has_room(wanted, shared, 0)), [false, false]);
        leave(u, shared, &first);
        assert_eq!([any, own].map(|wanted| u.has_room(wanted, shared, 0)), [true, true]);
        leave(u, shared, &second);
    });
}

#[test]
fn nobody_waits_for_a_place_of_an_endpoint_that_is_not_open_to_him() {
    let unresolved = r#"{"address":"nobody.invalid:1"}"#.to_owned();
    let all = [unresolved, endpoint(2, r#","weight":0,"max_connections":1"#)];
    let node = node(&all, AFFINITY);
    at_upstream(&node, |u, rng, shared| {
        let own = Wanted { token: Some(u.endpoints[1].token), ..Wanted::default() };
        let taken = u.pick(&Tried::new(), own, (0, rng), shared).unwrap();
        for (wanted, why) in [(own, NoPick::Full), (Wanted::default(), NoPick::None)] {
            let picked = u.pick(&Tried::new(), wanted, (0, rng), shared);
            assert_eq!(picked.err(), Some(why), "{wanted:?}");
        }
        leave(u, shared, &taken);
    });
}

#[test]
fn a_half_open_breaker_has_room_for_as_many_as_it_lets_through() {
    let breaker = r#","health":{"breaker":{"failures":1,"open_ms":60000,"probes":1}}"#;
    let node = node(&[endpoint(1, r#","max_connections":1"#), endpoint(2, "")], breaker);
    at_upstream(&node, |u, rng, shared| {
        let any = Wanted::default();
        let (began_us, later_us) = (1_000_000_000, 1_060_000_000);
        let mut but_first = Tried::new();
        assert!(but_first.insert(0));
        let bad = u.pick(&but_first, any, (began_us, rng), shared).unwrap();
        leave_as(u, shared, &bad, (Outcome::Reset, began_us));
        let first = u.pick(&Tried::new(), any, (began_us, rng), shared).unwrap();
        assert!(!u.has_room(any, shared, began_us), "the breaker is open");
        u.entry.turn_breakers(shared, later_us / 1_000);
        assert!(u.has_room(any, shared, later_us));
        let trial = u.pick(&Tried::new(), any, (later_us, rng), shared).unwrap();
        assert_eq!([first.0.slot.get(), trial.0.slot.get()], [0, 1]);
        assert!(!u.has_room(any, shared, later_us), "its trial is under way");
        let why = u.pick(&Tried::new(), any, (later_us, rng), shared).err();
        assert_eq!(why, Some(NoPick::Full));
        leave_as(u, shared, &trial, (Outcome::Cancelled, later_us));
        assert!(u.has_room(any, shared, later_us), "its trial said nothing");
        leave(u, shared, &first);
    });
}

#[test]
fn a_cookie_names_its_endpoint_unless_that_was_tried_or_is_unknown() {
    let all = [endpoint(1, ""), endpoint(2, ""), endpoint(3, r#","weight":0"#)];
    let node = node(&all, AFFINITY);
    at_upstream(&node, |u, rng, shared| {
        for slot in 0..3 {
            let token = Some(u.endpoints[slot].token);
            let wanted = Wanted { token, ..Wanted::default() };
            for _ in 0..5 {
                let picked = u.pick(&Tried::new(), wanted, (0, rng), shared).unwrap();
                assert_eq!(picked.0.slot.get(), slot);
                leave(u, shared, &picked);
            }
            let mut tried = Tried::new();
            assert!(tried.insert(slot));
            let picked = u.pick(&tried, wanted, (0, rng), shared).unwrap();
            assert_ne!(picked.0.slot.get(), slot);
            leave(u, shared, &picked);
        }
        let token = Some(hg_policy::token("another", "127.0.0.1:1"));
        let wanted = Wanted { token, ..Wanted::default() };
        let slots: std::collections::BTreeSet<usize> = (0..20)
            .map(|_| {
                let picked = u.pick(&Tried::new(), wanted, (0, rng), shared).unwrap();
                leave(u, shared, &picked);
                picked.0.slot.get()
            })
            .collect();
        assert_eq!(slots.into_iter().collect::<Vec<_>>(), [0, 1], "weights alone decide");
    });
}

#[test]
fn the_report_on_an_endpoint_of_weight_0_tells_whether_it_has_clients_of_its_own() {
    let own = "takes only requests with its cookie: its weight is 0";
    for (rest, takes, why) in
        [("", false, "takes no traffic: its weight is 0"), (AFFINITY, true, own)]
    {
        let node = node(&[endpoint(1, ""), endpoint(2, r#","weight":0"#)], rest);
        let report = at_upstream(&node, |u, _, _| u.entry.health_report(1..2, 0));
        assert_eq!((report.state, report.takes, &*report.why), ("up", takes, why));
        node.engine.order("u", "127.0.0.1:2", hg_resilience::Admin::Maintenance);
        let report = at_upstream(&node, |u, _, _| u.entry.health_report(1..2, 0));
        assert_eq!((report.state, report.takes), ("maintenance", false));
        let is_like = "takes no traffic: ";
        assert!(report.why.starts_with(is_like) && report.why != own, "{}", report.why);
    }
}

/// Returns the id of the upstream, and the address and the identity of each endpoint's state.
fn states(node: &Node) -> (u64, Vec<(String, usize)>) {
    at_upstream(node, |u, _, _| {
        let one = |e: &Rc<EndpointState>| (e.address.to_string(), Rc::as_ptr(e) as usize);
        for (at, e) in u.endpoints.iter().enumerate() {
            assert_eq!(e.slot.get(), at);
        }
        (u.id, u.endpoints.iter().map(one).collect())
    })
}

#[test]
fn a_change_keeps_the_state_of_each_endpoint_that_stays() {
    let [a, b, c] = [1, 2, 3].map(|port| endpoint(port, ""));
    let mut node = node(&[a.clone(), b.clone(), a.clone()], "");
    let (id, before) = states(&node);
    assert_ne!(before[0].1, before[2].1, "an endpoint that is written twice has two states");
    let all = [c, a.clone(), a.clone(), b, a];
    node.apply(&[put(Kind::Upstream, "u", json(&all, ""))]);
    let (same, after) = states(&node);
    assert_eq!(same, id);
    assert_eq!([&after[1], &after[2], &after[3]], [&before[0], &before[2], &before[1]]);
    let new = [after[0].1, after[4].1];
    assert!(before.iter().all(|(_, state)| !new.contains(state)));
}

#[test]
fn a_request_at_an_endpoint_that_is_gone_counts_until_it_ends() {
    let [a, b] = [1, 2].map(|port| endpoint(port, ""));
    let two = r#","health":{"concurrency":{"initial":2,"min":2,"max":2}}"#;
    let mut node = node(&[a, b.clone()], two);
    at_upstream(&node, |u, rng, shared| {
        KEPT.set(Some([0, 1].map(|tried| {
            let mut all = Tried::new();
            assert!(all.insert(tried));
            u.pick(&all, Wanted::default(), (0, rng), shared).unwrap()
        })));
        assert!(!u.has_room(Wanted::default(), shared, 0));
    });
    node.apply(&[put(Kind::Upstream, "u", json(&[b], two))]);
    at_upstream(&node, |u, rng, shared| {
        let [at_b, at_a] = KEPT.take().unwrap();
        assert!(!u.has_room(Wanted::default(), shared, 0));
        leave(u, shared, &at_a);
        assert_eq!((counted(u).0, u.has_room(Wanted::default(), shared, 0)), (1, true));
        let more = u.pick(&Tried::new(), Wanted::default(), (0, rng), shared).unwrap();
        assert!(!u.has_room(Wanted::default(), shared, 0));
        leave(u, shared, &more);
        leave(u, shared, &at_b);
        assert_eq!((counted(u).0, u.has_room(Wanted::default(), shared, 0)), (0, true));
    });
}

thread_local! {
    /// Claims of one call of the worker for the next.
    static KEPT: std::cell::Cell<Option<[Claimed; 2]>> = const { std::cell::Cell::new(None) };
}
