//! Failures to reach a server that the node itself sends to.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The class of a failure, for counters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its name has no address.
    Name,
    /// No connection.
    Connect,
    /// No agreement on TLS: its certificate, its name, or its wish for ours.
    Tls,
    /// No answer in time.
    Timeout,
    /// The connection ended too early.
    Closed,
    /// Its answer says no, or is none.
    Answer,
}

impl Reason {
    /// Every class, in the order of their numbers.
    pub const ALL: [Self; 6] =
        [Self::Name, Self::Connect, Self::Tls, Self::Timeout, Self::Closed, Self::Answer];

    /// Returns the word for counters.
    pub fn word(self) -> &'static str {
        match self {
            Self::Name => "name",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Answer => "answer",
        }
    }
}

/// A failure to reach a server, or to get its answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// Its class.
    pub reason: Reason,
    /// A sentence for a person, without secrets.
    pub detail: String,
}

impl Failure {
    /// Makes one.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }

    /// There was no answer in time.
    pub(crate) fn late() -> Self {
        Self::new(Reason::Timeout, "no answer in time")
    }

    pub(crate) fn broken(error: &io::Error) -> Self {
        Self::new(Reason::Closed, format!("the connection broke: {error}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

/// Counts of failures by their class.
#[derive(Debug, Default)]
pub struct Reasons([AtomicU64; Reason::ALL.len()]);

impl Reasons {
    /// Counts one.
    pub fn count(&self, reason: Reason) {
        let counts = Reason::ALL.iter().zip(&self.0);
        if let Some((_, count)) = counts.into_iter().find(|(one, _)| **one == reason) {
            count.fetch_add(1, Relaxed);
        }
    }

    /// Returns the counts, in the order of [`Reason::ALL`].
    pub fn counts(&self) -> [u64; Reason::ALL.len()] {
        self.0.each_ref().map(|count| count.load(Relaxed))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_class_has_its_word_and_its_count() {
        let counts = Reasons::default();
        for (at, reason) in Reason::ALL.into_iter().enumerate() {
            (0..=at).for_each(|_| counts.count(reason));
        }
        assert_eq!(counts.counts(), [1, 2, 3, 4, 5, 6]);
        let words = Reason::ALL.map(Reason::word);
        assert_eq!(words, ["name", "connect", "tls", "timeout", "closed", "answer"]);
    }
}
