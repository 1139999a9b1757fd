//! The verdict of a limit on one request.

use crate::rate::PER_REQUEST;

/// The decision about one request. [`crate::Rate`] turns it into times.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// True if the request is within the limit; only then it was counted.
    pub allowed: bool,
    /// True if another key lost its debt for it.
    pub evicted: bool,
    /// The debt of the key afterwards, in units.
    pub(crate) debt: u64,
    /// The most that it may owe.
    pub(crate) most: u64,
    /// The units that the request lacked; 0 if it passed.
    pub(crate) lacks: u64,
}

impl Verdict {
    /// Returns the refusal of a request of this cost, whatever its key owes.
    pub(crate) fn refused(self, cost: u32) -> Self {
        let lacks = u64::from(cost.max(1)) * PER_REQUEST;
        Self { allowed: false, evicted: false, debt: self.most, most: self.most, lacks }
    }

    /// Returns how many requests of cost 1 would pass right now.
    pub fn remaining(&self) -> u32 {
        u32::try_from(self.most.saturating_sub(self.debt) / PER_REQUEST).unwrap_or(u32::MAX)
    }
}
