//! The decision to decode a request's body on its way to the endpoint, and what came of it.

use crate::keep::Results;
use hg_codec::{Bound, Fault, MOST_LAYERS, Readable};
use hg_route::Headers;
use std::sync::Arc;

/// The decoding of the body of one request.
#[derive(Clone, Debug)]
pub struct Decoding {
    /// Its codings, in the order in which they were applied.
    pub codings: Codings,
    /// The limits of the decoded body.
    pub bound: Bound,
    pub(crate) results: Option<Arc<Results>>,
}

/// The codings of one body, in the order in which they were applied; one to [`MOST_LAYERS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Codings {
    all: [Option<Readable>; MOST_LAYERS],
}

impl Codings {
    fn of(first: Readable) -> Self {
        let mut all = [None; MOST_LAYERS];
        all[0] = Some(first);
        Self { all }
    }

    /// Adds one that was applied after the others. `None` if there are too many.
    fn and(mut self, next: Readable) -> Option<Self> {
        *self.all.iter_mut().find(|one| one.is_none())? = Some(next);
        Some(self)
    }

    /// Returns them in order.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Readable> {
        self.all.iter().copied().flatten()
    }
}

/// The results that are counted; those of [`Readable::ALL`] first, in its order.
pub(crate) const RESULTS: &[&str] =
    &["zstd", "br", "gzip", "deflate", "plain", "unsupported", "corrupt", "too_large"];
/// Indices of the others.
pub(crate) const PLAIN: usize = 4;
pub(crate) const UNSUPPORTED: usize = 5;
const CORRUPT: usize = 6;
const TOO_LARGE: usize = 7;

impl Decoding {
    /// Counts a body that is decoded under the last of its codings, for the worker of that number.
    pub fn count_begun(&self, worker: usize) {
        let last = self.codings.iter().next_back();
        let coding = Readable::ALL.iter().position(|one| Some(*one) == last);
        self.count(worker, coding.unwrap_or(CORRUPT));
    }

    /// Counts why a body was refused, for the worker of that number.
    pub fn count_fault(&self, worker: usize, fault: Fault) {
        self.count(
            worker,
            match fault {
                Fault::Corrupt | Fault::Trailing | Fault::Cut => CORRUPT,
                Fault::TooLarge | Fault::TooDense => TOO_LARGE,
            },
        );
    }

    fn count(&self, worker: usize, result: usize) {
        if let Some(results) = &self.results {
            results.add(worker, result);
        }
    }
}

/// The coding of a request's body, as the request states it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coded {
    /// It has none.
    Plain,
    /// It has these.
    As(Codings),
    /// It has one that we do not know, too many, or is a part of a body that has one.
    Otherwise,
}

impl Coded {
    /// Reads `Content-Encoding` (RFC 9110 §8.4), whose `identity` says nothing. The bytes of a part
    /// (`Content-Range`, §14.5) are those of the encoded body, and cannot be decoded alone.
    pub(crate) fn of(headers: &dyn Headers) -> Self {
        let mut coded = Self::Plain;
        headers.each("content-encoding", &mut |line| {
            for token in line.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                if !token.is_empty() && !token.eq_ignore_ascii_case(b"identity") {
                    coded = coded.under(Readable::of_token(token));
                }
            }
        });
        if coded != Self::Plain {
            headers.each("content-range", &mut |_| coded = Self::Otherwise);
        }
        coded
    }

    /// Adds a coding over those that are there; `None` is one that we do not know.
    fn under(self, coding: Option<Readable>) -> Self {
        let codings = match (self, coding) {
            (Self::Plain, Some(coding)) => Some(Codings::of(coding)),
            (Self::As(codings), Some(coding)) => codings.and(coding),
            (Self::Otherwise, _) | (_, None) => None,
        };
        codings.map_or(Self::Otherwise, Self::As)
    }
}

#[cfg(test)]
#[path = "decoding_tests.rs"]
mod tests;
