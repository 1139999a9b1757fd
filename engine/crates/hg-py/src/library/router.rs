//! Routes that a program made, found by the router of the data plane.

use crate::route::Router;
use pyo3::prelude::*;
use pyo3::pybacked::PyBackedStr;
use pyo3::pyclass::{PyTraverseError, PyVisit};
use pyo3::types::{PyDict, PyTuple};
use std::borrow::Cow;
use std::sync::OnceLock;

/// Holds what a router finds, from attributes of the object itself. `_names` and `_routes` are in
/// the order of the core's places.
#[derive(FromPyObject)]
struct Routes {
    #[pyo3(attribute("_core"))]
    core: Py<Router>,
    #[pyo3(attribute("_names"))]
    names: Py<PyTuple>,
    #[pyo3(attribute("_routes"))]
    routes: Py<PyTuple>,
}

/// Finds routes: the base of `headgate.Router`, so that a call of it runs no Python. Reads the routes
/// from its attributes at the first call; its methods may be called from any thread.
#[pyclass(frozen, subclass, generic, module = "headgate._core._core")]
pub struct RouteFinder {
    routes: OnceLock<Routes>,
}

#[pymethods]
impl RouteFinder {
    /// Takes what the class that has the routes is made of, and leaves it to that class.
    #[new]
    #[pyo3(signature = (*_args, **_given))]
    fn new(_args: &Bound<'_, PyTuple>, _given: Option<&Bound<'_, PyDict>>) -> Self {
        Self { routes: OnceLock::new() }
    }

    /// Returns the route that takes a request; None if none does.
    ///
    /// `host` is the Host without port, `target` path and query as sent, `headers` (name, value)
    /// of each line. Raises `ValueError` for a path that a node answers with 400, and for a client
    /// that is no address.
    #[pyo3(
        name = "match",
        signature = (host, target, method="GET", headers=None, client="127.0.0.1"),
        text_signature = "($self, host, target, method='GET', headers=(), client='127.0.0.1')"
    )]
    fn route<'py>(
        slf: &Bound<'py, Self>,
        host: &str,
        target: &str,
        method: &str,
        headers: Option<&Bound<'py, PyAny>>,
        client: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let routes = Routes::of(slf)?;
        let place = routes.place(host, target, method, headers, client)?;
        place.map(|place| routes.routes.bind(slf.py()).get_item(place)).transpose()
    }

    /// Returns the name of the route that `match` returns.
    #[pyo3(
        signature = (host, target, method="GET", headers=None, client="127.0.0.1"),
        text_signature = "($self, host, target, method='GET', headers=(), client='127.0.0.1')"
    )]
    fn name<'py>(
        slf: &Bound<'py, Self>,
        host: &str,
        target: &str,
        method: &str,
        headers: Option<&Bound<'py, PyAny>>,
        client: &str,
    ) -> PyResult<Option<Bound<'py, PyAny>>> {
        let routes = Routes::of(slf)?;
        let place = routes.place(host, target, method, headers, client)?;
        place.map(|place| routes.names.bind(slf.py()).get_item(place)).transpose()
    }

    /// Shows the collector the routes, which may know the router. It is enough that they forget it:
    /// nothing here has to.
    fn __traverse__(&self, visit: PyVisit<'_>) -> Result<(), PyTraverseError> {
        let Some(Routes { core, names, routes }) = self.routes.get() else { return Ok(()) };
        visit.call(core)?;
        visit.call(names)?;
        visit.call(routes)
    }
}

impl Routes {
    /// Returns the routes of a router; reads them at the first call.
    fn of<'a>(finder: &'a Bound<'_, RouteFinder>) -> PyResult<&'a Self> {
        let routes = &finder.get().routes;
        if let Some(read) = routes.get() {
            return Ok(read);
        }
        let read = finder.as_any().extract()?;
        Ok(routes.get_or_init(|| read))
    }

    fn place(
        &self,
        host: &str,
        target: &str,
        method: &str,
        headers: Option<&Bound<'_, PyAny>>,
        client: &str,
    ) -> PyResult<Option<usize>> {
        let lines = headers.map_or_else(|| Ok(Vec::new()), lines)?;
        self.core.get().place(&lower(host), target, method, client, &lines)
    }
}

/// Returns a host in lower case.
fn lower(host: &str) -> Cow<'_, str> {
    let is_lower = host.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
    if is_lower { Cow::Borrowed(host) } else { Cow::Owned(host.to_lowercase()) }
}

/// Returns the header lines of anything that has pairs.
fn lines(headers: &Bound<'_, PyAny>) -> PyResult<Vec<(PyBackedStr, PyBackedStr)>> {
    let pair = |line: PyResult<Bound<'_, PyAny>>| {
        let line = line?;
        line.extract().or_else(|_| line.extract().map(<[PyBackedStr; 2]>::into))
    };
    headers.try_iter()?.map(pair).collect()
}
