//! `request_headers`: edits of the header lines for the endpoint.

use crate::headers::{Direction, Edits};
use crate::step::{Composed, Problems, Step};
use hg_plan::HeaderEdits;

/// Edits, compiled.
#[derive(Clone, Debug)]
pub(crate) struct RequestHeaders(Edits);

impl Step for RequestHeaders {
    type Options = HeaderEdits;
    const RUNS: bool = false;

    fn compile(edits: &HeaderEdits, problems: &mut Problems) -> Option<Self> {
        Some(Self(Edits::compile(edits, Direction::Request, "request_headers", problems)))
    }

    fn edits(&self) -> Composed<'_> {
        Composed { request: Some(&self.0), ..Composed::default() }
    }
}

#[cfg(test)]
mod tests;
