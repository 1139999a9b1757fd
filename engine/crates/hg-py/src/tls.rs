//! TLS for Python: the data plane's own compilation of certificates and policies, for checks.

use crate::route::Problem;
use hg_plan::{Change, Kind, ObjectError, Plan};
use hg_tls::{Ticketer, TlsContext};
use pyo3::exceptions::PyRuntimeError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::{SystemTime, UNIX_EPOCH};

/// What a data plane would refuse, and what it would serve with a warning.
type Verdict = (Vec<Problem>, Vec<Problem>);

/// Adds `check_tls` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(check_tls, module)?)
}

/// Compiles what the objects of a plan, as (kind, name, canonical bytes), say about TLS, with blobs
/// by their sha256 in hex: (errors, warnings), each problem as (kind, name, path of keys, message).
/// Warnings are certificates outside their time; there are none beside errors. Kinds that say
/// nothing about TLS are not looked at. Costs about 30 µs a certificate.
///
/// # Errors
/// `RuntimeError` when the system has no random bytes.
#[pyfunction]
fn check_tls(
    py: Python<'_>,
    objects: Vec<(String, String, Bound<'_, PyBytes>)>,
    blobs: HashMap<String, Bound<'_, PyBytes>>,
) -> PyResult<Verdict> {
    let changes: Vec<Change> = objects.into_iter().filter_map(change).collect();
    let blobs: HashMap<String, Arc<[u8]>> =
        blobs.into_iter().map(|(id, content)| (id, content.as_bytes().into())).collect();
    // No session is served here, so that the secret of its tickets may be anything.
    let ticketer = Ticketer::new(&["00".repeat(32)]).map_err(PyRuntimeError::new_err)?;
    Ok(py.detach(|| match build(&changes, &blobs, &ticketer) {
        Ok(warnings) => (Vec::new(), rows(warnings)),
        Err(errors) => (rows(errors), Vec::new()),
    }))
}

fn change((kind, name, canonical): (String, String, Bound<'_, PyBytes>)) -> Option<Change> {
    let kind = Kind::parse(&kind)?;
    let is_tls = matches!(
        kind,
        Kind::Listener | Kind::Host | Kind::Upstream | Kind::Certificate | Kind::TlsPolicy
    );
    let bytes = is_tls.then(|| canonical.as_bytes().to_vec())?;
    Some(Change { kind, name: name.into(), bytes: Some(bytes) })
}

/// The warnings, or the errors.
fn build(
    changes: &[Change],
    blobs: &HashMap<String, Arc<[u8]>>,
    ticketer: &Arc<Ticketer>,
) -> Result<Vec<ObjectError>, Vec<ObjectError>> {
    let mut plan = Plan::default();
    plan.apply(changes)?;
    let context = TlsContext::build(&plan, &|id| blobs.get(id).cloned(), ticketer, None)?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Ok(context.warnings(i64::try_from(now.as_secs()).unwrap_or(i64::MAX)))
}

fn rows(problems: Vec<ObjectError>) -> Vec<Problem> {
    problems.into_iter().map(crate::route::problem).collect()
}
