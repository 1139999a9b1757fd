//! Routing for Python: the router of the data plane, for checks, `explain`, `test` and `diff`.

mod chains;
mod document;
mod identity;

use hg_plan::{Change, Kind, Object, ObjectError, Plan};
use hg_route::{ListenerId, RouteChange, RouteId, Scratch, path};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::PyBytes;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

pyo3::create_exception!(
    _core,
    PlanError,
    PyValueError,
    "Objects that no plan may hold: `problems` has (kind, name, path of keys, message) of each."
);

/// (kind, name, path of keys in the object, message).
pub type Problem = (&'static str, String, String, String);

/// Adds `Router`, `PlanError`, `normalise_path` and `plan_check` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("PlanError", module.py().get_type::<PlanError>())?;
    module.add_class::<Router>()?;
    module.add_function(wrap_pyfunction!(normalise_path, module)?)?;
    module.add_function(wrap_pyfunction!(plan_check, module)?)
}

/// Returns the path that is routed and forwarded. Raises `ValueError` if a request with it gets
/// 400.
#[pyfunction]
fn normalise_path(path: &str) -> PyResult<String> {
    let mut buf = String::new();
    let normal =
        path::normalise(path, &mut buf).map_err(|e| PyValueError::new_err(e.to_string()))?;
    Ok(normal.to_owned())
}

/// Returns what is wrong with an object's canonical bytes, if they cannot be decoded, or with the
/// balance policy of an upstream.
#[pyfunction]
fn plan_check(kind: &str, canonical: &[u8]) -> Option<String> {
    let Some(kind) = Kind::parse(kind) else {
        return Some(format!("unknown kind {kind:?}"));
    };
    match Object::decode(kind, canonical) {
        Ok(Object::Upstream(upstream)) => {
            let first = hg_policy::validate(&upstream.balance).into_iter().next();
            first.map(|(path, message)| format!("{path}: {message}"))
        }
        Ok(_) => None,
        Err(message) => Some(message),
    }
}

/// The routes of a plan, matched as in the data plane. Immutable.
#[pyclass(frozen, module = "headgate._core._core")]
pub(crate) struct Router {
    router: hg_route::Router,
    plan: Plan,
    names: Vec<Arc<str>>,
    listeners: BTreeMap<String, ListenerId>,
    scratch: Mutex<Scratch>,
}

/// A request: any Python object with these attributes.
#[derive(FromPyObject)]
struct Request {
    listener: String,
    scheme: String,
    host: String,
    port: Option<u16>,
    path: String,
    query: Option<String>,
    method: String,
    headers: Vec<(String, String)>,
    client: String,
}

impl Request {
    fn client(&self) -> PyResult<IpAddr> {
        address(&self.client)
    }
}

fn address(client: &str) -> PyResult<IpAddr> {
    client.parse().map_err(|_| PyValueError::new_err(format!("{client:?} is not an address")))
}

/// Returns the path that is matched of one as sent.
fn routed<'a>(sent: &'a str, buf: &'a mut String) -> Result<&'a str, path::PathError> {
    if sent == "*" { Ok("*") } else { path::normalise(sent, buf) }
}

#[pymethods]
impl Router {
    /// Makes a router from the objects of a plan as (kind, name, canonical bytes); ignores kinds
    /// other than routes, hosts and middlewares.
    ///
    /// Raises `PlanError` with everything that is wrong with them.
    #[new]
    fn new(py: Python<'_>, objects: Vec<(String, String, Bound<'_, PyBytes>)>) -> PyResult<Self> {
        let changes: Vec<Change> = objects.into_iter().filter_map(change).collect();
        py.detach(|| build(&changes)).map_err(|errors| plan_error(py, errors))
    }

    /// Returns the route that takes a request, as (name, index of the match, bytes of the path that
    /// a prefix took); None = 404. Raises `ValueError` for a path that gets 400, and for a client
    /// that is not an address.
    fn find(&self, py: Python<'_>, request: Request) -> PyResult<Option<(&str, usize, usize)>> {
        let client = request.client()?;
        let found = py.detach(|| {
            self.with_query(&request, client, |q| self.router.find(q, &mut self.scratch()))
        });
        let found = found.map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(found.and_then(|f| {
            let name = self.names.get(f.route.0 as usize)?;
            Some((&**name, f.match_index, f.prefix_len))
        }))
    }

    /// The names of the routes, in the order of their places.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.names.iter().map(AsRef::as_ref).collect()
    }

    /// Explains, as JSON, which route a request takes and what its middlewares do with it. Raises
    /// as `find` does.
    fn explain<'py>(&self, py: Python<'py>, request: Request) -> PyResult<Bound<'py, PyBytes>> {
        let client = request.client()?;
        let document = py.detach(|| {
            self.with_query(&request, client, |q| {
                let why = self.router.explain(q, &mut self.scratch());
                let outcome = why.won.as_ref().map(|w| chains::outcome(&self.plan, &request, q, w));
                document::explanation(&why, q.path, outcome).to_string()
            })
        });
        let document = document.map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(PyBytes::new(py, document.as_bytes()))
    }

    /// Returns routes with a match that can never win: (route, indices of these matches, whether
    /// they are all its matches, the routes that take their requests).
    fn shadowed(&self, py: Python<'_>) -> Vec<(String, Vec<usize>, bool, Vec<String>)> {
        let shadows = py.detach(|| self.router.shadowed());
        let row = |s: hg_route::Shadow| {
            let by = s.by.iter().map(ToString::to_string).collect();
            (s.name.to_string(), s.matches, s.is_whole, by)
        };
        shadows.into_iter().map(row).collect()
    }
}

