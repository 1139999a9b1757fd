//! Objects of a document that differ in a few plain texts, and their canonical bytes.

use crate::text::{Document, Keys, to_python};
use hg_plan::{Digest, Kind, Pattern, object_digest};
use hg_text::Plain;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

/// Adds `alike`, `Alike` and `Openings` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Openings>()?;
    module.add_class::<Alike>()?;
    module.add_function(wrap_pyfunction!(alike, module)?)
}

/// Places in objects of a section at which texts may differ.
#[pyclass(frozen, module = "headgate._core._core")]
struct Openings(hg_text::Openings);

#[pymethods]
impl Openings {
    /// Makes openings from pairs of a path and `host`, `path`, `word` or `number`: see
    /// `hg_text::Openings::add`.
    ///
    /// Raises `ValueError` for another word.
    #[new]
    fn new(places: Vec<(String, String)>) -> PyResult<Self> {
        let mut openings = hg_text::Openings::default();
        for (path, word) in places {
            let Some(plain) = Plain::from_name(&word) else {
                return Err(PyValueError::new_err(format!("no text is made of {word:?}")));
            };
            openings.add(&path, plain);
        }
        Ok(Self(openings))
    }
}

/// Returns groups of objects among `names` that are alike, `least` of them or more.
#[pyfunction]
fn alike(
    py: Python<'_>,
    document: &Bound<'_, Document>,
    section: &str,
    names: Vec<Bound<'_, PyString>>,
    openings: &Bound<'_, Openings>,
    least: usize,
) -> PyResult<Vec<Alike>> {
    let names = names.iter().map(|name| name.to_str()).collect::<PyResult<Vec<_>>>()?;
    let (document, openings) = (&document.get().document, &openings.get().0);
    Ok(py.detach(|| {
        let groups = document.alike(section, &names, openings, least);
        let own = |group: hg_text::Alike<'_>| Alike {
            names: group.members.iter().filter_map(|&at| Some((*names.get(at)?).into())).collect(),
            markers: group.markers(),
            pattern: group.pattern(openings),
            texts: group.texts.iter().map(|text| &**text).map(Box::from).collect(),
            members: group.members,
        };
        groups.into_iter().map(own).collect()
    }))
}

/// A group of objects that are alike.
#[pyclass(frozen, module = "headgate._core._core")]
struct Alike {
    /// Indices of the members in the names given.
    #[pyo3(get)]
    members: Vec<usize>,
    /// The texts that replace in `pattern` those that differ.
    #[pyo3(get)]
    markers: Vec<String>,
    names: Vec<Box<str>>,
    pattern: hg_text::Value,
    /// The texts of each member, one for each marker.
    texts: Vec<Box<str>>,
}

#[pymethods]
impl Alike {
    /// Returns the object that all members are, with the markers in place of what differs.
    fn pattern<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(&self.pattern, &mut Keys::new(py))
    }

    /// Returns each member's text in the place of a marker.
    fn texts<'py>(&self, py: Python<'py>, marker: usize) -> PyResult<Bound<'py, PyList>> {
        let every = self.markers.len().max(1);
        let texts = self.texts.iter().skip(marker).step_by(every).map(|text| &**text);
        PyList::new(py, texts.collect::<Vec<_>>())
    }

    /// Returns each member's canonical bytes and their digests, from the canonical bytes of the
    /// pattern; None if these do not contain each marker as one whole text.
    fn stamped<'py>(
        &self,
        py: Python<'py>,
        kind: &str,
        canonical: &[u8],
    ) -> PyResult<Option<(Bound<'py, PyList>, Bound<'py, PyList>)>> {
        let Some(kind) = Kind::parse(kind) else {
            return Err(PyValueError::new_err(format!("no kind {kind:?}")));
        };
        let Some(made) = py.detach(|| self.made(kind, canonical)) else { return Ok(None) };
        let canonical = made.iter().map(|(bytes, _)| PyBytes::new(py, bytes));
        let canonical = PyList::new(py, canonical.collect::<Vec<_>>())?;
        let digests = made.iter().map(|(_, digest)| PyBytes::new(py, &digest.0));
        Ok(Some((canonical, PyList::new(py, digests.collect::<Vec<_>>())?)))
    }
}

impl Alike {
    fn made(&self, kind: Kind, canonical: &[u8]) -> Option<Vec<(Vec<u8>, Digest)>> {
        let pattern = Pattern::new(canonical, &self.markers)?;
        let every = self.markers.len();
        let made = self.names.iter().enumerate().map(|(at, name)| {
            let bytes = pattern.with(self.texts.get(at * every..(at + 1) * every).unwrap_or(&[]));
            let digest = object_digest(kind, name, &bytes);
            (bytes, digest)
        });
        Some(made.collect())
    }
}
