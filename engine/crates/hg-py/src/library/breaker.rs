//! A circuit breaker with the shares of failures that may open it, too.

use hg_resilience::{BreakerPolicy, Circuit, Counts, Permit, Trip, Verdict, Window};
use pyo3::prelude::*;
use std::sync::{Mutex, PoisonError};

/// The limits at which a breaker opens and closes: any Python object with these attributes.
#[derive(FromPyObject)]
struct Policy {
    failures: u16,
    open_ms: u64,
    successes: u16,
    probes: u16,
    error_percent: u8,
    requests: u32,
    window_s: u64,
}

/// The right to do one thing that the breaker guards.
#[pyclass(frozen, module = "headgate._core._core")]
pub struct BreakerPermit(Permit);

/// Guards one thing that may fail; its methods may be called from any thread.
#[pyclass(frozen, module = "headgate._core._core")]
pub struct Breaker {
    /// Apart: it has a cache line of its own, and Python aligns no objects.
    breaker: Box<hg_resilience::Breaker>,
    policy: BreakerPolicy,
    trip: Option<(Trip, Mutex<Window>)>,
    /// The permit that a closed breaker gave last: the same for every try until it opens, so that a
    /// try makes no object.
    closed: Mutex<Option<Py<BreakerPermit>>>,
}

#[pymethods]
impl Breaker {
    #[new]
    fn new(policy: Policy) -> Self {
        let trip = (policy.error_percent > 0).then(|| {
            let trip = Trip {
                error_percent: policy.error_percent,
                requests: policy.requests,
                window_s: policy.window_s,
                ..Trip::default() // which has no slow ones
            };
            (trip, Mutex::default())
        });
        let policy = BreakerPolicy {
            failures: policy.failures,
            open_for_ms: policy.open_ms,
            successes: policy.successes,
            probes: policy.probes,
        };
        Self { breaker: Box::default(), policy, trip, closed: Mutex::default() }
    }

    /// Returns the right to one more try, or None while the breaker is open.
    fn acquire(&self, py: Python<'_>, now_ms: u64) -> PyResult<Option<Py<BreakerPermit>>> {
        let Some(permit) = self.breaker.acquire(now_ms, &self.policy) else {
            return Ok(None);
        };
        if permit.is_trial() {
            return Py::new(py, BreakerPermit(permit)).map(Some);
        }
        let mut last = self.closed.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(same) = last.as_ref().filter(|last| last.get().0 == permit) {
            return Ok(Some(same.clone_ref(py)));
        }
        let made = Py::new(py, BreakerPermit(permit))?;
        *last = Some(made.clone_ref(py));
        Ok(Some(made))
    }

    /// Takes in how a try ended; None says nothing, and gives its place back.
    fn report(&self, permit: &BreakerPermit, good: Option<bool>, now_ms: u64) {
        let verdict = match good {
            Some(true) => Verdict::Good,
            Some(false) => Verdict::Bad,
            None => Verdict::Neutral,
        };
        // What began before it opened says nothing once it has closed.
        let is_current = self.breaker.is_current(permit.0);
        self.breaker.report(permit.0, verdict, now_ms, &self.policy);
        let Some((trip, window)) = self.trip.as_ref().filter(|_| is_current) else { return };
        let mut window = window.lock().unwrap_or_else(PoisonError::into_inner);
        let mut counts = Counts::default();
        counts.note(verdict);
        window.add(now_ms, counts);
        let is_closed = self.breaker.circuit() == Circuit::Closed;
        if is_closed && trip.cause(window.sum(now_ms, trip.window_s)).is_some() {
            self.breaker.trip(now_ms, &self.policy);
            *window = Window::default();
        }
    }

    /// Returns its state: `closed`, `open`, `half-open`.
    #[getter]
    fn state(&self) -> &'static str {
        match self.breaker.circuit() {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "half-open",
        }
    }

    /// Returns when an open breaker lets a try through again.
    #[getter]
    fn open_until_ms(&self) -> Option<u64> {
        self.breaker.open_until_ms()
    }
}
