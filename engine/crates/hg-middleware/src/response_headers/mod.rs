//! `response_headers`: edits of the header lines for the client.

use crate::headers::{Direction, Edits};
use crate::step::{Composed, Problems, Step};
use hg_plan::HeaderEdits;

/// Edits, compiled.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHeaders(Edits);

impl Step for ResponseHeaders {
    type Options = HeaderEdits;
    const RUNS: bool = false;

    fn compile(edits: &HeaderEdits, problems: &mut Problems) -> Option<Self> {
        Some(Self(Edits::compile(edits, Direction::Response, "response_headers", problems)))
    }

    fn edits(&self) -> Composed<'_> {
        Composed { response: Some(&self.0), ..Composed::default() }
    }
}

#[cfg(test)]
mod tests;
