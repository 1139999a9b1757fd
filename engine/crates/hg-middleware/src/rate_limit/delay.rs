//! Requests of a burst that wait until they are due, as nginx's `limit_req` has them wait.

use super::{Options, Reach};
use crate::context::{Ended, Place, Watch};
use crate::step::{Problems, Run};
use hg_limit::Rate;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// The longest wait, microseconds.
const LONGEST_US: u64 = 300_000_000;

/// The most requests of a limit that were delayed and are in progress, in all workers.
pub(super) const MOST: u32 = 16_384;

/// The cost that may be owed: 1 to 1,000,000; or that, and how much of it passes at once while the rest
/// waits.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(untagged)]
pub(super) enum Burst {
    AtOnce(u32),
    Delayed(u32, u32),
}

impl Burst {
    /// Returns the whole, and how much of it passes at once.
    pub(super) fn parts(self) -> (u32, u32) {
        match self {
            Self::AtOnce(most) => (most, most),
            Self::Delayed(most, at_once) => (most, at_once),
        }
    }
}

/// A burst, compiled: which requests wait, and how many do.
#[derive(Clone, Debug)]
pub(super) struct Delay {
    pub(super) most: u32,
    /// A key that owes no more than this does not wait.
    pub(super) at_once: u32,
    active: Arc<AtomicU32>,
}

/// A request that was delayed, until it ends.
struct Active(Arc<AtomicU32>);

impl Watch for Active {
    fn ended(self: Box<Self>, _: &Ended) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl Delay {
    /// Checks and compiles.
    pub(super) fn compile(options: &Options, rate: &Rate, problems: &mut Problems) -> Self {
        let (most, at_once) = options.burst.parts();
        let made = Self { most, at_once, active: Arc::default() };
        let mut problem = |message: &str| {
            problems.push(("rate_limit.burst".into(), message.into()));
        };
        if rate.earns_us(most.saturating_sub(at_once)) > LONGEST_US {
            problem("requests would wait for more than 5 minutes; write a smaller burst");
        }
        if made.is_delayed() && options.across == Reach::Nodes {
            problem("a limit across nodes delays no requests; let the burst pass at once");
        }
        made
    }

    /// Reports whether some of it waits.
    pub(super) fn is_delayed(&self) -> bool {
        self.at_once < self.most
    }

    pub(super) fn bind(&mut self, owner: &str, place: &Place<'_>) {
        let owner = format!("{owner} delayed");
        self.active = Place { owner: &owner, ..*place }.keep(AtomicU32::default);
    }

    /// Reports whether one more request may wait, and counts it until its end.
    pub(super) fn enter(&self, run: &mut Run<'_, '_, '_>) -> bool {
        if self.active.fetch_add(1, Relaxed) >= MOST {
            self.active.fetch_sub(1, Relaxed);
            return false;
        }
        run.watch(Box::new(Active(self.active.clone())));
        true
    }
}
