//! The messages that a correct sender makes of changes.

use crate::proto::apply_message::Part;
use crate::proto::{ApplyBegin, ApplyChanges, ApplyEnd, ApplyMessage, ObjectChange};
use hg_plan::{Change, Plan};

/// Returns the plan of these objects.
pub(crate) fn whole(changes: &[Change]) -> Plan {
    let mut plan = Plan::default();
    plan.apply(changes).unwrap();
    plan
}

/// Makes a delta against `base`, or a whole plan.
pub(crate) fn transaction(base: Option<&Plan>, changes: &[Change]) -> Vec<ApplyMessage> {
    let mut after = base.cloned().unwrap_or_default();
    let digest = after.apply(changes).unwrap().hex();
    let base_digest = base.map(|plan| plan.digest().hex()).unwrap_or_default();
    let object = |change: &Change| ObjectChange {
        kind: change.kind.as_str().into(),
        name: change.name.to_string(),
        delete: change.bytes.is_none(),
        canonical: change.bytes.clone().unwrap_or_default().into(),
    };
    let changes = ApplyChanges { changes: changes.iter().map(object).collect() };
    [
        Part::Begin(ApplyBegin { full: base.is_none(), base_digest }),
        Part::Changes(changes),
        Part::End(ApplyEnd { digest }),
    ]
    .map(|part| ApplyMessage { part: Some(part) })
    .to_vec()
}
