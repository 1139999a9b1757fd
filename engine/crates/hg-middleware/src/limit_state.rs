//! The counts of one limit, which outlive a reload.

use crate::context::Context;
use hg_limit::{Cell, Rate, Seed, Table};
use std::sync::OnceLock;

/// The counts of a limit, shared by all workers. Made by the first request, which brings the seed.
pub(crate) type Kept = OnceLock<State>;

/// Counts.
#[derive(Debug)]
pub(crate) enum State {
    /// Of all requests together.
    All(Cell),
    /// By key, hashed with this seed.
    Keys(Table, Seed),
}

impl State {
    /// Makes the counts of a limit that has counted nothing: of all requests together, or with room
    /// for so many keys.
    pub(crate) fn new(rate: Rate, max_keys: Option<u32>, cx: &mut Context<'_>) -> Self {
        match max_keys {
            None => Self::All(Cell::new(rate)),
            Some(keys) => {
                let seed = Seed([(cx.random)(), (cx.random)()]);
                Self::Keys(Table::new(rate, keys as usize, cx.now_us), seed)
            }
        }
    }
}
