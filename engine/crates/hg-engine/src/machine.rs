//! The things outside of a plan that it needs on this machine, and that may be away for a while.

use hg_log::AccessLog;
use hg_plan::{Change, Kind, ObjectError, Plan, Settings};
use std::sync::Arc;

/// Reports what a plan needs beside the one served, and cannot have now.
pub(crate) fn check(
    plan: &Plan,
    changed: &[Change],
    served: &Settings,
) -> Result<(), Vec<ObjectError>> {
    let mut wrong: Vec<_> = sink(plan, served).into_iter().collect();
    let wanting = wanting_roots(plan, changed, served);
    if !wanting.is_empty()
        && let Err(message) = hg_tls::check_system_roots()
    {
        let refused =
            |(kind, name, path)| ObjectError { kind, name, path, message: message.clone() };
        wrong.extend(wanting.into_iter().map(refused));
    }
    if wrong.is_empty() { Ok(()) } else { Err(wrong) }
}

/// Reports a sink of the access log that cannot be opened.
fn sink(plan: &Plan, served: &Settings) -> Option<ObjectError> {
    let log = plan.settings("node")?.access_log.as_ref()?;
    if served.access_log.as_ref() == Some(log) {
        return None;
    }
    let message = AccessLog::check_sink(log).err()?;
    let (kind, name, path) = (Kind::Settings, "node".into(), "access_log.sink".into());
    Some(ObjectError { kind, name, path, message })
}

/// Returns what verifies by the system's roots, with the paths at which a file would replace them.
fn wanting_roots(
    plan: &Plan,
    changed: &[Change],
    served: &Settings,
) -> Vec<(Kind, Arc<str>, String)> {
    let wants = |change: &&Change| {
        let tls = plan.upstream(&change.name).and_then(|upstream| upstream.tls.as_ref());
        change.kind == Kind::Upstream && tls.is_some_and(|tls| tls.verify && tls.ca.is_none())
    };
    let upstreams = changed.iter().filter(wants);
    let upstreams = upstreams.map(|c| (Kind::Upstream, c.name.clone(), "tls.ca".into()));
    let outlets = plan.settings("node").into_iter().flat_map(Settings::outlets);
    let outlets = outlets
        .filter(|(_, tls)| tls.ca.is_none())
        .filter(|outlet| served.outlets().all(|one| one != *outlet))
        .map(|(path, _)| (Kind::Settings, "node".into(), format!("{path}.tls.ca")));
    upstreams.chain(outlets).collect()
}
