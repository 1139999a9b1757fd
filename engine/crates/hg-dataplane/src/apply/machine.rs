//! Assembles the messages of one `Apply` stream into a transaction. Pure.

use crate::proto::apply_message::Part;
use crate::proto::{ApplyBegin, ApplyBlob, ApplyChanges, ApplyEnd, ApplyMessage, ObjectChange};
use foldhash::{HashSet, HashSetExt as _};
use hg_plan::{Change, Digest, Kind, ObjectKey};
use std::collections::HashMap;
use std::sync::Arc;

/// Most bytes of all objects and blobs of one transaction.
pub const TOTAL_BYTES: usize = 256 * 1024 * 1024;

/// Most bytes of one blob.
pub const BLOB_BYTES: usize = 1024 * 1024;

/// Most bytes of an object's name.
pub const NAME_BYTES: usize = 1024;

/// Most errors listed; one more says how many there were.
pub const ERROR_LIMIT: usize = 1000;

/// Key material that came with a transaction, by its sha256 in hex.
pub type Blobs = HashMap<String, Arc<[u8]>>;

/// A whole transaction whose parts are well formed.
#[derive(Debug, PartialEq, Eq)]
pub struct Transaction {
    /// True if it replaces the whole plan.
    pub is_full: bool,
    /// The digest of the plan that a delta changes.
    pub base: Digest,
    /// Changes, with each object at most once.
    pub changes: Vec<Change>,
    /// Key material whose hashes are verified.
    pub blobs: Blobs,
    /// The root digest that the sender computed.
    pub root: Digest,
}

/// The refusal of one object (or blob). Its kind is as it was sent, so it may be unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fault {
    /// The kind as sent; empty if the fault concerns no object.
    pub kind: String,
    /// The name as sent.
    pub name: String,
    /// The place in the object, or empty.
    pub path: String,
    /// A sentence that says what is wrong and what is allowed.
    pub message: String,
    /// True if the machine lacks something now, so that another try may succeed.
    pub is_passing: bool,
}

/// The result of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Step {
    /// More messages are needed.
    More,
    /// The transaction is complete.
    Ready(Transaction),
    /// The transaction contains faults; nothing was changed.
    Refused(Vec<Fault>),
    /// The delta is based on another plan than the one held.
    BaseMismatch,
    /// The sender violates the protocol.
    Invalid(String),
}

/// Assembles one transaction.
#[derive(Debug)]
pub struct ApplyMachine {
    held: Digest,
    begin: Option<(bool, Digest)>,
    changes: Vec<Change>,
    seen: HashSet<ObjectKey>,
    blobs: Blobs,
    bytes: usize,
    faults: Vec<Fault>,
    fault_count: usize,
}

impl ApplyMachine {
    /// Makes a machine for a stream that begins while the plan with digest `held` is served.
    pub fn new(held: Digest) -> Self {
        Self {
            held,
            begin: None,
            changes: Vec::new(),
            seen: HashSet::new(),
            blobs: Blobs::new(),
            bytes: 0,
            faults: Vec::new(),
            fault_count: 0,
        }
    }

    /// Takes the next message. After any result but [`Step::More`] the machine must not be used
    /// again.
    pub fn handle(&mut self, message: ApplyMessage) -> Step {
        match (self.begin, message.part) {
            (None, Some(Part::Begin(begin))) => self.begin(&begin),
            (None, _) => Step::Invalid("the first message must be `begin`".into()),
            (Some(_), Some(Part::Changes(changes))) => self.changes(changes),
            (Some(_), Some(Part::Blob(blob))) => self.blob(&blob),
            (Some(begin), Some(Part::End(end))) => self.end(begin, &end),
            (Some(_), Some(Part::Begin(_))) => Step::Invalid("a second `begin`".into()),
            (Some(_), None) => Step::Invalid("a message without a part".into()),
        }
    }

    fn begin(&mut self, begin: &ApplyBegin) -> Step {
        let base = if begin.full {
            Digest::default()
        } else {
            match Digest::parse(&begin.base_digest) {
                Some(base) => base,
                None => return Step::Invalid("`base_digest` is not a sha256 in hex".into()),
            }
        };
        self.begin = Some((begin.full, base));
        if begin.full || base == self.held { Step::More } else { Step::BaseMismatch }
    }

