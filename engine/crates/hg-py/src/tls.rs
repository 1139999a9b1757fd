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

/// Errors, which a data plane would refuse, and warnings, which it would serve.
type Verdict = (Vec<Problem>, Vec<Problem>);

/// Adds `check_tls` and `TlsListeners` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<TlsListeners>()?;
    module.add_function(wrap_pyfunction!(check_tls, module)?)
}

/// Compiles what the objects of a plan, as (kind, name, canonical bytes), say about TLS, with blobs
/// by their sha256 in hex. Returns (errors, warnings), each problem as (kind, name, path of keys,
/// message). Warnings are certificates outside their validity period; there are none if there are
/// errors. Ignores kinds that say nothing about TLS. Costs about 30 µs per certificate.
///
/// # Errors
/// `RuntimeError` if the system has no random bytes.
#[pyfunction]
fn check_tls(
    py: Python<'_>,
    objects: Vec<(String, String, Bound<'_, PyBytes>)>,
    blobs: HashMap<String, Bound<'_, PyBytes>>,
) -> PyResult<Verdict> {
    let (changes, blobs) = taken(objects, blobs);
    let ticketer = ticketer()?;
    Ok(py.detach(|| match build(&changes, &blobs, &ticketer) {
        Ok(context) => (Vec::new(), rows(warnings(&context))),
        Err(errors) => (rows(errors), Vec::new()),
    }))
}

/// The TLS of a plan's listeners: what a client gets before its request is read. Immutable.
#[pyclass(frozen, module = "headgate._core._core")]
struct TlsListeners {
    context: TlsContext,
}

#[pymethods]
impl TlsListeners {
    /// Makes the listeners from the arguments of `check_tls`. Raises `PlanError` for what that
    /// reports as errors.
    #[new]
    fn new(
        py: Python<'_>,
        objects: Vec<(String, String, Bound<'_, PyBytes>)>,
        blobs: HashMap<String, Bound<'_, PyBytes>>,
    ) -> PyResult<Self> {
        let (changes, blobs) = taken(objects, blobs);
        let ticketer = ticketer()?;
        let context = py.detach(|| build(&changes, &blobs, &ticketer));
        Ok(TlsListeners {
            context: context.map_err(|errors| crate::route::plan_error(py, errors))?,
        })
    }

    /// Returns the fate of a client that asks a listener for the name `sni` and then for `host`,
    /// lower case and without port: `alert` in the handshake, `misdirected` (421), or `served`.
    #[pyo3(signature = (listener, sni, host))]
    fn answer(&self, listener: &str, sni: Option<&str>, host: &str) -> &'static str {
        match self.context.listener(listener).map(|l| l.foresee_421(sni, host)) {
            Some(Err(_)) => "alert",
            Some(Ok(true)) => "misdirected",
            Some(Ok(false)) | None => "served",
        }
    }

    /// Returns what becomes of the handshake of a client that asks a listener for the name `sni` and
    /// offers these protocols, those that it prefers first: `name` or `protocol`, for want of which
    /// it fails, or `agreed`, with the protocol if there is one.
    #[pyo3(signature = (listener, sni, alpn))]
    fn handshake(
        &self,
        listener: &str,
        sni: Option<&str>,
        alpn: Vec<String>,
    ) -> (&'static str, Option<String>) {
        let Some(selector) = self.context.listener(listener) else {
            return ("agreed", None);
        };
        let Ok(selection) = selector.select(sni) else {
            return ("name", None);
        };
        let offered: Vec<Box<[u8]>> = alpn.into_iter().map(|p| p.into_bytes().into()).collect();
        match selection.agree(&offered) {
            Ok(agreed) => ("agreed", agreed.map(|p| String::from_utf8_lossy(p).into_owned())),
            Err(hg_tls::NoProtocol) => ("protocol", None),
        }
    }
}

type Taken = (Vec<Change>, HashMap<String, Arc<[u8]>>);

fn taken(
    objects: Vec<(String, String, Bound<'_, PyBytes>)>,
    blobs: HashMap<String, Bound<'_, PyBytes>>,
) -> Taken {
    let changes = objects.into_iter().filter_map(change).collect();
    let content = |(id, content): (String, Bound<'_, PyBytes>)| (id, content.as_bytes().into());
    (changes, blobs.into_iter().map(content).collect())
}

/// No session is served here, so the secret of the tickets does not matter.
fn ticketer() -> PyResult<Arc<Ticketer>> {
    Ticketer::new(&["00".repeat(32)]).map_err(PyRuntimeError::new_err)
}

fn change((kind, name, canonical): (String, String, Bound<'_, PyBytes>)) -> Option<Change> {
    let kind = Kind::parse(&kind)?;
    let is_tls = matches!(
        kind,
        Kind::Listener
            | Kind::Host
            | Kind::Upstream
            | Kind::Certificate
            | Kind::TlsPolicy
            | Kind::Settings
    );
    let bytes = is_tls.then(|| canonical.as_bytes().to_vec())?;
    Some(Change { kind, name: name.into(), bytes: Some(bytes) })
}

fn build(
    changes: &[Change],
    blobs: &HashMap<String, Arc<[u8]>>,
    ticketer: &Arc<Ticketer>,
) -> Result<TlsContext, Vec<ObjectError>> {
    let mut plan = Plan::default();
    plan.apply(changes)?;
    TlsContext::build(&plan, &|id| blobs.get(id).cloned(), ticketer, None)
}

fn warnings(context: &TlsContext) -> Vec<ObjectError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    context.warnings(i64::try_from(now.as_secs()).unwrap_or(i64::MAX))
}

fn rows(problems: Vec<ObjectError>) -> Vec<Problem> {
    problems.into_iter().map(crate::route::problem).collect()
}
