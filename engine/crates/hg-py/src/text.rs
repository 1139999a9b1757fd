//! Config text for Python: documents, their objects, and places in them.

use hg_text::{Format, Seg, Spans, TextError as Mistake, Value, Which};
use pyo3::exceptions::{PyKeyError, PyValueError};
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict, PyList, PyString};
use std::collections::HashMap;
use std::sync::OnceLock;

pyo3::create_exception!(
    _core,
    TextError,
    PyValueError,
    "A mistake in a text: `name`, `line`, `column` (both from 1) and `message`."
);

/// Adds `parse_text`, `Document` and `TextError` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add("TextError", module.py().get_type::<TextError>())?;
    module.add_class::<Document>()?;
    module.add_function(wrap_pyfunction!(parse_text, module)?)
}

/// Reads a text in a format (`toml`, `yaml`, `json`); errors call it `name`.
///
/// With `before`, the document of an earlier form of the same text, an edit of some
/// `[section.name]` tables of a TOML text costs those tables and not the whole text.
///
/// Raises `TextError` for a mistake in the text, `ValueError` for an unknown format.
#[pyfunction]
#[pyo3(signature = (name, text, format, before = None))]
fn parse_text(
    py: Python<'_>,
    name: String,
    text: Bound<'_, PyBytes>,
    format: &str,
    before: Option<&Bound<'_, Document>>,
) -> PyResult<Document> {
    let Some(format) = Format::from_word(format) else {
        return Err(PyValueError::new_err(format!("unknown format {format:?}")));
    };
    let bytes = text.as_bytes();
    let before = before.map(Bound::get).filter(|before| before.format == format);
    let before = before.map(|before| (&before.document, before.text.as_bytes(py)));
    let read = py.detach(|| match before {
        Some((document, old)) => document.reread(old, bytes),
        None => hg_text::Document::read(bytes, format),
    });
    match read {
        Ok(document) => {
            Ok(Document { name, text: text.unbind(), format, document, spans: OnceLock::new() })
        }
        Err(mistake) => Err(text_error(py, &name, &mistake)),
    }
}

fn text_error(py: Python<'_>, name: &str, mistake: &Mistake) -> PyErr {
    let error = TextError::new_err(format!("{name}:{mistake}"));
    let value = error.value(py);
    let attributes = || {
        value.setattr("name", name)?;
        value.setattr("line", mistake.line)?;
        value.setattr("column", mistake.column)?;
        value.setattr("message", &mistake.message)
    };
    match attributes() {
        Ok(()) => error,
        Err(other) => other,
    }
}

/// A parsed text. Immutable.
#[pyclass(frozen, module = "headgate._core._core")]
pub(crate) struct Document {
    #[pyo3(get)]
    name: String,
    text: Py<PyBytes>,
    format: Format,
    pub(crate) document: hg_text::Document,
    /// Made when the first place is needed.
    spans: OnceLock<Option<Spans>>,
}

