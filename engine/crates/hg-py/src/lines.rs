//! Expressions for lines that strangers wrote a part of.

use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;
use regex_automata::Input;
use regex_automata::meta::Regex;
use regex_automata::util::syntax;

/// Adds `LinePattern` to the module.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<LinePattern>()
}

/// An expression that a whole line fits or does not, in time linear in the line. Immutable.
#[pyclass(frozen, module = "headgate._core._core")]
struct LinePattern {
    regex: Regex,
    /// The numbers of the named groups, and their names.
    groups: Vec<(usize, String)>,
}

#[pymethods]
impl LinePattern {
    /// Compiles an expression in which `.` is any character. Raises `ValueError` for one that is
    /// not valid or too large.
    #[new]
    fn new(expression: &str) -> PyResult<Self> {
        let regex = Regex::builder()
            .syntax(syntax::Config::new().dot_matches_new_line(true))
            .build(&format!(r"\A(?:{expression})\z"))
            .map_err(|e| match e.size_limit() {
                Some(bytes) => format!("the expression is too large: over {bytes} bytes"),
                None => e.to_string(),
            })
            .map_err(PyValueError::new_err)?;
        let names = regex.group_info().all_names();
        let groups = names.filter_map(|(_, at, name)| Some((at, name?.to_owned()))).collect();
        Ok(Self { regex, groups })
    }

    /// The names of the groups that have one, in their order.
    #[getter]
    fn names(&self) -> Vec<&str> {
        self.groups.iter().map(|(_, name)| &**name).collect()
    }

    /// Returns the texts of these groups, empty for one that took no part; `None` for a line that
    /// does not fit.
    fn fields<'l>(&self, line: &'l str) -> Option<Vec<&'l str>> {
        let mut found = self.regex.create_captures();
        self.regex.search_captures(&Input::new(line), &mut found);
        found.is_match().then(|| {
            let text = |&(at, _): &(usize, String)| {
                found.get_group(at).and_then(|span| line.get(span.range())).unwrap_or_default()
            };
            self.groups.iter().map(text).collect()
        })
    }
}
