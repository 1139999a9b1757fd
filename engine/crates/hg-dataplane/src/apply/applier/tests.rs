//! Plan, disk and workers change together, or not at all.

use super::*;
use crate::fake::FakeEngine;
use crate::store::tests::TempDir;
use hg_plan::Kind;
use std::path::Path;
use std::sync::atomic::Ordering;

fn put(name: &str, status: u16) -> Change {
    let bytes = format!(r#"{{"respond":{{"status":{status}}}}}"#).into_bytes();
    Change { kind: Kind::Middleware, name: name.into(), bytes: Some(bytes) }
}

fn delete(name: &str) -> Change {
    Change { kind: Kind::Middleware, name: name.into(), bytes: None }
}

fn certificate(name: &str, key: &[u8]) -> Change {
    let (cert, key) = (Digest::of(b"chain").hex(), Digest::of(key).hex());
    let bytes = format!(r#"{{"cert":"{cert}","key":"{key}"}}"#).into_bytes();
    Change { kind: Kind::Certificate, name: name.into(), bytes: Some(bytes) }
}

fn blobs(contents: &[&[u8]]) -> Blobs {
    contents.iter().map(|content| (Digest::of(content).hex(), Arc::from(*content))).collect()
}

struct Bench {
    temp: TempDir,
    engine: Arc<FakeEngine>,
    events: Arc<EventHub>,
    applier: Applier,
    /// The plan that the sender believes is held.
    plan: Plan,
}

impl Bench {
    fn new() -> Self {
        let temp = TempDir::new();
        let (engine, events) = (Arc::new(FakeEngine::default()), Arc::new(EventHub::default()));
        let applier = applier(temp.path(), &engine, &events);
        Self { temp, engine, events, applier, plan: Plan::default() }
    }

    /// Returns the transaction that a correct sender makes of changes.
    fn delta(&self, changes: &[Change], blobs: Blobs) -> Transaction {
        let mut after = self.plan.clone();
        let root = after.apply(changes).unwrap_or_default();
        let (base, changes) = (self.plan.digest(), changes.to_vec());
        Transaction { is_full: false, base, changes, blobs, root }
    }

    fn apply_with(&mut self, changes: &[Change], blobs: Blobs) -> Outcome {
        let outcome = self.applier.apply(self.delta(changes, blobs));
        if matches!(outcome, Outcome::Applied(_)) {
            self.plan.apply(changes).unwrap();
        }
        assert_eq!(self.applier.plan().digest(), self.plan.digest());
        outcome
    }

    fn apply(&mut self, changes: &[Change]) -> Outcome {
        self.apply_with(changes, Blobs::new())
    }

    fn applied(&mut self, changes: &[Change]) {
        let outcome = self.apply(changes);
        assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    }

    /// Starts another process on the same directory, as after a crash.
    fn restarted(&mut self) -> (Applier, Arc<FakeEngine>) {
        self.applier.leave();
        let engine = Arc::new(FakeEngine::default());
        let mut applier = applier(self.temp.path(), &engine, &self.events);
        applier.load();
        (applier, engine)
    }

    fn told_events(&self) -> Vec<String> {
        let mut stream = self.events.watch().unwrap();
        std::iter::from_fn(|| stream.try_recv().ok()).map(|event| event.unwrap().kind).collect()
    }
}

fn applier(dir: &Path, engine: &Arc<FakeEngine>, events: &Arc<EventHub>) -> Applier {
    let store = PlanStore::open(dir.join("plan")).unwrap();
    Applier::new(store, engine.clone(), events.clone())
}

fn message(outcome: &Outcome) -> &str {
    match outcome {
        Outcome::Refused(faults) => &faults[0].message,
        other => panic!("not refused: {other:?}"),
    }
}

#[test]
fn a_delta_reaches_the_workers_and_the_disk() {
    let mut bench = Bench::new();
    let outcome = bench.apply(&[put("a", 404), put("b", 404)]);
    assert_eq!(outcome, Outcome::Applied(Applied { compile_us: 7, swap_us: 3 }));
    bench.applied(&[put("c", 404), delete("a")]);
    assert_eq!(bench.engine.seen().changed, ["c", "a"]);
    let (again, engine) = bench.restarted();
    assert_eq!(again.plan().digest(), bench.plan.digest());
    assert_eq!(engine.seen().digest, Some(bench.plan.digest().hex()));
}

#[test]
fn what_changes_nothing_does_not_reach_the_workers() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404)]);
    bench.applied(&[put("a", 404), delete("never-there")]);
    assert_eq!(bench.engine.seen().applies, 1);
}

