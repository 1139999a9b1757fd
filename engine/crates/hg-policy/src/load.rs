//! The caller's knowledge about endpoints at the moment of a pick.

/// The endpoints' state, by index in the upstream's list; a missing entry counts as idle and not
/// usable. Worker-local, kept by the caller.
#[derive(Clone, Copy, Debug)]
pub struct Load<'a> {
    /// Requests in flight.
    pub active: &'a [u32],
    /// True if a request may be sent there now (healthy, below its connection limit).
    pub usable: &'a [bool],
}

/// A sample of the time that answers of an endpoint take, from a request that left it, in
/// microseconds from the choice of the endpoint to the head of the answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sample {
    /// An answer took so long.
    Took(u64),
    /// After so long there was a failure.
    Failed(u64),
    /// Nobody waited any longer.
    AtLeast(u64),
}

/// Indices below this are kept as bits.
const BITS: usize = 256;
/// Number of indices from [`BITS`] on that fit.
const MORE: usize = 8;

/// The endpoints already tried for one request: 72 bytes, copied, nothing allocated.
#[derive(Clone, Copy, Debug, Default)]
pub struct Tried {
    bits: [u64; BITS / 64],
    more: [u32; MORE],
    more_len: u8,
}

impl Tried {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an endpoint. Returns false if there is no room for it (eight beyond index 255 fit); the
    /// caller then stops trying, so that a request never returns to the same endpoints for ever.
    #[must_use]
    pub fn insert(&mut self, endpoint: usize) -> bool {
        if let Some(word) = self.bits.get_mut(endpoint / 64) {
            *word |= 1 << (endpoint % 64);
            return true;
        }
        if self.contains(endpoint) {
            return true;
        }
        let Ok(index) = u32::try_from(endpoint) else {
            return false;
        };
        match self.more.get_mut(usize::from(self.more_len)) {
            Some(slot) => *slot = index,
            None => return false,
        }
        self.more_len += 1;
        true
    }

    /// Reports whether the endpoint was tried.
    pub fn contains(&self, endpoint: usize) -> bool {
        match self.bits.get(endpoint / 64) {
            Some(word) => word & (1 << (endpoint % 64)) != 0,
            None => self.more.iter().take(self.more_len.into()).any(|&i| i as usize == endpoint),
        }
    }

    /// Returns how many endpoints were tried.
    pub fn len(&self) -> usize {
        let bits: u32 = self.bits.iter().map(|w| w.count_ones()).sum();
        bits as usize + usize::from(self.more_len)
    }

    /// Reports whether no endpoint was tried.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// A policy's view of one request: which endpoints it may pick, and how busy they are.
#[derive(Clone, Copy)]
pub(crate) struct Choice<'a> {
    load: &'a Load<'a>,
    /// `None` if none was tried, the usual case, which then costs nothing per endpoint.
    tried: Option<&'a Tried>,
}

impl<'a> Choice<'a> {
    pub(crate) fn new(load: &'a Load<'a>, tried: &'a Tried) -> Self {
        Self { load, tried: (!tried.is_empty()).then_some(tried) }
    }

    /// Reports whether the endpoint may be picked.
    pub(crate) fn allows(&self, endpoint: u32) -> bool {
        let index = endpoint as usize;
        self.load.usable.get(index).is_some_and(|usable| *usable)
            && !self.tried.is_some_and(|tried| tried.contains(index))
    }

    /// Returns the requests in flight at the endpoint.
    pub(crate) fn active(&self, endpoint: u32) -> u32 {
        self.load.active.get(endpoint as usize).copied().unwrap_or(0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tried_remembers_low_and_high_indices() {
        let mut tried = Tried::new();
        assert!(tried.is_empty() && !tried.contains(0) && !tried.contains(10_000));
        for i in [0, 63, 64, 255, 256, 70_000] {
            assert!(tried.insert(i) && tried.insert(i));
        }
        assert_eq!(tried.len(), 6);
        assert!([0, 63, 64, 255, 256, 70_000].into_iter().all(|i| tried.contains(i)));
        assert!(!tried.contains(1) && !tried.contains(257));
    }

    #[test]
    fn tried_says_when_it_is_full() {
        let mut tried = Tried::new();
        assert!((300..308).all(|i| tried.insert(i)));
        assert!(!tried.insert(400) && tried.insert(300) && tried.insert(5));
    }
}