    fn changes(&mut self, changes: ApplyChanges) -> Step {
        for change in changes.changes {
            self.bytes += change.canonical.len() + change.name.len();
            if self.bytes > TOTAL_BYTES {
                return Step::Invalid(over_total());
            }
            self.change(change);
        }
        Step::More
    }

    fn change(&mut self, change: ObjectChange) {
        let fault = |message: &str| Fault {
            kind: change.kind.clone(),
            name: change.name.chars().take(NAME_BYTES).collect(),
            message: message.into(),
            ..Fault::default()
        };
        let Some(kind) = Kind::parse(&change.kind) else {
            let words = Kind::ALL.map(Kind::as_str).join(", ");
            return self.fault(fault(&format!("no kind of object; known are {words}")));
        };
        if change.name.is_empty() || change.name.len() > NAME_BYTES {
            return self.fault(fault(&format!("a name has 1 to {NAME_BYTES} bytes")));
        }
        if change.delete && !change.canonical.is_empty() {
            return self.fault(fault("deleted and given at once"));
        }
        let name: Arc<str> = change.name.as_str().into();
        if !self.seen.insert(ObjectKey { kind, name: name.clone() }) {
            return self.fault(fault("given twice in one transaction"));
        }
        let bytes = (!change.delete).then(|| change.canonical.to_vec());
        self.changes.push(Change { kind, name, bytes });
    }

    fn blob(&mut self, blob: &ApplyBlob) -> Step {
        self.bytes += blob.content.len();
        if self.bytes > TOTAL_BYTES {
            return Step::Invalid(over_total());
        }
        if blob.content.len() > BLOB_BYTES {
            self.fault(blob_fault(&blob.sha256, &format!("over {BLOB_BYTES} bytes")));
        } else if Digest::parse(&blob.sha256) != Some(Digest::of(&blob.content)) {
            self.fault(blob_fault(&blob.sha256, "its content has another sha256"));
        } else {
            self.blobs.insert(blob.sha256.to_lowercase(), blob.content[..].into());
        }
        Step::More
    }

    fn end(&mut self, (is_full, base): (bool, Digest), end: &ApplyEnd) -> Step {
        let Some(root) = Digest::parse(&end.digest) else {
            return Step::Invalid("`digest` is not a sha256 in hex".into());
        };
        if self.fault_count > self.faults.len() {
            let more = self.fault_count - self.faults.len();
            let message = format!("{more} more errors");
            self.faults.push(Fault { message, ..Fault::default() });
        }
        if !self.faults.is_empty() {
            return Step::Refused(std::mem::take(&mut self.faults));
        }
        let changes = std::mem::take(&mut self.changes);
        let blobs = std::mem::take(&mut self.blobs);
        Step::Ready(Transaction { is_full, base, changes, blobs, root })
    }

    fn fault(&mut self, fault: Fault) {
        self.fault_count += 1;
        if self.faults.len() < ERROR_LIMIT {
            self.faults.push(fault);
        }
    }
}

fn blob_fault(sha256: &str, message: &str) -> Fault {
    let name = sha256.chars().take(64).collect();
    Fault { kind: "blob".into(), name, message: message.into(), ..Fault::default() }
}

