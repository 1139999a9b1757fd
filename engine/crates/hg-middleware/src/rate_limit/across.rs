//! A limit that several nodes share: what it says of itself, and its answer while the store is away.

use crate::context::Context;
use crate::limit_answer;
use crate::limit_state::State;
use crate::view::Answer;
use hg_limit::{Common, Desk, Rate, Seed, WhenAway};
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// The reach of the counts of a limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reach {
    /// The workers of this node.
    #[default]
    Node,
    /// All nodes, through the limit store.
    Nodes,
}

/// The policy while the store is away.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Policy {
    #[default]
    Share,
    Open,
    Closed,
}

impl From<Policy> for WhenAway {
    fn from(policy: Policy) -> Self {
        match policy {
            Policy::Share => Self::Share,
            Policy::Open => Self::Open,
            Policy::Closed => Self::Closed,
        }
    }
}

/// The counts of a rate limit, shared by all workers. Made by the first request, which brings the
/// seed.
pub(crate) type Kept = OnceLock<Counts>;

/// Counts of this node alone, or with other nodes.
#[derive(Debug)]
pub(crate) enum Counts {
    Node(State),
    Nodes(Arc<Common>),
}

/// The additional parts of a limit that nodes share.
#[derive(Clone, Debug, Default)]
pub(crate) struct Across {
    pub(crate) when_away: WhenAway,
    pub(crate) desk: Arc<Desk>,
    /// The same on all nodes.
    pub(crate) name: Box<str>,
}

impl Across {
    /// Makes the counts of a limit that has counted nothing, with room for so many keys.
    pub(crate) fn counts(&self, rate: Rate, max_keys: Option<u32>, cx: &mut Context<'_>) -> Counts {
        let (seed, keys) = (Seed([(cx.random)(), (cx.random)()]), max_keys.unwrap_or(1) as usize);
        Counts::Nodes(Arc::new(Common::new(rate, keys, &self.name, seed, cx.now_us)))
    }
}

const DETAIL: &str = "the store of this limit is away";

/// Answers a request that nobody could count.
pub(crate) fn refuse(answer: &mut Answer) {
    limit_answer::refuse(answer, (503, "limit-store"), DETAIL, Some(1));
}
