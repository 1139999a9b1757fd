//! Edits of responses that depend on the status of the answer.

use crate::headers::{Composition, Edits, HeaderProgram};
use std::sync::Arc;

/// First and last status of each range.
pub(crate) type Statuses = Arc<[(u16, u16)]>;

/// Most different lists of statuses in a chain: each of them doubles the number of programs.
pub(crate) const MOST_LISTS: usize = 4;

/// The edits of a response, for every status. Without lists of statuses it is one program.
#[derive(Clone, Debug, Default)]
pub(crate) struct ByStatus {
    lists: Box<[Statuses]>,
    /// For a status that is in none of the lists.
    other: HeaderProgram,
    /// For each set of lists that a status can be in, as bits, from 1 on.
    listed: Box<[HeaderProgram]>,
}

impl ByStatus {
    /// Composes the edits of several middlewares, given in the order in which they apply.
    pub(crate) fn compose<'a>(edits: impl Iterator<Item = &'a Edits> + Clone) -> Self {
        let lists = lists(edits.clone());
        let program = |bits: usize| {
            let is_in = |statuses: &Statuses| {
                lists.iter().position(|one| one == statuses).is_some_and(|at| bits >> at & 1 == 1)
            };
            let mut composition = Composition::default();
            for one in edits.clone().filter(|one| one.statuses().is_none_or(is_in)) {
                composition.then(one);
            }
            composition.program()
        };
        let listed = (1..1 << lists.len()).map(program).collect();
        Self { other: program(0), listed, lists: lists.into() }
    }

    /// Returns the edits of an answer with that status.
    #[inline]
    pub(crate) fn of(&self, status: u16) -> &HeaderProgram {
        if self.lists.is_empty() { &self.other } else { self.listed(status) }
    }

    fn listed(&self, status: u16) -> &HeaderProgram {
        let has = |list: &Statuses| list.iter().any(|(a, b)| (*a..=*b).contains(&status));
        let bits = self.lists.iter().rev().fold(0, |bits, list| bits << 1 | usize::from(has(list)));
        bits.checked_sub(1).and_then(|at| self.listed.get(at)).unwrap_or(&self.other)
    }

    /// Reports whether it drops a line of any answer.
    pub(crate) fn drops_any(&self) -> bool {
        self.programs().any(|program| program.dropped().next().is_some())
    }

    /// Returns the program of each case.
    pub(crate) fn programs(&self) -> impl Iterator<Item = &HeaderProgram> {
        std::iter::once(&self.other).chain(&self.listed)
    }
}

/// Returns the different lists of statuses, at most [`MOST_LISTS`].
fn lists<'a>(edits: impl Iterator<Item = &'a Edits>) -> Vec<Statuses> {
    let mut lists: Vec<Statuses> = Vec::new();
    for statuses in edits.filter_map(Edits::statuses) {
        if !lists.contains(statuses) && lists.len() < MOST_LISTS {
            lists.push(statuses.clone());
        }
    }
    lists
}

/// Reports whether edits have more different lists of statuses than a chain may.
pub(crate) fn are_too_many(edits: &[Edits]) -> bool {
    let known = lists(edits.iter());
    edits.iter().filter_map(Edits::statuses).any(|statuses| !known.contains(statuses))
}

#[cfg(test)]
#[path = "by_status_tests.rs"]
mod tests;
