//! Options that the plan carries without knowing what they mean.

use serde::de::DeserializeOwned;

/// Reads options of canonical JSON.
///
/// # Errors
/// Returns what is wrong with them, without a position: nobody wrote that text.
pub(super) fn read<T: DeserializeOwned>(options: &str) -> Result<T, String> {
    serde_json::from_str(options).map_err(|error| {
        let text = error.to_string();
        text.rsplit_once(" at line ").map_or(text.clone(), |(what, _)| what.to_owned())
    })
}
