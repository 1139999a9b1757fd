//! The outcomes of requests at upstreams with affinity.

use super::Counter;
use crate::report::ReasonCount;

/// Requests that an endpoint answered, by the cookie that they came with.
#[derive(Debug, Default)]
pub(crate) struct AffinityCounters {
    /// The endpoint was the one of the cookie.
    pub(crate) kept: Counter,
    /// There was no cookie, or its time was over.
    pub(crate) new: Counter,
    /// The endpoint of the cookie could not take the request, or has left the upstream.
    pub(crate) moved: Counter,
    /// The cookie was not made by us.
    pub(crate) forged: Counter,
}

impl AffinityCounters {
    /// Returns the sums over all workers.
    pub(crate) fn counts(all: &[&Self]) -> Vec<ReasonCount> {
        let count = |reason, of: fn(&Self) -> &Counter| ReasonCount {
            reason,
            count: all.iter().map(|one| of(one).get()).sum(),
        };
        vec![
            count("kept", |c| &c.kept),
            count("new", |c| &c.new),
            count("moved", |c| &c.moved),
            count("forged", |c| &c.forged),
        ]
    }
}