#[test]
fn a_full_plan_is_a_delta_that_also_deletes() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404), put("b", 404), put("c", 404)]);
    let whole = [put("a", 404), put("b", 503)];
    let mut plan = Plan::default();
    let root = plan.apply(&whole).unwrap();
    let outcome = bench.applier.apply(Transaction {
        is_full: true,
        base: Digest::default(),
        changes: whole.to_vec(),
        blobs: Blobs::new(),
        root,
    });
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    assert_eq!(bench.engine.seen().changed, ["b", "c"]);
    assert_eq!(bench.applier.plan().digest(), root);
}

#[test]
fn another_base_is_not_built_upon() {
    let mut bench = Bench::new();
    let late = bench.delta(&[put("b", 404)], Blobs::new());
    bench.applied(&[put("a", 404)]);
    assert_eq!(bench.applier.apply(late), Outcome::BaseMismatch);
}

#[test]
fn a_digest_that_does_not_fit_changes_nothing() {
    let mut bench = Bench::new();
    let mut transaction = bench.delta(&[put("a", 404)], Blobs::new());
    transaction.root = Digest::of(b"wrong");
    let outcome = bench.applier.apply(transaction);
    assert!(message(&outcome).starts_with("the sender's digest is "));
    assert_eq!(bench.applier.plan().digest(), Plan::default().digest());
    assert_eq!(bench.engine.seen().applies, 0);
}

#[test]
fn an_object_that_cannot_be_read_or_compiled_is_named_and_nothing_changes() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404)]);
    let before = std::fs::read(bench.temp.path().join("plan/plan")).unwrap();
    let nonsense = Change { bytes: Some(b"{\"dance\":1,\"sing\":1}".to_vec()), ..put("x", 1) };
    let outcome = bench.apply(&[put("a", 503), nonsense]);
    let Outcome::Refused(faults) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((&*faults[0].kind, &*faults[0].name), ("middleware", "x"));
    let outcome = bench.apply(&[put("a", 503), put("bad", 404)]);
    let Outcome::Refused(faults) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((&*faults[0].name, &*faults[0].path), ("bad", "respond.status"));
    assert_eq!(std::fs::read(bench.temp.path().join("plan/plan")).unwrap(), before);
    let (again, _) = bench.restarted();
    assert_eq!(again.plan().digest(), bench.plan.digest());
}

#[test]
fn a_panic_while_compiling_is_a_refusal() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404)]);
    let outcome = bench.apply(&[put("panic", 404)]);
    assert!(message(&outcome).contains("a bug"));
    bench.applied(&[put("b", 404)]);
}

#[test]
fn missing_key_material_is_listed_and_then_kept_by_hash() {
    let mut bench = Bench::new();
    let outcome = bench.apply(&[certificate("c", b"key")]);
    let mut names = vec![Digest::of(b"chain").hex(), Digest::of(b"key").hex()];
    names.sort();
    assert_eq!(outcome, Outcome::BlobsMissing(names));
    let outcome = bench.apply_with(&[certificate("c", b"key")], blobs(&[b"chain", b"key"]));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    let (again, engine) = bench.restarted();
    assert_eq!(again.plan().digest(), bench.plan.digest());
    assert_eq!(engine.seen().applies, 1);
}

#[test]
fn key_material_nobody_names_any_more_is_removed_once_that_is_safe() {
    let mut bench = Bench::new();
    bench.apply_with(&[certificate("c", b"key")], blobs(&[b"chain", b"key"]));
    bench.apply_with(&[certificate("c", b"next")], blobs(&[b"next"]));
    let path =
        |content: &[u8]| bench.temp.path().join("plan/blobs").join(Digest::of(content).hex());
    let (old, new, chain) = (path(b"key"), path(b"next"), path(b"chain"));
    assert!(old.exists() && bench.applier.is_unsettled());
    assert!(bench.applier.settle());
    assert!(!old.exists() && new.exists() && chain.exists());
    assert!(!bench.applier.is_unsettled());
}

#[test]
fn damaged_key_material_is_asked_for_again() {
    let mut bench = Bench::new();
    bench.apply_with(&[certificate("c", b"key")], blobs(&[b"chain", b"key"]));
    let key = Digest::of(b"key").hex();
    std::fs::write(bench.temp.path().join("plan/blobs").join(&key), b"kex").unwrap();
    let outcome = bench.apply(&[put("a", 404)]);
    assert_eq!(outcome, Outcome::BlobsMissing(vec![key]));
    let outcome = bench.apply_with(&[put("a", 404)], blobs(&[b"key"]));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
}

