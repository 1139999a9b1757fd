//! `response_headers`: edits of the header lines for the client.

use crate::headers::{Direction, Edits};
use hg_plan::HeaderEdits;

/// Checks and compiles; appends what is wrong to `problems`.
pub(crate) fn compile(edits: &HeaderEdits, problems: &mut Vec<(String, String)>) -> Edits {
    Edits::compile(edits, Direction::Response, "response_headers", problems)
}

#[cfg(test)]
mod tests;
