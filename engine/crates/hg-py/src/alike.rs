//! Objects of a document that differ in a few values.

use crate::text::{Document, Keys, Step, to_python};
use pyo3::prelude::*;
use pyo3::types::{PyList, PyString};

/// Adds `alike` and `Openings` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<Openings>()?;
    module.add_function(wrap_pyfunction!(alike, module)?)
}

/// Places in objects of a section at which texts and whole numbers may differ.
#[pyclass(frozen, module = "headgate._core._core")]
struct Openings(hg_text::Openings);

#[pymethods]
impl Openings {
    /// Makes openings from paths, whose indices name them: see `hg_text::Openings::add`.
    #[new]
    fn new(paths: Vec<String>) -> Self {
        let mut openings = hg_text::Openings::default();
        paths.iter().enumerate().for_each(|(opening, path)| openings.add(path, opening));
        Self(openings)
    }
}

/// The index of an opening, the place from the object down, and each member's value.
type Difference<'py> = (usize, Vec<Step>, Bound<'py, PyList>);

/// Returns groups of objects among `names` that are alike, `least` of them or more: the indices of
/// the members, and where these differ.
#[pyfunction]
fn alike<'py>(
    py: Python<'py>,
    document: &Bound<'py, Document>,
    section: &str,
    names: Vec<Bound<'py, PyString>>,
    openings: &Bound<'py, Openings>,
    least: usize,
) -> PyResult<Vec<(Vec<usize>, Vec<Difference<'py>>)>> {
    let names = names.iter().map(|name| name.to_str()).collect::<PyResult<Vec<_>>>()?;
    let (document, openings) = (&document.get().document, &openings.get().0);
    let groups = py.detach(|| document.alike(section, &names, openings, least));
    let mut keys = Keys::new(py);
    let mut found = Vec::with_capacity(groups.len());
    for group in groups {
        let mut differences = Vec::with_capacity(group.differences.len());
        for place in group.differences {
            let values = place.values.iter().map(|value| to_python(value, &mut keys));
            let values = PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?;
            let path = place.path.into_iter().map(Step::from).collect();
            differences.push((place.opening, path, values));
        }
        found.push((group.members, differences));
    }
    Ok(found)
}
