//! One interface to all policies.

use crate::balancers::AnyPolicy;
use crate::load::Choice;
use crate::members::Members;
use crate::policy::{Asked, Tier};
use crate::validate::read_for;
use crate::{KeySource, Load, Problem, Random, Sample, Tried};
use hg_plan::{Balance, Endpoint};
use std::sync::Arc;

/// The place of an endpoint: its tier, and its slot among that tier's members.
#[derive(Clone, Copy, Debug)]
struct Place {
    backup: bool,
    slot: u32,
}

/// Picks endpoints of one upstream by its policy. Built once per snapshot and cloned for each
/// worker: the clones share rings, tables and weights, and each has its own running state (turns,
/// latencies).
#[derive(Clone, Debug)]
pub struct Balancer {
    primary: AnyPolicy,
    backup: Option<AnyPolicy>,
    key: Option<Arc<KeySource>>,
    places: Arc<[Option<Place>]>,
}

impl Balancer {
    /// Makes the balancer of an upstream's endpoints; indices in the other methods are into this
    /// list.
    ///
    /// # Errors
    /// Returns what [`crate::validate`] finds, and a Maglev table smaller than the list.
    pub fn new(policy: &Balance, endpoints: &[Endpoint]) -> Result<Self, Vec<Problem>> {
        Self::in_parts(policy, endpoints, 1)
    }

    /// Makes the same of finer weights, a `unit` of which is a weight of 1: a ring has the points of
    /// the weights that they stand for.
    ///
    /// # Errors
    /// Returns what [`Self::new`] does.
    pub fn in_parts(
        policy: &Balance,
        endpoints: &[Endpoint],
        unit: u32,
    ) -> Result<Self, Vec<Problem>> {
        let options = read_for(policy, endpoints)?;
        let key = options.key().and_then(|key| KeySource::parse(key).ok()).map(Arc::new);
        let (primary, backup) = (Members::of(endpoints, false), Members::of(endpoints, true));
        let mut places = vec![None; endpoints.len()];
        for (members, backup) in [(&primary, false), (&backup, true)] {
            for (slot, member) in (0u32..).zip(members.as_slice()) {
                if let Some(place) = places.get_mut(member.endpoint as usize) {
                    *place = Some(Place { backup, slot });
                }
            }
        }
        let make = |members| options.make(Tier { members, endpoints, unit });
        let backup = (!backup.is_empty()).then(|| make(backup));
        let primary = make(primary);
        Ok(Self { primary, backup, key, places: places.into() })
    }

    /// Returns what to hash for [`Self::pick`]; `None` if the policy needs no key.
    pub fn needs_key(&self) -> Option<&KeySource> {
        self.key.as_deref()
    }

    /// Returns the endpoint that takes a request, or `None` if none may. `key` is the hash of what
    /// [`Self::needs_key`] names ([`crate::hash_key`], [`crate::hash_client`]); without it (header
    /// or cookie not sent) a hashing policy takes a random place. `now_us` is any monotonic clock
    /// in microseconds. The caller counts the request as active afterwards.
    pub fn pick(
        &mut self,
        load: &Load<'_>,
        tried: &Tried,
        key: Option<u64>,
        now_us: u64,
        rng: &mut dyn Random,
    ) -> Option<usize> {
        let choice = Choice::new(load, tried);
        let mut asked = Asked { key, now_us, rng };
        let picked = match self.primary.pick(&choice, &mut asked) {
            None => self.backup.as_mut()?.pick(&choice, &mut asked),
            some => some,
        };
        picked.map(|endpoint| endpoint as usize)
    }

    /// Notes that a request for this endpoint ended, and what that says of its latency.
    pub fn finished(&mut self, endpoint: usize, now_us: u64, sample: Sample) {
        let Some(Some(place)) = self.places.get(endpoint) else {
            return;
        };
        let tier = if place.backup { self.backup.as_mut() } else { Some(&mut self.primary) };
        if let Some(policy) = tier {
            policy.finished(place.slot as usize, now_us, sample);
        }
    }

    /// Takes over what the balancer of an earlier snapshot learned; `before` returns an endpoint's
    /// index in that balancer's list, if it was there.
    pub fn inherit(&mut self, old: &Self, before: impl Fn(usize) -> Option<usize>) {
        for (endpoint, place) in self.places.iter().enumerate() {
            let Some(place) = place else { continue };
            let Some(Some(was)) = before(endpoint).and_then(|i| old.places.get(i)) else {
                continue;
            };
            let new = if place.backup { self.backup.as_mut() } else { Some(&mut self.primary) };
            let old = if was.backup { old.backup.as_ref() } else { Some(&old.primary) };
            if let (Some(new), Some(old)) = (new, old) {
                new.inherit(place.slot as usize, old, was.slot as usize);
            }
        }
    }
}

#[cfg(test)]
#[path = "balancer_tests.rs"]
mod tests;
