//! The verdict on the answer to a check that sends bytes.

use hg_plan::BytesCheck;
use hg_resilience::Expected;
use pyo3::exceptions::PyValueError;
use pyo3::prelude::*;

/// The answer that a check requires.
#[pyclass(frozen, module = "headgate._core._core")]
pub(super) struct ExpectedAnswer(Expected);

#[pymethods]
impl ExpectedAnswer {
    /// Reads the canonical bytes of a plan's `bytes` check.
    ///
    /// # Errors
    /// `ValueError` for other bytes.
    #[new]
    fn new(check: &[u8]) -> PyResult<Self> {
        let check: BytesCheck =
            serde_json::from_slice(check).map_err(|e| PyValueError::new_err(e.to_string()))?;
        Ok(Self(Expected::new(&check)))
    }

    /// Judges an answer as far as it has come: `None` = it may still pass, an empty text = it
    /// passes, else what it is instead. `is_whole`: nothing follows.
    fn judge(&self, answer: &[u8], is_whole: bool) -> Option<String> {
        Some(self.0.judge(answer, is_whole)?.err().unwrap_or_default())
    }
}
