//! A balancer that tests list: the endpoint whose last answer took the least time.

use crate::load::{Choice, Sample};
use crate::members::Members;
use crate::policy::{Asked, Policy, Problems, Tier};
use serde::Deserialize;

/// The options.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    start_us: u64,
    #[serde(default = "path")]
    key: String,
}

fn path() -> String {
    "path".into()
}

#[derive(Clone, Debug)]
pub(crate) struct Calmest {
    members: Members,
    last_us: Box<[u64]>,
}

impl Policy for Calmest {
    type Options = Options;

    fn check(options: &Options, problems: &mut Problems) {
        if options.start_us == 0 {
            problems.push(("start_us", "0 is no time; write more".into()));
        }
    }

    fn key(options: &Options) -> Option<&str> {
        Some(&options.key)
    }

    fn places(_: &Options) -> Option<(&'static str, u32)> {
        Some(("most", 3))
    }

    fn new(Tier { members, .. }: Tier<'_>, options: &Options) -> Self {
        let last_us = vec![options.start_us; members.len()].into();
        Self { members, last_us }
    }

    fn pick(&mut self, choice: &Choice<'_>, _: &mut Asked<'_>) -> Option<u32> {
        let slots = self.members.as_slice().iter().zip(&self.last_us);
        let allowed = slots.filter(|(member, _)| choice.allows(member.endpoint));
        allowed.min_by_key(|(_, last)| **last).map(|(member, _)| member.endpoint)
    }

    fn finished(&mut self, slot: usize, _: u64, sample: Sample) {
        if let (Sample::Took(us), Some(last)) = (sample, self.last_us.get_mut(slot)) {
            *last = us;
        }
    }

    fn inherit(&mut self, slot: usize, old: &Self, old_slot: usize) {
        if let (Some(new), Some(was)) = (self.last_us.get_mut(slot), old.last_us.get(old_slot)) {
            *new = *was;
        }
    }
}
