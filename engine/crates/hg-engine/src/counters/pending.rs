//! The data that a worker keeps for peers that take it slowly.

use super::Counter;
use crate::report::PendingMetrics;

/// The data that waits in a worker's buffers.
#[derive(Debug, Default)]
pub(crate) struct PendingCounters {
    /// Bytes that wait for clients and endpoints now.
    pub(crate) bytes: Counter,
    /// Answers that had come whole before their clients had taken them, on routes that collect.
    pub(crate) collected: Counter,
}

impl PendingCounters {
    pub(crate) fn add_to(&self, total: &mut PendingMetrics) {
        total.bytes += self.bytes.get();
        total.collected += self.collected.get();
    }
}
