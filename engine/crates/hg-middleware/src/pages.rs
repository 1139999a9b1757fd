//! Pages that clients get instead of the bodies of errors.

use crate::keep::Results;
use hg_proto::respond::reason_phrase;
use std::sync::Arc;

/// The answer that a page replaces, by its source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// An endpoint's.
    Endpoint,
    /// The node's, or a middleware's that refused the request.
    Node,
}

/// The results that are counted, by [`Source`].
pub(crate) const RESULTS: &[&str] = &["endpoint", "node"];

/// A page.
#[derive(Debug)]
pub struct Page {
    /// First and last status of each range that it is for.
    pub(crate) statuses: Box<[(u16, u16)]>,
    /// Its `Content-Type`.
    pub content_type: Box<str>,
    /// Its text in pieces, each followed by what stands at that place; the last one by nothing.
    pub(crate) pieces: Box<[(Box<str>, Option<Word>)]>,
}

/// The facts of the answer that a page may state. None of these is a text that the client sent, so
/// that no page carries one (cross-site scripting).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    Status,
    Reason,
    RequestId,
}

const WORDS: [(&str, Word); 3] =
    [("${status}", Word::Status), ("${reason}", Word::Reason), ("${request_id}", Word::RequestId)];

impl Page {
    /// Makes a page; any other `$` in its text stays as it is, because scripts are full of them.
    pub(crate) fn new(statuses: &[(u16, u16)], content_type: &str, text: &str) -> Self {
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((at, word, len)) = next_word(rest) {
            let (before, after) = rest.split_at(at);
            pieces.push((before.into(), Some(word)));
            rest = after.get(len..).unwrap_or_default();
        }
        pieces.push((rest.into(), None));
        Self { statuses: statuses.into(), content_type: content_type.into(), pieces: pieces.into() }
    }

    fn is_for(&self, status: u16) -> bool {
        self.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status))
    }

    /// Appends its text for an answer.
    pub fn render(&self, status: u16, request_id: &str, out: &mut Vec<u8>) {
        for (text, word) in &self.pieces {
            out.extend_from_slice(text.as_bytes());
            match word {
                Some(Word::Status) => {
                    out.extend_from_slice(itoa::Buffer::new().format(status).as_bytes());
                }
                Some(Word::Reason) => out.extend_from_slice(reason_phrase(status).as_bytes()),
                Some(Word::RequestId) => out.extend_from_slice(request_id.as_bytes()),
                None => {}
            }
        }
    }
}

fn next_word(text: &str) -> Option<(usize, Word, usize)> {
    let found = WORDS.iter().filter_map(|(name, word)| Some((text.find(name)?, *word, name.len())));
    found.min_by_key(|(at, ..)| *at)
}

/// The pages of one middleware.
#[derive(Clone, Debug, Default)]
pub struct Pages {
    pub(crate) pages: Arc<[Arc<Page>]>,
    pub(crate) results: Option<Arc<Results>>,
}

impl Pages {
    /// Returns the first page for a status, and counts it for the worker of that number.
    fn take(&self, status: u16, source: Source, worker: usize) -> Option<Arc<Page>> {
        let page = self.pages.iter().find(|page| page.is_for(status))?;
        if let Some(results) = &self.results {
            results.add(worker, source as usize);
        }
        Some(Arc::clone(page))
    }
}

/// The pages of a chain, in the order of its steps.
#[derive(Clone, Debug, Default)]
pub struct ChainPages(pub(crate) Box<[Pages]>);

impl ChainPages {
    /// Reports whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Returns the page for a status of at least 400: of several middlewares the last one that has
    /// one counts. Counts it for the worker of that number.
    pub fn take(&self, status: u16, source: Source, worker: usize) -> Option<Arc<Page>> {
        self.0.iter().rev().find_map(|pages| pages.take(status, source, worker))
    }
}

#[cfg(test)]
#[path = "pages_tests.rs"]
mod tests;
