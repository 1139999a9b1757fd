//! Tests of what a plan store keeps over a restart, a crash, damage and a successor.

use super::*;
use hg_plan::Kind;
use std::sync::atomic::{AtomicU32, Ordering};

/// A directory that is deleted with the test.
pub(crate) struct TempDir(PathBuf);

impl TempDir {
    pub(crate) fn new() -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let name =
            format!("hg-dp-{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        fs::create_dir(&path).unwrap();
        Self(path)
    }

    pub(crate) fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for TempDir {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

fn put(name: &str, status: u16) -> Change {
    let bytes = format!(r#"{{"respond":{{"status":{status}}}}}"#).into_bytes();
    Change { kind: Kind::Middleware, name: name.into(), bytes: Some(bytes) }
}

fn delete(name: &str) -> Change {
    Change { kind: Kind::Middleware, name: name.into(), bytes: None }
}

/// A store and the plan it holds, as the applier uses them.
struct Held {
    store: PlanStore,
    plan: Plan,
}

impl Held {
    fn open(dir: &Path) -> (Self, Loaded) {
        let mut store = PlanStore::open(dir.to_path_buf()).unwrap();
        let loaded = store.load();
        (Self { store, plan: loaded.plan.clone() }, loaded)
    }

    fn prepare(&mut self, changes: &[Change]) -> io::Result<()> {
        self.store.own(&self.plan)?;
        let root = self.plan.apply(changes).unwrap();
        self.store.prepare(&root, changes)
    }

    fn apply(&mut self, changes: &[Change]) {
        self.prepare(changes).unwrap();
        self.store.commit().unwrap();
    }
}

fn digest_in(dir: &Path) -> Digest {
    Held::open(dir).1.plan.digest()
}

#[test]
fn what_was_committed_is_there_after_a_restart() {
    let temp = TempDir::new();
    let (mut held, loaded) = Held::open(temp.path());
    assert!(loaded.plan.is_empty() && loaded.damage.is_none());
    held.apply(&[put("a", 404), put("b", 503)]);
    held.apply(&[delete("a"), put("c", 200)]);
    let expected = held.plan.digest();
    drop(held);
    let (_, loaded) = Held::open(temp.path());
    assert_eq!(loaded.plan.digest(), expected);
    assert_eq!((loaded.plan.len(), loaded.tail_bytes), (2, 0));
}

#[test]
fn what_was_prepared_but_never_served_is_not_read_back() {
    let temp = TempDir::new();
    let (mut held, _) = Held::open(temp.path());
    held.apply(&[put("a", 404)]);
    let served = held.plan.digest();
    held.prepare(&[put("b", 503)]).unwrap();
    drop(held);
    let (mut held, loaded) = Held::open(temp.path());
    assert_eq!(loaded.plan.digest(), served);
    assert!(loaded.tail_bytes > 0);
    held.apply(&[put("c", 503)]);
    assert_eq!(digest_in(temp.path()), held.plan.digest());
}

#[test]
fn a_refused_change_leaves_the_file_as_it_was() {
    let temp = TempDir::new();
    let (mut held, _) = Held::open(temp.path());
    held.apply(&[put("a", 404)]);
    let before = fs::read(temp.path().join("plan")).unwrap();
    let served = held.plan.clone();
    held.prepare(&[put("b", 503)]).unwrap();
    held.store.roll_back();
    held.plan = served;
    assert_eq!(fs::read(temp.path().join("plan")).unwrap(), before);
}

#[test]
fn a_file_cut_anywhere_gives_an_older_plan_or_says_so() {
    let temp = TempDir::new();
    let (mut held, _) = Held::open(temp.path());
    let mut served = vec![held.plan.digest()];
    for status in 200..204 {
        held.apply(&[put("a", status), put(&format!("m{status}"), status)]);
        served.push(held.plan.digest());
    }
    drop(held);
    let whole = fs::read(temp.path().join("plan")).unwrap();
    let other = TempDir::new();
    for len in 0..whole.len() {
        fs::write(other.path().join("plan"), &whole[..len]).unwrap();
        let (_, loaded) = Held::open(other.path());
        if len < record::MAGIC.len() {
            assert!(loaded.damage.is_some() && loaded.plan.is_empty());
        } else {
            assert!(loaded.damage.is_none(), "{len}: {:?}", loaded.damage);
            assert!(served.contains(&loaded.plan.digest()));
        }
    }
}

#[test]
fn damage_before_the_last_record_is_reported_and_nothing_is_served() {
    let temp = TempDir::new();
    let (mut held, _) = Held::open(temp.path());
    held.apply(&[put("a", 404)]);
    held.apply(&[put("b", 404)]);
    drop(held);
    let path = temp.path().join("plan");
    let whole = fs::read(&path).unwrap();
    for at in [0, 20, 40, 80] {
        let mut bytes = whole.clone();
        bytes[at] ^= 0x40;
        fs::write(&path, &bytes).unwrap();
        let (_, loaded) = Held::open(temp.path());
        assert!(loaded.plan.is_empty(), "{at}");
        assert!(loaded.damage.unwrap().contains("plan: "), "{at}");
    }
    let (mut held, _) = Held::open(temp.path());
    held.apply(&[put("c", 404)]);
    assert!(temp.path().join("plan.damaged").exists());
    assert_eq!(digest_in(temp.path()), held.plan.digest());
}

#[test]
fn a_long_history_is_rewritten_and_means_the_same() {
    let temp = TempDir::new();
    let (mut held, _) = Held::open(temp.path());
    let filler: Vec<Change> = (0..3000).map(|i| put(&format!("filler-{i}"), 404)).collect();
    held.apply(&filler);
    held.store.settle(&held.plan).unwrap();
    let path = temp.path().join("plan");
    let mut longest = 0;
    for round in 0..20 {
        let changes: Vec<Change> =
            (0..3000).map(|i| put(&format!("filler-{i}"), 200 + round)).collect();
        held.apply(&changes);
        longest = longest.max(fs::metadata(&path).unwrap().len());
        held.store.settle(&held.plan).unwrap();
        assert_eq!(digest_in(temp.path()), held.plan.digest());
    }
    assert!(longest < 4 * plan_bytes(&held.plan) + 2 * SLACK_BYTES, "{longest}");
    assert!(!held.store.is_unsettled());
    assert!(!temp.path().join("plan.new").exists());
}

#[test]
fn a_successor_reads_at_once_but_writes_only_when_the_old_one_let_go() {
    let temp = TempDir::new();
    let (mut old, _) = Held::open(temp.path());
    old.apply(&[put("a", 404)]);
    let (mut new, loaded) = Held::open(temp.path());
    assert_eq!(loaded.plan.digest(), old.plan.digest());
    let error = new.prepare(&[put("b", 404)]).unwrap_err();
    assert!(error.to_string().contains("another data-plane process"), "{error}");
    old.apply(&[put("late", 404)]);
    old.store.release();
    new.apply(&[put("b", 404)]);
    assert_eq!(digest_in(temp.path()), new.plan.digest());
}

#[test]
fn a_directory_that_cannot_be_written_is_named() {
    let temp = TempDir::new();
    fs::write(temp.path().join("file"), b"").unwrap();
    let Err(error) = PlanStore::open(temp.path().join("file/plan")) else { panic!("opened") };
    assert!(error.to_string().contains("file/plan"), "{error}");
}
