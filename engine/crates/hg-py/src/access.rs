//! Key sets and password hashes of access middlewares, for Python: whether they can be used at all.

use hg_access::{KeySet, PasswordHash};
use pyo3::prelude::*;

/// Adds `key_set_problem` and `password_hash_problem` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(key_set_problem, module)?)?;
    module.add_function(wrap_pyfunction!(password_hash_problem, module)?)
}

/// Returns what is wrong with a JWK set: the path in it, what is wrong and what is allowed.
#[pyfunction]
fn key_set_problem(text: &str) -> Option<(String, String)> {
    KeySet::parse(text).err()
}

/// Returns what is wrong with the hash of a password, and what is allowed, without the hash.
#[pyfunction]
fn password_hash_problem(text: &str) -> Option<String> {
    PasswordHash::parse(text).err()
}
