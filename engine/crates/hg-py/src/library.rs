//! Parts of the data plane for programs that use headgate as a library. Times are those of one
//! monotonic clock, which the caller passes in.

mod balancer;
mod breaker;
mod limiter;
mod retry;
mod router;

use pyo3::prelude::*;

/// Adds `Balancer`, `Breaker`, `BreakerPermit`, `RateTable`, `RetryBudget`, `RouteFinder` and
/// `backoff_ms` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<balancer::Balancer>()?;
    module.add_class::<breaker::Breaker>()?;
    module.add_class::<breaker::BreakerPermit>()?;
    module.add_class::<limiter::RateTable>()?;
    module.add_class::<retry::RetryBudget>()?;
    module.add_class::<router::RouteFinder>()?;
    module.add_function(wrap_pyfunction!(retry::backoff_ms, module)?)
}
