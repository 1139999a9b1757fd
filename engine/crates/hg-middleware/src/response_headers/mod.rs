//! `response_headers`: edits of the header lines for the client.

use crate::by_status::Statuses;
use crate::headers::{Direction, Edits};
use crate::step::{Composed, Problems, Step};
use hg_plan::HeaderEdits;
use serde::Deserialize;
use std::collections::BTreeMap;

/// The options, as they are in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    add: BTreeMap<String, String>,
    #[serde(default)]
    remove: Vec<String>,
    /// First and last status of each range of answers that are edited, 100 to 599. Empty = all.
    #[serde(default)]
    statuses: Vec<(u16, u16)>,
}

/// Edits, compiled.
#[derive(Clone, Debug)]
pub(crate) struct ResponseHeaders(Edits);

impl Step for ResponseHeaders {
    type Options = Options;
    const RUNS: bool = false;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let Options { set, add, remove, statuses } = options;
        for (index, (first, last)) in statuses.iter().enumerate() {
            if *first < 100 || first > last || *last > 599 {
                let message =
                    format!("{first} to {last} are not statuses; write some of 100 to 599");
                problems.push((format!("response_headers.statuses[{index}]"), message));
            }
        }
        let edits = HeaderEdits { set: set.clone(), add: add.clone(), remove: remove.clone() };
        let mut edits = Edits::compile(&edits, Direction::Response, "response_headers", problems);
        if !statuses.is_empty() {
            edits.limit_to(Statuses::from(statuses.as_slice()));
        }
        Some(Self(edits))
    }

    fn edits(&self) -> Composed<'_> {
        Composed { response: Some(&self.0), ..Composed::default() }
    }
}

#[cfg(test)]
mod tests;