fn over_total() -> String {
    format!("a transaction has at most {TOTAL_BYTES} bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin(full: bool, base: Digest) -> ApplyMessage {
        part(Part::Begin(ApplyBegin { full, base_digest: base.hex() }))
    }

    fn part(part: Part) -> ApplyMessage {
        ApplyMessage { part: Some(part) }
    }

    fn object(kind: &str, name: &str, json: &'static str) -> ObjectChange {
        ObjectChange {
            kind: kind.into(),
            name: name.into(),
            delete: false,
            canonical: json.as_bytes().into(),
        }
    }

    fn changes(changes: Vec<ObjectChange>) -> ApplyMessage {
        part(Part::Changes(ApplyChanges { changes }))
    }

    fn end() -> ApplyMessage {
        part(Part::End(ApplyEnd { digest: Digest::of(b"root").hex() }))
    }

    fn blob(sha256: String, content: Vec<u8>) -> ApplyMessage {
        part(Part::Blob(ApplyBlob { sha256, content: content.into() }))
    }

    #[test]
    fn a_transaction_is_assembled() {
        let held = Digest::of(b"held");
        let mut machine = ApplyMachine::new(held);
        assert_eq!(machine.handle(begin(false, held)), Step::More);
        let gone = ObjectChange { delete: true, ..object("host", "a", "") };
        assert_eq!(machine.handle(changes(vec![object("host", "b", "{}")])), Step::More);
        assert_eq!(machine.handle(blob(Digest::of(b"k").hex(), b"k".to_vec())), Step::More);
        assert_eq!(machine.handle(changes(vec![gone])), Step::More);
        let Step::Ready(transaction) = machine.handle(end()) else { panic!("not ready") };
        assert!(!transaction.is_full && transaction.base == held);
        assert_eq!(transaction.root, Digest::of(b"root"));
        assert_eq!(transaction.changes.len(), 2);
        assert_eq!(transaction.changes[0].bytes.as_deref(), Some(&b"{}"[..]));
        assert_eq!(transaction.changes[1].bytes, None);
        assert_eq!(&*transaction.blobs[&Digest::of(b"k").hex()], b"k");
    }

    #[test]
    fn a_delta_on_another_base_ends_at_once() {
        let mut machine = ApplyMachine::new(Digest::of(b"held"));
        assert_eq!(machine.handle(begin(false, Digest::of(b"other"))), Step::BaseMismatch);
        let mut machine = ApplyMachine::new(Digest::of(b"held"));
        assert_eq!(machine.handle(begin(true, Digest::of(b"other"))), Step::More);
    }

    #[test]
    fn everything_wrong_is_listed_at_the_end() {
        let mut machine = ApplyMachine::new(Digest::default());
        machine.handle(begin(true, Digest::default()));
        machine.handle(changes(vec![
            object("hots", "a", "{}"),
            object("host", "", "{}"),
            object("host", "twice", "{}"),
            object("host", "twice", "{}"),
            ObjectChange { delete: true, ..object("host", "both", "{}") },
        ]));
        machine.handle(blob(Digest::of(b"k").hex(), b"other".to_vec()));
        machine.handle(blob("?".into(), vec![0; BLOB_BYTES + 1]));
        let Step::Refused(faults) = machine.handle(end()) else { panic!("not refused") };
        let told: Vec<_> = faults.iter().map(|f| (&*f.kind, &*f.name, &*f.message)).collect();
        assert_eq!(told.len(), 6);
        assert!(told[0].2.contains("settings, listener, host"), "{told:?}");
        assert_eq!(told[2], ("host", "twice", "given twice in one transaction"));
        assert_eq!(told[4].2, "its content has another sha256");
    }

    #[test]
    fn faults_are_bounded_and_counted() {
        let mut machine = ApplyMachine::new(Digest::default());
        machine.handle(begin(true, Digest::default()));
        machine.handle(changes(vec![object("hots", "a", ""); ERROR_LIMIT + 5]));
        let Step::Refused(faults) = machine.handle(end()) else { panic!("not refused") };
        assert_eq!(faults.len(), ERROR_LIMIT + 1);
        assert_eq!(faults[ERROR_LIMIT].message, "5 more errors");
    }

    #[test]
    fn messages_out_of_order_are_not_taken() {
        for message in [changes(vec![]), end(), ApplyMessage { part: None }] {
            let mut machine = ApplyMachine::new(Digest::default());
            assert!(matches!(machine.handle(message), Step::Invalid(_)));
        }
        let mut machine = ApplyMachine::new(Digest::default());
        machine.handle(begin(true, Digest::default()));
        assert!(matches!(machine.handle(begin(true, Digest::default())), Step::Invalid(_)));
    }

    #[test]
    fn the_total_is_bounded() {
        let mut machine = ApplyMachine::new(Digest::default());
        machine.handle(begin(true, Digest::default()));
        machine.bytes = TOTAL_BYTES;
        let step = machine.handle(changes(vec![object("host", "a", "{}")]));
        assert_eq!(step, Step::Invalid(over_total()));
    }
}
