//! Carries a transaction out: plan, disk and workers change together, or not at all.

use super::machine::{Blobs, Fault, Transaction};
use super::references::{References, missing};
use crate::engine_port::{Applied, EngineApi};
use crate::events::EventHub;
use crate::store::PlanStore;
use hg_engine::EventLevel;
use hg_plan::{Change, Digest, Drain, Object, ObjectError, Plan};
use std::cell::RefCell;
use std::collections::HashSet;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

/// The result of a transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// Every worker serves the plan.
    Applied(Applied),
    /// Nothing changed, for these reasons.
    Refused(Vec<Fault>),
    /// The delta is based on another plan than the one held.
    BaseMismatch,
    /// Key material that the objects name and nobody sent, by sha256 in hex.
    BlobsMissing(Vec<String>),
}

/// Holds the plan that the workers serve.
pub struct Applier {
    plan: Plan,
    references: References,
    /// Blobs to remove once a plan that no longer names them is on the disk.
    unused: Vec<Digest>,
    store: PlanStore,
    engine: Arc<dyn EngineApi>,
    events: Arc<EventHub>,
    is_leaving: bool,
    is_tidy: bool,
    /// True while nothing is served because the last good plan could not be used.
    is_bereft: bool,
}

impl Applier {
    /// Makes an applier with an empty plan, over a directory and an engine.
    pub fn new(store: PlanStore, engine: Arc<dyn EngineApi>, events: Arc<EventHub>) -> Self {
        Self {
            plan: Plan::default(),
            references: References::default(),
            unused: Vec::new(),
            store,
            engine,
            events,
            is_leaving: false,
            is_tidy: false,
            is_bereft: false,
        }
    }

    /// Returns the plan that the workers serve.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Reports whether nothing is served because the last good plan could not be used.
    pub fn has_lost_plan(&self) -> bool {
        self.is_bereft
    }

    /// Serves the last good plan from the disk, whatever the machine lacks now: traffic needs no
    /// access log. A plan that cannot be used causes an event, not an error: the applier then holds
    /// the empty plan, and the control process sends a whole one.
    pub fn load(&mut self) {
        let loaded = self.store.load();
        if let Some(damage) = loaded.damage {
            self.is_bereft = true;
            return self.event(EventLevel::Error, "plan.damaged", damage);
        }
        if loaded.tail_bytes > 0 {
            let text = format!("{} bytes of a change never served", loaded.tail_bytes);
            self.event(EventLevel::Info, "plan.tail_dropped", text);
        }
        if loaded.plan.is_empty() {
            return;
        }
        let changes: Vec<Change> = loaded
            .plan
            .encoded()
            .map(|(kind, name, bytes)| Change {
                kind,
                name: name.clone(),
                bytes: Some(bytes.to_vec()),
            })
            .collect();
        match self.serve(&loaded.plan, &changes, &Blobs::new()) {
            Outcome::Applied(_) => {
                self.references = References::of(&loaded.plan);
                self.plan = loaded.plan;
            }
            refused => {
                self.is_bereft = true;
                self.store.disown_loaded();
                self.event(EventLevel::Error, "plan.not_served", told(&refused));
            }
        }
    }

    /// Applies one transaction; blocks until every worker serves it or it is refused.
    pub fn apply(&mut self, transaction: Transaction) -> Outcome {
        if self.is_leaving {
            return refused("this data-plane process is leaving; its successor takes plans");
        }
        if !transaction.is_full && transaction.base != self.plan.digest() {
            return Outcome::BaseMismatch;
        }
        let Transaction { is_full, changes, blobs, root, .. } = transaction;
        let changes = effective(&self.plan, changes, is_full);
        if let Err(error) = self.store.own(&self.plan) {
            return refused(&format!("the plan cannot be kept: {error}"));
        }
        self.tidy_once();
        let before = naming(&self.plan, &changes);
        let undo = match self.plan.exchange(&changes) {
            Ok(undo) => undo,
            Err(errors) => return Outcome::Refused(errors.into_iter().map(Fault::from).collect()),
        };
        let outcome = self.bring_in(root, self.plan.digest(), &changes, &blobs);
        if matches!(outcome, Outcome::Applied(_)) {
            self.is_bereft = false;
            self.count_references(&before, &changes);
        } else {
            self.plan.restore(undo);
        }
        outcome
    }

    /// Writes the served plan to the disk; call it while nobody waits for an answer. Reports
    /// whether it worked, and emits an event if it did not.
    pub fn settle(&mut self) -> bool {
        match self.store.settle(&self.plan) {
            Ok(()) => {
                for digest in self.unused.drain(..) {
                    if !self.references.has(&digest) {
                        self.store.blobs().remove(&digest);
                    }
                }
                true
            }
            Err(error) => {
                let text = format!("the plan is served but not safe on the disk: {error}");
                self.event(EventLevel::Error, "plan.not_synced", text);
                false
            }
        }
    }

    /// Reports whether [`settle`](Self::settle) has something to do.
    pub fn is_unsettled(&self) -> bool {
        self.store.is_unsettled() || !self.unused.is_empty()
    }

    /// Accepts no more plans and lets a successor write; returns how long the plan lets a drain
    /// take.
    pub fn leave(&mut self) -> Duration {
        self.is_leaving = true;
        self.settle();
        self.store.release();
        let settings = self.plan.all_settings().next();
        let drain = settings.map_or_else(Drain::default, |(_, settings)| settings.drain.clone());
        Duration::from_millis(drain.deadline_ms)
    }

