//! Plans for Python: many objects in one call.

use hg_plan::{Kind, bucket};
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyList, PyString};

/// Adds `buckets` and `change_messages` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(buckets, module)?)?;
    module.add_function(wrap_pyfunction!(change_messages, module)?)
}

fn kind_of(word: &str) -> PyResult<Kind> {
    Kind::parse(word).ok_or_else(|| PyValueError::new_err(format!("no kind {word:?}")))
}

/// Returns the bucket of the digest tree for each (kind, name), one byte each.
#[pyfunction]
fn buckets<'py>(
    py: Python<'py>,
    keys: Vec<(Bound<'py, PyString>, Bound<'py, PyString>)>,
) -> PyResult<Bound<'py, PyBytes>> {
    let found =
        keys.iter().map(|(kind, name)| Ok(bucket(kind_of(kind.to_str()?)?, name.to_str()?)));
    Ok(PyBytes::new(py, &found.collect::<PyResult<Vec<u8>>>()?))
}

/// Returns serialised `ApplyMessage`s that put objects of one kind, given by their names and
/// canonical bytes. Each is as long as possible below `most` bytes, or has one object.
#[pyfunction]
fn change_messages<'py>(
    py: Python<'py>,
    kind: &str,
    names: Vec<Bound<'py, PyString>>,
    canonical: Vec<Bound<'py, PyBytes>>,
    most: usize,
) -> PyResult<Bound<'py, PyList>> {
    let kind = kind_of(kind)?;
    let puts = names.iter().zip(&canonical);
    let puts = puts.map(|(name, bytes)| Ok((kind, name.to_str()?, bytes.as_bytes())));
    let puts = puts.collect::<PyResult<Vec<_>>>()?;
    let messages = py.detach(|| hg_dataplane::put_messages(&puts, most));
    PyList::new(py, messages.iter().map(|message| PyBytes::new(py, message)).collect::<Vec<_>>())
}
