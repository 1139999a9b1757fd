//! `concurrency_limit`: how many requests of a key may be in flight.

use crate::context::{Context, Ended, Place, Watch};
use crate::keep::Results;
use crate::limit_answer::refuse;
use crate::limit_key::LimitKey;
use crate::step::{Flow, Problems, Run, Step};
use crate::view::RequestView;
use hg_limit::{Flights, Permit, Refusal, Seed};
use hg_proto::Reject;
use serde::Deserialize;
use std::sync::{Arc, OnceLock};

/// The options, as they are in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Requests in flight: 1 to 1,000,000.
    requests: u32,
    /// The key to count by; nothing = all requests together.
    #[serde(default)]
    key: Vec<String>,
    #[serde(default)]
    dry_run: bool,
    #[serde(default = "too_many")]
    status: u16,
    /// The number of keys that the table has room for.
    #[serde(default = "room")]
    max_keys: u32,
    #[serde(default = "network")]
    ipv6_prefix: u8,
}

fn too_many() -> u16 {
    429
}

fn room() -> u32 {
    16_384
}

fn network() -> u8 {
    64
}

/// The most requests in flight that can be allowed to a key.
const MOST: u64 = 1_000_000;
const DETAIL: &str = "as many requests as this route allows are in progress";
/// Seconds after which a client may try again: nobody knows when a request ends.
const AGAIN_S: u64 = 1;

/// A limit of requests in flight, compiled.
#[derive(Clone, Debug)]
pub(crate) struct ConcurrencyLimit {
    key: LimitKey,
    requests: u32,
    dry_run: bool,
    status: u16,
    max_keys: u32,
    /// All that decides what counts mean: limits that agree in it go on with each other's.
    identity: Box<str>,
    kept: Arc<OnceLock<State>>,
    results: Option<Arc<Results>>,
}

/// The requests in flight, which outlive a reload; the first one brings the seed.
#[derive(Debug)]
struct State {
    flights: Flights,
    seed: Seed,
}

/// A request that was counted, until it ends.
struct Flight {
    kept: Arc<OnceLock<State>>,
    permit: Permit,
}

impl Watch for Flight {
    fn ended(self: Box<Self>, _: &Ended) {
        if let Some(state) = self.kept.get() {
            state.flights.end(self.permit);
        }
    }
}

const RESULTS: &[&str] = &["allowed", "limited", "crowded", "dry_run"];
const ALLOWED: usize = 0;
const LIMITED: usize = 1;
const CROWDED: usize = 2;
const DRY_RUN: usize = 3;

impl Step for ConcurrencyLimit {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let message = format!("{value} is out of range; write {least} to {most}");
                problems.push((format!("concurrency_limit.{name}"), message));
            }
        };
        check("requests", options.requests.into(), 1, MOST);
        check("status", options.status.into(), 400, 599);
        check("max_keys", options.max_keys.into(), 1, 1 << 24);
        check("ipv6_prefix", options.ipv6_prefix.into(), 1, 128);
        let (path, prefix) = ("concurrency_limit", options.ipv6_prefix);
        let key = LimitKey::compile(&options.key, prefix, path, problems);
        let max_keys = if key.is_for_all() { 1 } else { options.max_keys };
        (problems.len() == before).then(|| Self {
            identity: format!("{} {max_keys} /{prefix}", options.key.join(",")).into(),
            key,
            requests: options.requests,
            dry_run: options.dry_run,
            status: options.status,
            max_keys,
            kept: Arc::default(),
            results: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        let owner = format!("{} {}", place.owner, self.identity);
        self.kept = Place { owner: &owner, ..*place }.keep(OnceLock::default);
        self.results = Some(place.results(RESULTS));
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let state = self.kept.get_or_init(|| self.state(run.cx));
        let refusal = match self.begin(state, run.view) {
            Ok(permit) => {
                run.count(self.results.as_deref(), ALLOWED);
                run.watch(Box::new(Flight { kept: self.kept.clone(), permit }));
                return Ok(Flow::Next);
            }
            Err(refusal) => refusal,
        };
        if self.dry_run {
            run.count(self.results.as_deref(), DRY_RUN);
            return Ok(Flow::Next);
        }
        run.count(
            self.results.as_deref(),
            if refusal == Refusal::Full { LIMITED } else { CROWDED },
        );
        let refusal = (self.status, "concurrency-limit");
        refuse(&mut run.out.answer, refusal, DETAIL, Some(AGAIN_S));
        Ok(Flow::Answer)
    }
}

impl ConcurrencyLimit {
    fn state(&self, cx: &mut Context<'_>) -> State {
        let seed = Seed([(cx.random)(), (cx.random)()]);
        State { flights: Flights::new(self.max_keys as usize), seed }
    }

    /// Counts a request, if its key has not as many in flight as it may.
    #[inline]
    fn begin(&self, state: &State, view: &RequestView<'_>) -> Result<Permit, Refusal> {
        state.flights.begin(self.key.of(view, state.seed), self.requests)
    }
}

#[cfg(test)]
mod tests;
