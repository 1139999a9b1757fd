//! `run_data_plane`: the whole life of a data-plane process.

use pyo3::prelude::*;

/// Signals that the supervisor handles: its messages say what they mean for this process. SIGPIPE
/// shows as an error of the write.
const IGNORED: [&str; 6] = ["SIGINT", "SIGTERM", "SIGHUP", "SIGUSR1", "SIGUSR2", "SIGPIPE"];

/// Adds `run_data_plane` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_function(wrap_pyfunction!(run_data_plane, module)?)
}

/// Serves until the supervisor on the other end of `fd` (a connected SOCK_SEQPACKET socket, which
/// is consumed) asks it to leave or is gone; returns the exit status. Reports on standard error why
/// it could not start.
///
/// Detaches from the interpreter before the first worker starts and until the end. Uses only
/// modules that are built into the interpreter, so that nothing is imported from disk.
///
/// # Errors
/// `OSError` if `fd` is not open.
#[pyfunction]
pub fn run_data_plane(py: Python<'_>, fd: i32) -> PyResult<i32> {
    let signal = py.import("_signal")?;
    let ignore = signal.getattr("SIG_IGN")?;
    for name in IGNORED {
        signal.call_method1("signal", (signal.getattr(name)?, &ignore))?;
    }
    let posix = py.import("posix")?;
    if fd != 0 {
        posix.call_method1("dup2", (fd, 0))?;
        posix.call_method1("close", (fd,))?;
    }
    Ok(py.detach(hg_dataplane::main))
}
