//! The extension module `headgate._core._core`: thin bindings to the core's crates, one module
//! each. They convert and detach from the interpreter; the crates make the decisions.

mod access;
mod alike;
mod client;
mod dataplane;
mod health;
mod library;
mod lines;
mod plan;
mod route;
mod tcp;
mod text;
mod tls;

use pyo3::prelude::*;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Adds a binding's classes and functions to the module.
type Register = fn(&Bound<'_, PyModule>) -> PyResult<()>;

/// Every binding.
const FACES: [Register; 12] = [
    access::register,
    alike::register,
    client::register,
    dataplane::register,
    health::register,
    library::register,
    lines::register,
    plan::register,
    route::register,
    tcp::register,
    text::register,
    tls::register,
];

#[pymodule]
fn _core(module: &Bound<'_, PyModule>) -> PyResult<()> {
    FACES.iter().try_for_each(|register| register(module))
}
