//! `response_headers`: edits of the header lines that the client gets.

use crate::headers::{Direction, Edits};
use hg_plan::HeaderEdits;

/// Checks and compiles; what is wrong is appended to `problems`.
pub(crate) fn compile(edits: &HeaderEdits, problems: &mut Vec<(String, String)>) -> Edits {
    Edits::compile(edits, Direction::Response, "response_headers", problems)
}

#[cfg(test)]
mod tests;
