use super::*;
use crate::breaker::Judged;
use crate::outliers::Ended;
use crate::snapshot::{Builder, Snapshot};
use hg_plan::{Change, Plan};
use hg_resilience::{Census, Circuit, FULL_WEIGHT, Outcome, Outlier, Permit, Verdict};
use std::cell::Cell;

/// Snapshots, and a watch that follows them, without sockets.
struct World {
    shared: Arc<Shared>,
    builder: Builder,
    plan: Plan,
    watch: Watch,
    now_ms: u64,
}

const CHECK: &str = r#""health":{"check":{"interval_ms":5000,"healthy":2,"unhealthy":3}}"#;

fn upstream(endpoints: &str, rest: &str) -> String {
    format!(r#"{{"endpoints":[{endpoints}],{rest}}}"#)
}

fn endpoints(count: usize) -> String {
    let all: Vec<_> = (1..=count).map(|i| format!(r#"{{"address":"10.0.0.{i}:80"}}"#)).collect();
    all.join(",")
}

impl World {
    fn new() -> Self {
        let shared = Arc::new(Shared::new(1));
        let ticketer = hg_tls::Ticketer::new(&["11".repeat(32)]).unwrap();
        Self {
            watch: Watch::new(shared.clone(), 7),
            builder: Builder::new(ticketer, shared.clock, shared.keep.clone()),
            plan: Plan::default(),
            shared,
            now_ms: 1_000,
        }
    }

    fn serve(&mut self, name: &str, json: Option<String>) -> Arc<Snapshot> {
        let bytes = json.map(String::into_bytes);
        let changes = [Change { kind: Kind::Upstream, name: name.into(), bytes }];
        self.plan.apply(&changes).unwrap();
        let update = self.builder.apply(&self.plan, &changes, &|_| None).unwrap_or_else(|e| {
            panic!("{e:?}");
        });
        for &slot in &*update.upstreams {
            let entry = update.snapshot.upstreams.get(slot).cloned().flatten();
            self.watch.update(slot, entry, self.now_ms);
        }
        update.snapshot
    }

    /// Runs the check that is due next; `ok` says by address whether it passes. Returns the
    /// address.
    fn check(&mut self, ok: impl Fn(&str) -> bool) -> String {
        self.now_ms = self.now_ms.max(self.watch.next_ms().unwrap());
        let due = self.watch.take_due(self.now_ms).unwrap();
        let address = due.terms.address.to_string();
        let failure = Failure::new(Reason::CheckStatus, "the status is 500");
        let result = if ok(&address) { Ok(Passed::Check) } else { Err(failure) };
        self.watch.result(due.id, result, (self.now_ms, self.now_ms));
        address
    }

    fn checks(&mut self, count: usize, ok: impl Fn(&str) -> bool) {
        (0..count).for_each(|_| drop(self.check(&ok)));
    }

    fn events(&self) -> Vec<String> {
        self.shared.take_events().into_iter().map(|e| e.message).collect()
    }
}

fn entry<'s>(snapshot: &'s Snapshot, name: &str) -> &'s UpstreamEntry {
    snapshot.upstreams.iter().flatten().find(|u| &*u.name == name).unwrap()
}

/// Returns when the state of the first endpoint changed last.
fn changed_ms(entry: &UpstreamEntry) -> u64 {
    entry.endpoints[0].health.shared.load().changed_ms
}

fn takes(snapshot: &Snapshot, name: &str) -> Vec<bool> {
    let entry = entry(snapshot, name);
    let mut takes = vec![false; entry.endpoints.len()];
    entry.write_takes(&mut takes);
    takes
}

#[test]
fn at_the_start_all_take_requests_until_half_of_them_are_known_to_be_good() {
    let mut world = World::new();
    let snapshot = world.serve("u", Some(upstream(&endpoints(4), CHECK)));
    assert_eq!(takes(&snapshot, "u"), [true; 4]);
    world.check(|_| true);
    assert_eq!(takes(&snapshot, "u"), [true; 4], "one must not take the traffic of four");
    let known = world.check(|_| true);
    let up: Vec<_> = takes(&snapshot, "u");
    assert_eq!(up.iter().filter(|t| **t).count(), 2, "{known} and one more");
    world.checks(2, |_| true);
    assert_eq!(takes(&snapshot, "u"), [true; 4]);
}

#[test]
fn an_endpoint_goes_down_after_three_failures_and_up_after_two_passes() {
    let mut world = World::new();
    let snapshot = world.serve("u", Some(upstream(&endpoints(2), CHECK)));
    world.checks(2, |_| true);
    let epoch = entry(&snapshot, "u").health.epoch.get();
    let bad = |a: &str| a != "10.0.0.1:80";
    let mut failures = 0;
    while takes(&snapshot, "u")[0] {
        failures += usize::from(!bad(&world.check(bad)));
    }
    assert_eq!(failures, 3);
    assert_eq!(takes(&snapshot, "u"), [false, true]);
    assert_eq!(entry(&snapshot, "u").health.epoch.get(), epoch + 1);
    let event = world.events().pop().unwrap();
    assert_eq!(
        event,
        "endpoint 10.0.0.1:80 of upstream u is down: its checks got an unexpected status \
         (the status is 500)"
    );
    let mut passes = 0;
    while !takes(&snapshot, "u")[0] {
        passes += usize::from(world.check(|_| true) == "10.0.0.1:80");
    }
    assert_eq!(passes, 2);
}

#[test]
fn the_only_endpoint_takes_requests_though_it_is_down_and_says_so() {
    let mut world = World::new();
    let snapshot = world.serve("u", Some(upstream(&endpoints(1), CHECK)));
    world.check(|_| false);
    assert_eq!(takes(&snapshot, "u"), [true]);
    let report = entry(&snapshot, "u").health_report(0..1, world.now_ms);
    assert_eq!((report.state, report.takes, report.reason), ("down", true, "check-status"));
    assert_eq!(
        report.why,
        "takes traffic although its checks fail: panic, 0 of 1 endpoints are usable, the threshold \
         is 30 %; last change 0 ms ago: its checks got an unexpected status; the last check found: \
         the status is 500"
    );
    let events = world.events();
    assert!(events[0].ends_with("; it takes traffic all the same") || events.len() == 2);
    assert!(events[1].starts_with("upstream u is in panic: 0 of 1 endpoints"), "{events:?}");
}

#[test]
fn without_a_panic_threshold_no_endpoint_that_is_down_takes_requests() {
    let mut world = World::new();
    let off = CHECK.replace("}}", r#"},"panic_threshold":0}"#);
    let snapshot = world.serve("u", Some(upstream(&endpoints(3), &off)));
    world.checks(3, |_| false);
    assert_eq!(takes(&snapshot, "u"), [false; 3]);
}

#[test]
fn panic_ends_ten_seconds_after_enough_endpoints_are_usable() {
    let mut world = World::new();
    let snapshot = world.serve("u", Some(upstream(&endpoints(2), CHECK)));
    world.checks(2, |_| false);
    assert_eq!(takes(&snapshot, "u"), [true; 2], "panic");
    let good = |a: &str| a == "10.0.0.1:80";
    while entry(&snapshot, "u").standings().first.usable == 0 {
        world.check(good);
    }
    world.watch.turn(world.now_ms);
    assert_eq!(takes(&snapshot, "u"), [true; 2], "panic holds");
    world.watch.turn(world.now_ms + 10_000);
    assert_eq!(takes(&snapshot, "u"), [true, false]);
}

#[test]
fn a_usable_backup_keeps_panic_away() {
    let mut world = World::new();
    let backup = format!(r#"{},{{"address":"10.0.0.9:80","backup":true}}"#, endpoints(2));
    let snapshot = world.serve("u", Some(upstream(&backup, CHECK)));
    world.checks(3, |a| a == "10.0.0.9:80");
    assert_eq!(takes(&snapshot, "u"), [false, false, true]);
}

#[test]
fn a_reload_keeps_verdicts_clocks_and_words_and_a_new_endpoint_waits_for_its_check() {
    let mut world = World::new();
    let before = world.serve("u", Some(upstream(&endpoints(3), CHECK)));
    world.checks(3, |a| a != "10.0.0.2:80");
    let next = world.watch.next_ms();
    let after = world.serve("u", Some(upstream(&endpoints(4), CHECK)));
    assert!(Arc::ptr_eq(
        &entry(&before, "u").endpoints[1].health,
        &entry(&after, "u").endpoints[1].health
    ));
    assert_eq!(takes(&after, "u"), [true, false, true, false]);
    let new = world.watch.due.first().copied();
    assert!(next.is_some() && new <= next.map(|n| (n, usize::MAX)), "the others keep their time");
    assert_eq!(world.check(|_| true), "10.0.0.4:80");
    assert_eq!(takes(&after, "u"), [true, false, true, true]);
    let fewer = world.serve("u", Some(upstream(&endpoints(2), CHECK)));
    assert_eq!((world.watch.checks.len(), world.watch.due.len()), (2, 2));
    assert_eq!(takes(&fewer, "u"), [true, false]);
}

#[test]
fn a_changed_check_starts_from_what_is_known() {
    let mut world = World::new();
    world.serve("u", Some(upstream(&endpoints(2), CHECK)));
    world.checks(2, |_| true);
    let slower = r#""health":{"check":{"interval_ms":9000}}"#;
    let snapshot = world.serve("u", Some(upstream(&endpoints(2), slower)));
    let mut failures = 0;
    while failures < 2 {
        failures += usize::from(world.check(|a| a != "10.0.0.1:80") == "10.0.0.1:80");
    }
    assert_eq!(takes(&snapshot, "u"), [true; 2], "two failures are not enough");
}

#[test]
fn without_a_check_nothing_is_held_against_an_endpoint() {
    let mut world = World::new();
    world.serve("u", Some(upstream(&endpoints(4), CHECK)));
    world.checks(4, |_| false);
    let off = world.serve("u", Some(upstream(&endpoints(4), r#""queue":5"#)));
    assert_eq!(takes(&off, "u"), [true; 4]);
    assert!(!entry(&off, "u").health.panic.load(Relaxed));
    assert_eq!((world.watch.checks.len(), world.watch.due.len()), (0, 0));
    assert_eq!(entry(&off, "u").standings().first, Census { usable: 4, ..Census::default() });
}

#[test]
fn upstreams_with_the_same_endpoint_and_check_share_it() {
    let mut world = World::new();
    let a = world.serve("a", Some(upstream(&endpoints(2), CHECK)));
    world.checks(2, |a| a != "10.0.0.1:80");
    let both = world.serve("b", Some(upstream(&endpoints(2), CHECK)));
    assert_eq!(world.watch.checks.len(), 2);
    assert_eq!(takes(&both, "b"), [false, true], "the verdict is known at once");
    assert_eq!(takes(&a, "a"), [false, true]);
    world.serve("a", None);
    assert_eq!(world.watch.checks.len(), 2);
    world.serve("b", None);
    assert_eq!(world.watch.checks.len(), 0);
}

#[test]
fn a_name_without_addresses_is_not_checked_and_a_new_address_waits() {
    let mut world = World::new();
    let named = format!(r#"{{"address":"a.example:80"}},{}"#, endpoints(1));
    let snapshot = world.serve("u", Some(upstream(&named, CHECK)));
    assert_eq!(world.watch.checks.len(), 1);
    world.check(|_| true);
    let report = entry(&snapshot, "u").health_report(0..1, world.now_ms);
    assert_eq!((report.state, report.takes), ("unresolved", false));
    let addresses = ["10.1.0.1:80", "10.1.0.2:80"].map(|a| Address::Inet(a.parse().unwrap()));
    let told = vec![("a.example:80".into(), addresses.into())];
    let update = world.builder.resolve(told).unwrap();
    let entry = update.snapshot.upstreams[update.upstreams[0]].clone();
    world.watch.update(update.upstreams[0], entry, world.now_ms);
    assert_eq!(world.watch.checks.len(), 3);
    let states: Vec<_> = (0..3)
        .map(|i| update.snapshot.upstreams[0].as_ref().unwrap().health_report(i..i + 1, 0).state)
        .collect();
    assert_eq!(states, ["unknown", "unknown", "up"]);
}

#[test]
fn equal_seeds_enforce_the_same_verdicts() {
    let rest =
        r#""health":{"outliers":{"enforce_percent":30,"consecutive_5xx":1,"max_ejected":100}}"#;
    let drawn = |seed: u64| {
        let mut world = World::new();
        world.shared = Arc::new(Shared::seeded(1, seed));
        let json = upstream(&endpoints(2), rest);
        let snapshot = world.serve("u", Some(json));
        let entry = entry(&snapshot, "u");
        let ended = |began_ms| Ended {
            outcome: Outcome::ServerError,
            is_probe: false,
            began_ms,
            now_ms: began_ms,
        };
        let (mut drawn, added_ms) = (Vec::new(), changed_ms(entry));
        for turn in 1..=60_u64 {
            let now_ms = added_ms + turn * 10;
            entry.note(&world.shared, 0, ended(now_ms));
            let is_out = entry.endpoints[0].health.shared.load().outlier != Outlier::In;
            drawn.push(is_out);
            if is_out {
                entry.endpoints[0].health.shared.apply(Event::OutliersOff, now_ms + 1, FULL_WEIGHT);
            }
        }
        drawn
    };
    let (one, two) = (drawn(1), drawn(2));
    assert_eq!(one, drawn(1));
    assert_ne!(one, two);
    let ejected = one.iter().filter(|out| **out).count();
    assert!((5..35).contains(&ejected), "{ejected} of 60");
}

#[test]
fn requests_from_before_an_ejection_say_nothing_of_an_endpoint_that_is_back() {
    let mut world = World::new();
    let rest = r#""health":{"outliers":{"consecutive_local":2,"max_ejected":100}}"#;
    let snapshot = world.serve("u", Some(upstream(&endpoints(2), rest)));
    let entry = entry(&snapshot, "u");
    let added_ms = changed_ms(entry);
    let end = |outcome, is_probe, times: [u64; 2]| {
        let [began_ms, now_ms] = times.map(|ms| added_ms + ms);
        let ended = Ended { outcome, is_probe, began_ms, now_ms };
        entry.note(&world.shared, 0, ended);
        entry.endpoints[0].health.shared.load().outlier
    };
    assert_eq!(end(Outcome::Timeout, false, [2_000, 3_000]), Outlier::In);
    assert_eq!(end(Outcome::Timeout, false, [2_000, 3_000]), Outlier::Ejected);
    entry.change(&world.shared, 0, Event::EjectionOver, added_ms + 40_000);
    assert_eq!(entry.admits(0, added_ms + 41_000), Some(true));
    assert_eq!(end(Outcome::Ok, true, [41_000, 42_000]), Outlier::In);
    for _ in 0..5 {
        assert_eq!(end(Outcome::Timeout, false, [2_000, 60_000]), Outlier::In);
    }
    assert_eq!(end(Outcome::Timeout, false, [42_000, 60_000]), Outlier::In);
    assert_eq!(end(Outcome::Timeout, false, [43_000, 60_000]), Outlier::Ejected);
}

#[test]
fn what_began_before_a_breaker_opened_is_in_no_share_once_it_has_closed() {
    let mut world = World::new();
    let rest = r#""health":{"breaker":{"failures":0,"error_percent":50,"requests":4}}"#;
    let snapshot = world.serve("u", Some(upstream(&endpoints(1), rest)));
    let (entry, now_ms) = (entry(&snapshot, "u"), Cell::new(2_000));
    let begin = || entry.acquire(&world.shared, Some(0), now_ms.get()).unwrap().unwrap();
    let end = |permit, verdict| {
        let judged = Judged { permit, verdict, head_ms: 9, now_ms: now_ms.get() };
        entry.judge(&world.shared, 0, judged);
    };
    let fail_all = |permits: &[Permit]| permits.iter().for_each(|one| end(*one, Verdict::Bad));
    let after = |ms| {
        now_ms.set(now_ms.get() + ms);
        entry.turn_breakers(&world.shared, now_ms.get());
        entry.endpoints[0].health.guard().state().0
    };
    let old = [(); 9].map(|()| begin());
    fail_all(&[(); 4].map(|()| begin()));
    assert_eq!([1_000, 30_000].map(after), [Circuit::Open, Circuit::HalfOpen]);
    (0..2).for_each(|_| end(begin(), Verdict::Good));
    assert_eq!(after(1_000), Circuit::Closed);
    fail_all(&old);
    assert_eq!(after(1_000), Circuit::Closed);
    fail_all(&[(); 4].map(|()| begin()));
    assert_eq!(after(1_000), Circuit::Open);
}

#[test]
fn a_check_goes_on_with_the_limits_of_heads_that_are_served() {
    let mut world = World::new();
    let of = |world: &mut World, limit: &str| {
        let rest = format!(r#"{limit}{CHECK}"#);
        world.serve("u", Some(upstream(&endpoints(1), &rest)));
        world.now_ms = world.watch.next_ms().unwrap();
        world.watch.take_due(world.now_ms).unwrap().terms.limits.head_bytes
    };
    assert_eq!(of(&mut world, r#""head_bytes":16384,"#), 16_384);
    assert_eq!(of(&mut world, r#""head_bytes":65536,"#), 65_536);
}