    /// Takes the changes everywhere but into the plan, which has them already; the caller undoes
    /// those.
    fn bring_in(
        &mut self,
        root: Digest,
        found: Digest,
        changes: &[Change],
        blobs: &Blobs,
    ) -> Outcome {
        if root != found {
            let (root, found) = (root.hex(), found.hex());
            return refused(&format!("the sender's digest is {root}, these objects give {found}"));
        }
        if changes.is_empty() {
            return Outcome::Applied(Applied::default());
        }
        let store = self.store.blobs();
        let missing =
            missing(&self.plan, changes, |name| blobs.contains_key(name) || store.has(name));
        if !missing.is_empty() {
            return Outcome::BlobsMissing(missing);
        }
        // One that comes in place of the last good plan is served at once, like that one.
        if !self.is_bereft
            && let Err(errors) = self.engine.check_machine(&self.plan, changes)
        {
            let passing = |error| Fault { is_passing: true, ..Fault::from(error) };
            return Outcome::Refused(errors.into_iter().map(passing).collect());
        }
        if let Err(error) = self.prepare(&root, changes, blobs) {
            self.store.roll_back();
            return refused(&format!("the plan cannot be kept: {error}"));
        }
        let outcome = {
            let plan = std::mem::take(&mut self.plan);
            let outcome = self.serve(&plan, changes, blobs);
            self.plan = plan;
            outcome
        };
        if !matches!(outcome, Outcome::Applied(_)) {
            self.store.roll_back();
        } else if let Err(error) = self.store.commit() {
            let text = format!("the plan is served but a restart would not find it: {error}");
            self.event(EventLevel::Error, "plan.not_persisted", text);
        }
        outcome
    }

    fn prepare(&mut self, root: &Digest, changes: &[Change], blobs: &Blobs) -> std::io::Result<()> {
        for (sha256, content) in blobs {
            self.store.blobs().write(sha256, content)?;
        }
        self.store.prepare(root, changes)
    }

    /// Has the engine compile and swap. A panic there is a bug, but no reason to stop serving:
    /// workers see a new plan only by the swap, which is the last step.
    fn serve(&mut self, plan: &Plan, changes: &[Change], blobs: &Blobs) -> Outcome {
        let unreadable = RefCell::new(Vec::new());
        let store = self.store.blobs();
        let lookup = |sha256: &str| {
            let found = blobs.get(sha256).cloned().or_else(|| store.read(sha256));
            if found.is_none() {
                unreadable.borrow_mut().push(sha256.to_owned());
            }
            found
        };
        let served = catch_unwind(AssertUnwindSafe(|| self.engine.apply(plan, changes, &lookup)));
        match served {
            Ok(Ok(applied)) => Outcome::Applied(applied),
            Ok(Err(_)) if !unreadable.borrow().is_empty() => {
                let mut names = unreadable.take();
                names.sort_unstable();
                names.dedup();
                Outcome::BlobsMissing(names)
            }
            Ok(Err(errors)) => Outcome::Refused(errors.into_iter().map(Fault::from).collect()),
            Err(_) => refused("compiling the plan failed inside; this is a bug"),
        }
    }

    fn count_references(&mut self, before: &[Arc<Object>], changes: &[Change]) {
        for object in naming(&self.plan, changes) {
            self.references.add(&object);
        }
        for object in before {
            self.unused.extend(self.references.remove(object));
        }
    }

    /// Removes blobs that a crash left behind, when this process may write for the first time.
    fn tidy_once(&mut self) {
        if !std::mem::replace(&mut self.is_tidy, true) {
            let keep = self.references.all();
            self.store.blobs().retain(&keep);
        }
    }

    fn event(&self, level: EventLevel, kind: &'static str, message: String) {
        self.events.emit(level, kind, None, message);
    }
}

impl From<ObjectError> for Fault {
    fn from(error: ObjectError) -> Self {
        Fault {
            kind: error.kind.as_str().into(),
            name: error.name.to_string(),
            path: error.path,
            message: error.message,
            is_passing: false,
        }
    }
}

/// Refuses for a reason that concerns no single object.
fn refused(message: &str) -> Outcome {
    Outcome::Refused(vec![Fault { message: message.into(), ..Fault::default() }])
}

/// Returns the first reason, for an event.
fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Applied(_) => String::new(),
        Outcome::BaseMismatch => "another base".into(),
        Outcome::BlobsMissing(names) => format!("{} blobs are missing", names.len()),
        Outcome::Refused(faults) => faults.first().map_or_else(String::new, |fault| {
            let Fault { kind, name, path, message, .. } = fault;
            let more = faults.len() - 1;
            format!("{kind} {name} {path}: {message} ({more} more)")
        }),
    }
}

/// Returns those of the changed objects, as the plan has them, that may name blobs.
fn naming(plan: &Plan, changes: &[Change]) -> Vec<Arc<Object>> {
    let named = changes.iter().filter(|change| References::may_have(change.kind));
    named.filter_map(|change| plan.get(change.kind, &change.name)).collect()
}

/// Returns the changes that have an effect; a full plan also deletes what it does not contain.
fn effective(plan: &Plan, changes: Vec<Change>, is_full: bool) -> Vec<Change> {
    let mut effective = changes;
    if plan.is_empty() {
        effective.retain(|change| change.bytes.is_some());
        return effective;
    }
    let mut gone = Vec::new();
    if is_full {
        let given: HashSet<_> = effective.iter().map(|c| (c.kind, &*c.name)).collect();
        let kept = |kind, name: &Arc<str>| given.contains(&(kind, &**name));
        gone = plan
            .encoded()
            .filter(|(kind, name, _)| !kept(*kind, name))
            .map(|(kind, name, _)| Change { kind, name: name.clone(), bytes: None })
            .collect();
    }
    effective.retain(|c| plan.bytes(c.kind, &c.name).map(|b| &**b) != c.bytes.as_deref());
    effective.append(&mut gone);
    effective
}

#[cfg(test)]
mod tests;
