//! `request_headers`: edits of the header lines for the endpoint.

use crate::headers::{Direction, Edits};
use hg_plan::HeaderEdits;

/// Checks and compiles; appends what is wrong to `problems`.
pub(crate) fn compile(edits: &HeaderEdits, problems: &mut Vec<(String, String)>) -> Edits {
    Edits::compile(edits, Direction::Request, "request_headers", problems)
}

#[cfg(test)]
mod tests;
