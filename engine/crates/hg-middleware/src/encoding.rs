//! The decision to encode an answer on its way to the client, and what that changes of its head.

use crate::keep::Results;
use crate::view::RequestView;
use hg_codec::{Accept, Coding, Levels};
use std::sync::Arc;

/// The answers that are encoded, and how they are.
#[derive(Clone, Debug)]
pub struct Encoding {
    /// Types in lower case, without parameters.
    pub(crate) types: Box<[Box<str>]>,
    /// Answers that say they are shorter stay as they are, in bytes.
    pub(crate) least: u64,
    /// In the order of our preference.
    pub(crate) offered: Box<[Coding]>,
    pub(crate) levels: Levels,
    pub(crate) results: Option<Arc<Results>>,
}

/// The results that are counted.
pub(crate) const RESULTS: &[&str] = &["zstd", "br", "gzip", "not_accepted", "busy", "unsuited"];

/// The head of an answer, as far as it matters here.
#[derive(Clone, Copy, Debug, Default)]
pub struct AnswerHead<'a> {
    /// The status.
    pub status: u16,
    /// `Content-Type`.
    pub content_type: Option<&'a [u8]>,
    /// `Content-Length`; absent = not known before.
    pub content_length: Option<u64>,
    /// True if it has a `Content-Encoding` or a `Content-Range`.
    pub is_made: bool,
    /// True if its `Cache-Control` has `no-transform` (RFC 9111 §5.2.2.6).
    pub no_transform: bool,
}

/// The treatment of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Nothing: no client would get it encoded.
    Leave,
    /// It stays as it is, for this client.
    Vary,
    /// It is encoded.
    Encode(Coding, Levels),
}

impl Encoding {
    /// Decides about an answer by its head and the request.
    pub fn verdict(&self, head: &AnswerHead<'_>, view: &RequestView<'_>) -> Verdict {
        if !self.is_eligible(head) {
            return Verdict::Leave;
        }
        let mut accept = Accept::new();
        view.headers.each("accept-encoding", &mut |value| accept.line(value));
        let mut no_transform = false;
        view.headers.each("cache-control", &mut |value| no_transform |= says_no_transform(value));
        match accept.choose(&self.offered) {
            // HTTP/1.0 clients would have to close the connection to see the end.
            _ if no_transform || view.protocol == "HTTP/1.0" => Verdict::Vary,
            Some(coding) => Verdict::Encode(coding, self.levels),
            None => Verdict::Vary,
        }
    }

    /// Counts what became of an answer, for the worker of that number: the coding that it got, if any.
    pub fn count(&self, worker: usize, verdict: Verdict, got: Option<Coding>) {
        let result = match (verdict, got) {
            (_, Some(Coding::Zstd)) => 0,
            (_, Some(Coding::Brotli)) => 1,
            (_, Some(Coding::Gzip)) => 2,
            (Verdict::Vary, None) => 3,
            (Verdict::Encode(..), None) => 4,
            (Verdict::Leave, None) => 5,
        };
        if let Some(results) = &self.results {
            results.add(worker, result);
        }
    }

    fn is_eligible(&self, head: &AnswerHead<'_>) -> bool {
        let has_body = !matches!(head.status, 100..=199 | 204 | 205 | 206 | 304);
        let is_long = head.content_length.is_none_or(|length| length >= self.least);
        has_body
            && is_long
            && !head.is_made
            && !head.no_transform
            && head.content_type.is_some_and(|text| self.has_type(text))
    }

    fn has_type(&self, text: &[u8]) -> bool {
        let name = text.split(|b| *b == b';').next().unwrap_or_default().trim_ascii();
        self.types.iter().any(|one| one.as_bytes().eq_ignore_ascii_case(name))
    }
}

/// Reports whether a line of `Cache-Control` has `no-transform`.
pub fn says_no_transform(value: &[u8]) -> bool {
    value.split(|b| *b == b',').any(|one| one.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

/// Reports whether a header line of an answer is no longer right once it is encoded: of its
/// length, its parts, or a digest of its bytes.
pub fn is_outdated(name: &[u8]) -> bool {
    [
        &b"content-length"[..],
        b"accept-ranges",
        b"content-md5",
        b"digest",
        b"content-digest",
        b"repr-digest",
    ]
    .iter()
    .any(|one| name.eq_ignore_ascii_case(one))
}

/// Appends the validator of an encoded answer: other bytes than the endpoint's, of the same
/// meaning (RFC 9110 §8.8.1).
pub fn weak(etag: &[u8], out: &mut Vec<u8>) {
    if !etag.starts_with(b"W/") {
        out.extend_from_slice(b"W/");
    }
    out.extend_from_slice(etag);
}

#[cfg(test)]
#[path = "encoding_tests.rs"]
mod tests;
