//! Whether a request's body is decoded on its way to the endpoint, and what came of it.

use crate::keep::Results;
use hg_codec::{Bound, Fault, Readable};
use hg_route::Headers;
use std::sync::Arc;

/// How the body of one request is decoded.
#[derive(Clone, Debug)]
pub struct Decoding {
    /// Its coding.
    pub coding: Readable,
    /// How large it may become.
    pub bound: Bound,
    pub(crate) results: Option<Arc<Results>>,
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
    /// Counts a body that is decoded, for the worker of that number.
    pub fn count_begun(&self, worker: usize) {
        let coding = Readable::ALL.iter().position(|one| *one == self.coding);
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

/// What a request says of the coding of its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coded {
    /// It has none.
    Plain,
    /// It has this one alone.
    As(Readable),
    /// It has one that we do not know, several, or is a part of a body that has one.
    Otherwise,
}

impl Coded {
    /// Reads `Content-Encoding` (RFC 9110 §8.4), whose `identity` says nothing. The bytes of a part
    /// (`Content-Range`, §14.5) are those of the encoded body, and cannot be decoded alone.
    pub(crate) fn of(headers: &dyn Headers) -> Self {
        let mut coded = Self::Plain;
        headers.each("content-encoding", &mut |line| {
            for token in line.split(|b| *b == b',').map(<[u8]>::trim_ascii) {
                let is_named = !token.is_empty() && !token.eq_ignore_ascii_case(b"identity");
                coded = match (coded, is_named) {
                    (coded, false) => coded,
                    (Self::Plain, true) => {
                        Readable::of_token(token).map_or(Self::Otherwise, Self::As)
                    }
                    (_, true) => Self::Otherwise,
                };
            }
        });
        if coded != Self::Plain {
            headers.each("content-range", &mut |_| coded = Self::Otherwise);
        }
        coded
    }
}

#[cfg(test)]
#[path = "decoding_tests.rs"]
mod tests;