#[test]
fn a_plan_that_cannot_be_kept_is_refused_and_the_old_one_stays() {
    let mut bench = Bench::new();
    // A directory in the place of the new file acts as a disk that accepts nothing.
    std::fs::create_dir(bench.temp.path().join("plan/plan.new")).unwrap();
    let outcome = bench.apply(&[put("a", 404)]);
    assert!(message(&outcome).starts_with("the plan cannot be kept: "), "{outcome:?}");
    assert_eq!(bench.engine.seen().applies, 0);
    std::fs::remove_dir(bench.temp.path().join("plan/plan.new")).unwrap();
    bench.applied(&[put("a", 404)]);
}

#[test]
fn a_damaged_file_is_an_event_and_a_whole_plan_mends_it() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404)]);
    bench.applied(&[put("b", 404)]);
    bench.applier.leave();
    let path = bench.temp.path().join("plan/plan");
    let mut bytes = std::fs::read(&path).unwrap();
    bytes[40] ^= 1;
    std::fs::write(&path, bytes).unwrap();
    let (mut again, engine) = bench.restarted();
    assert!(again.plan().is_empty() && engine.seen().applies == 0);
    assert_eq!(bench.told_events(), ["plan.damaged"]);
    bench.plan = Plan::default();
    let outcome = again.apply(bench.delta(&[put("c", 404)], Blobs::new()));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
}

#[test]
fn a_plan_on_the_disk_that_no_longer_compiles_is_an_event_and_not_built_upon() {
    let mut bench = Bench::new();
    bench.apply_with(&[certificate("c", b"key")], blobs(&[b"chain", b"key"]));
    std::fs::remove_file(bench.temp.path().join("plan/blobs").join(Digest::of(b"key").hex()))
        .unwrap();
    let (mut again, _) = bench.restarted();
    assert!(again.plan().is_empty());
    assert_eq!(bench.told_events(), ["plan.not_served"]);
    bench.plan = Plan::default();
    let outcome = again.apply(bench.delta(&[put("c", 404)], Blobs::new()));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    again.leave();
    bench.plan.apply(&[put("c", 404)]).unwrap();
    let (last, _) = bench.restarted();
    assert_eq!(last.plan().digest(), bench.plan.digest());
}

#[test]
fn what_the_machine_lacks_refuses_a_new_plan_and_not_the_last_good_one() {
    let mut bench = Bench::new();
    bench.applied(&[put("needy", 404)]);
    bench.applier.leave();
    let bare = Arc::new(FakeEngine::default());
    bare.is_bare.store(true, Ordering::Relaxed);
    let mut again = applier(bench.temp.path(), &bare, &bench.events);
    again.load();
    assert_eq!(again.plan().digest(), bench.plan.digest());
    assert_eq!(bare.seen().digest, Some(bench.plan.digest().hex()));
    assert_eq!(bench.told_events(), Vec::<String>::new());
    let outcome = again.apply(bench.delta(&[put("b", 404)], Blobs::new()));
    let Outcome::Refused(faults) = &outcome else { panic!("{outcome:?}") };
    assert_eq!((&*faults[0].message, faults[0].is_passing), ("is not there now", true));
    assert_eq!(again.plan().digest(), bench.plan.digest());
    bare.is_bare.store(false, Ordering::Relaxed);
    let outcome = again.apply(bench.delta(&[put("b", 404)], Blobs::new()));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
}

#[test]
fn what_the_machine_lacks_does_not_refuse_a_plan_in_place_of_a_damaged_one() {
    let mut bench = Bench::new();
    bench.applied(&[put("needy", 404)]);
    bench.applier.leave();
    std::fs::write(bench.temp.path().join("plan/plan"), b"nonsense").unwrap();
    let bare = Arc::new(FakeEngine::default());
    bare.is_bare.store(true, Ordering::Relaxed);
    let mut again = applier(bench.temp.path(), &bare, &bench.events);
    again.load();
    assert_eq!(bench.told_events(), ["plan.damaged"]);
    assert!(again.has_lost_plan());
    let whole = std::mem::take(&mut bench.plan);
    let outcome = again.apply(bench.delta(&[put("needy", 404)], Blobs::new()));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
    assert_eq!(again.plan().digest(), whole.digest());
    assert!(!again.has_lost_plan());
    bench.plan = whole;
    let outcome = again.apply(bench.delta(&[put("b", 404)], Blobs::new()));
    assert_eq!(message(&outcome), "is not there now");
}

#[test]
fn a_process_that_leaves_takes_no_more_plans_and_its_successor_does() {
    let mut bench = Bench::new();
    bench.applied(&[put("a", 404)]);
    let (mut successor, _) = bench.restarted();
    let outcome = bench.apply(&[put("b", 404)]);
    assert!(message(&outcome).contains("leaving"));
    let outcome = successor.apply(bench.delta(&[put("b", 404)], Blobs::new()));
    assert!(matches!(outcome, Outcome::Applied(_)), "{outcome:?}");
}