#[pymethods]
impl Document {
    /// Returns `toml`, `yaml` or `json`.
    #[getter]
    fn format(&self) -> &'static str {
        self.format.as_str()
    }

    /// Returns the objects in the order of the text: (section, name, 16 bytes of hash of the
    /// value).
    ///
    /// The name is empty where a section is no map, or an empty one.
    fn entries<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyList>> {
        let hashed: Vec<_> = py.detach(|| self.document.hashes().collect());
        let mut keys = Keys::new(py);
        let rows = hashed.into_iter().map(|(entry, hash)| {
            (keys.get(entry.section), PyString::new(py, entry.name), PyBytes::new(py, &hash))
        });
        PyList::new(py, rows.collect::<Vec<_>>())
    }

    /// Returns the objects that differ from those in `old`, as (section, name): those of this
    /// document, and those that only `old` has.
    fn changes<'py>(
        &self,
        py: Python<'py>,
        old: &Document,
    ) -> PyResult<(Bound<'py, PyList>, Bound<'py, PyList>)> {
        let (here, gone) = py.detach(|| self.document.changes(&old.document));
        Ok((names(py, here)?, names(py, gone)?))
    }

    /// Reports whether it defines that object.
    fn defines(&self, section: &str, name: &str) -> bool {
        self.document.entry(section, name).is_some()
    }

    /// Returns the whole tree as dicts, lists, strings, numbers, booleans and None. It is new at
    /// each call.
    fn value<'py>(&self, py: Python<'py>) -> PyResult<Bound<'py, PyAny>> {
        to_python(&self.document.value(), &mut Keys::new(py))
    }

    /// Returns one object; the name is empty as in `entries`. Raises `KeyError` if there is no such
    /// object.
    fn entry<'py>(
        &self,
        py: Python<'py>,
        section: &str,
        name: &str,
    ) -> PyResult<Bound<'py, PyAny>> {
        match self.document.entry(section, name) {
            Some(value) => to_python(value, &mut Keys::new(py)),
            None => Err(PyKeyError::new_err((section.to_owned(), name.to_owned()))),
        }
    }

    /// Returns line and column (from 1) where the `"key"` or the `"value"` at a path begins; None
    /// if there is no such path. The first call reads the text again, the others only look up.
    fn locate(&self, py: Python<'_>, path: Vec<Step>, which: &str) -> PyResult<Option<(u32, u32)>> {
        let which = match which {
            "key" => Which::Key,
            "value" => Which::Value,
            _ => return Err(PyValueError::new_err("`which` is \"key\" or \"value\"")),
        };
        let text = self.text.as_bytes(py);
        let path: Vec<Seg> = path.into_iter().map(Seg::from).collect();
        Ok(py.detach(|| {
            let spans = self.spans.get_or_init(|| Spans::of(text, self.format).ok());
            let span = spans.as_ref()?.locate(&path, which)?;
            Some((span.start.line, span.start.column))
        }))
    }
}

/// One step of a path, from or for Python.
#[derive(FromPyObject, IntoPyObject)]
pub(crate) enum Step {
    Index(usize),
    Key(String),
}

impl From<Seg> for Step {
    fn from(seg: Seg) -> Step {
        match seg {
            Seg::Index(index) => Step::Index(index),
            Seg::Key(key) => Step::Key(key),
        }
    }
}

impl From<Step> for Seg {
    fn from(step: Step) -> Seg {
        match step {
            Step::Index(index) => Seg::Index(index),
            Step::Key(key) => Seg::Key(key),
        }
    }
}

fn names<'py>(py: Python<'py>, names: hg_text::Names<'_>) -> PyResult<Bound<'py, PyList>> {
    let mut keys = Keys::new(py);
    let rows = names.into_iter().map(|(section, name)| (keys.get(section), name));
    PyList::new(py, rows.collect::<Vec<_>>())
}

/// Python strings of keys. A conversion makes each of them once, because few keys occur again and
/// again.
pub(crate) struct Keys<'py, 'd> {
    py: Python<'py>,
    known: HashMap<&'d str, Bound<'py, PyString>>,
}

impl<'py, 'd> Keys<'py, 'd> {
    pub(crate) fn new(py: Python<'py>) -> Self {
        Keys { py, known: HashMap::new() }
    }

    fn get(&mut self, key: &'d str) -> Bound<'py, PyString> {
        self.known.entry(key).or_insert_with(|| PyString::new(self.py, key)).clone()
    }
}

/// Converts a value. Cost: one Python object per value. Depth is bounded by [`hg_text::MAX_DEPTH`].
pub(crate) fn to_python<'py, 'd>(
    value: &'d Value,
    keys: &mut Keys<'py, 'd>,
) -> PyResult<Bound<'py, PyAny>> {
    let py = keys.py;
    Ok(match value {
        Value::Null => py.None().into_bound(py),
        Value::Bool(b) => b.into_pyobject(py)?.to_owned().into_any(),
        Value::Int(n) => n.into_pyobject(py)?.into_any(),
        Value::Float(x) => x.into_pyobject(py)?.into_any(),
        Value::Str(text) => PyString::new(py, text).into_any(),
        Value::List(items) => {
            let values = items.iter().map(|item| to_python(&item.value, keys));
            PyList::new(py, values.collect::<PyResult<Vec<_>>>()?)?.into_any()
        }
        Value::Map(map) => {
            let dict = PyDict::new(py);
            for entry in map.entries() {
                dict.set_item(keys.get(&entry.key), to_python(&entry.value, keys)?)?;
            }
            dict.into_any()
        }
    })
}