impl Router {
    /// Returns the place in `names` of the route that takes a request on the first listener that
    /// routes name, None = 404; quicker than `find`. `target` is path and query as sent, the host in
    /// lower case without port. Fails as `find` does.
    pub(crate) fn place(
        &self,
        host: &str,
        target: &str,
        method: &str,
        client: &str,
        headers: &dyn hg_route::Headers,
    ) -> PyResult<Option<usize>> {
        let client = address(client)?;
        let (sent, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
        let mut buf = String::new();
        let path = routed(sent, &mut buf).map_err(|e| PyValueError::new_err(e.to_string()))?;
        let listener = self.listeners.values().next().copied().unwrap_or(ListenerId(u16::MAX));
        let query = hg_route::Query { listener, host, path, query, method, headers, client };
        Ok(self.router.find(&query, &mut self.scratch()).map(|found| found.route.0 as usize))
    }

    /// Locks the regex states of earlier requests, which stay valid after a panic.
    fn scratch(&self) -> MutexGuard<'_, Scratch> {
        self.scratch.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns the id of a listener; one that no route has for a listener without routes.
    fn listener(&self, name: &str) -> ListenerId {
        self.listeners.get(name).copied().unwrap_or(ListenerId(u16::MAX))
    }

    /// Calls a function with the query of a request, whose path it normalises.
    fn with_query<T>(
        &self,
        request: &Request,
        client: IpAddr,
        ask: impl FnOnce(&hg_route::Query<'_>) -> T,
    ) -> Result<T, path::PathError> {
        let mut buf = String::new();
        let path = routed(&request.path, &mut buf)?;
        Ok(ask(&hg_route::Query {
            listener: self.listener(&request.listener),
            host: &request.host,
            path,
            query: request.query.as_deref(),
            method: &request.method,
            headers: &identity::Asked::of(&request.headers),
            client,
        }))
    }
}

fn change((kind, name, canonical): (String, String, Bound<'_, PyBytes>)) -> Option<Change> {
    let kind =
        Kind::parse(&kind).filter(|k| matches!(k, Kind::Route | Kind::Host | Kind::Middleware))?;
    Some(Change { kind, name: name.into(), bytes: Some(canonical.as_bytes().to_vec()) })
}

fn build(changes: &[Change]) -> Result<Router, Vec<ObjectError>> {
    let mut plan = Plan::default();
    plan.apply(changes)?;
    let mut listeners = BTreeMap::new();
    let mut attached: Vec<Vec<ListenerId>> = Vec::new();
    let routes: Vec<_> = plan.routes().collect();
    for (_, route) in &routes {
        let mut id_of = |name: &String| {
            let next = ListenerId(u16::try_from(listeners.len()).unwrap_or(u16::MAX));
            *listeners.entry(name.clone()).or_insert(next)
        };
        attached.push(route.listeners.iter().map(&mut id_of).collect());
    }
    let mut changes = Vec::with_capacity(attached.len());
    for (((name, route), listeners), id) in routes.iter().zip(&attached).zip(0..) {
        changes.push(RouteChange { id: RouteId(id), name, route: Some(route), listeners });
    }
    let mut errors = chains::errors(&plan);
    match hg_route::Router::new().apply(&changes) {
        Ok(router) if errors.is_empty() => {
            let names = plan.names(Kind::Route).cloned().collect();
            Ok(Router { router, plan, names, listeners, scratch: Mutex::default() })
        }
        Ok(_) => Err(errors),
        Err(mistakes) => {
            errors.extend(mistakes);
            Err(errors)
        }
    }
}

/// Converts an error for Python.
pub fn problem(error: ObjectError) -> Problem {
    (error.kind.as_str(), error.name.to_string(), error.path, error.message)
}

pub(crate) fn plan_error(py: Python<'_>, errors: Vec<ObjectError>) -> PyErr {
    let text: Vec<String> = errors
        .iter()
        .map(|e| format!("{} {}: {}: {}", e.kind.as_str(), e.name, e.path, e.message))
        .collect();
    let problems: Vec<Problem> = errors.into_iter().map(problem).collect();
    let error = PlanError::new_err(text.join("\n"));
    match error.value(py).setattr("problems", problems) {
        Ok(()) => error,
        Err(other) => other,
    }
}
