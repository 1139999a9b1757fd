//! Waits between tries, and the budget that keeps retries from being a storm.

use hg_resilience::{Backoff, Budget, BudgetPolicy};
use pyo3::prelude::*;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// Returns the wait in milliseconds before a retry, the first one having number 0. `curve` is the
/// first wait, its growth in percent, and the longest wait; `random` is 64 bits of chance, None for
/// the longest wait; `retry_after_ms` is what the other side asked for.
#[pyfunction]
pub fn backoff_ms(
    retry: u32,
    curve: (u64, u32, u64),
    random: Option<u64>,
    retry_after_ms: Option<u64>,
) -> u64 {
    let (base_ms, factor_percent, max_ms) = curve;
    let jitter = random.is_some();
    Backoff { base_ms, factor_percent, max_ms, jitter }.wait_ms(
        retry,
        retry_after_ms,
        random.unwrap_or_default(),
    )
}

/// A budget of the retries that are left; its methods may be called from any thread.
#[pyclass(frozen, module = "headgate._core._core")]
pub struct RetryBudget {
    budget: Mutex<Budget>,
    policy: BudgetPolicy,
}

#[pymethods]
impl RetryBudget {
    /// `ratio_permille`: retries for a thousand requests; `floor_permille`: retries in a thousand
    /// seconds, whatever the requests.
    #[new]
    fn new(ratio_permille: u32, floor_permille: u32) -> Self {
        let policy = BudgetPolicy { ratio_permille, floor_permille };
        Self { budget: Mutex::default(), policy }
    }

    /// Counts a request; a retry of it is none.
    fn deposit(&self, now_ms: u64) {
        self.budget().deposit(now_ms);
    }

    /// Takes a retry out; returns False, and takes nothing, if there is none left.
    fn withdraw(&self, now_ms: u64) -> bool {
        self.budget().withdraw(&self.policy, now_ms)
    }

    /// Returns how many retries are left now.
    fn balance(&self, now_ms: u64) -> u64 {
        self.budget().balance(&self.policy, now_ms)
    }
}

impl RetryBudget {
    fn budget(&self) -> MutexGuard<'_, Budget> {
        self.budget.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
