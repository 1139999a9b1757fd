//! `rate_limit`: how many requests a key may make in a time.

mod fields;

use crate::context::Place;
use crate::keep::Results;
use crate::limit_answer::refuse;
use crate::limit_key::LimitKey;
use crate::limit_state::{Kept, State};
use crate::step::{Flow, Problems, Run, Step};
use crate::view::{Answer, RequestView};
use fields::Fields;
use hg_limit::{MAX_BURST, MAX_PERIOD_US, MAX_REQUESTS, MIN_PERIOD_US, Rate, Verdict};
use hg_proto::Reject;
use serde::Deserialize;
use std::sync::Arc;

/// The options, as they are in the plan.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Requests in `period_ms`: 1 to 1,000,000.
    requests: u32,
    /// Milliseconds: a second to a day.
    period_ms: u64,
    /// Cost that passes at once after a pause: 1 to 1,000,000.
    burst: u32,
    /// What is counted by; nothing = all requests together.
    #[serde(default)]
    key: Vec<String>,
    #[serde(default = "one")]
    cost: u32,
    #[serde(default)]
    dry_run: bool,
    #[serde(default = "too_many")]
    status: u16,
    /// How many keys the table has room for.
    #[serde(default = "room")]
    max_keys: u32,
    #[serde(default = "network")]
    ipv6_prefix: u8,
}

fn one() -> u32 {
    1
}

fn too_many() -> u16 {
    429
}

fn room() -> u32 {
    131_072
}

fn network() -> u8 {
    64
}

/// A rate limit, compiled.
#[derive(Clone, Debug)]
pub(crate) struct RateLimit {
    key: LimitKey,
    rate: Rate,
    burst: u32,
    cost: u32,
    dry_run: bool,
    status: u16,
    max_keys: u32,
    fields: Fields,
    /// All that decides what counts mean: limits that agree in it go on with each other's.
    identity: Box<str>,
    kept: Arc<Kept>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["allowed", "limited", "dry_run", "evicted"];
const ALLOWED: usize = 0;
const LIMITED: usize = 1;
const DRY_RUN: usize = 2;
const EVICTED: usize = 3;

const DETAIL: &str = "more requests than this route allows";

impl Step for RateLimit {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut check = |name: &str, value: u64, least: u64, most: u64| {
            if !(least..=most).contains(&value) {
                let message = format!("{value} is out of range; write {least} to {most}");
                problems.push((format!("rate_limit.{name}"), message));
            }
        };
        check("requests", options.requests.into(), 1, MAX_REQUESTS.into());
        check("period_ms", options.period_ms, MIN_PERIOD_US / 1000, MAX_PERIOD_US / 1000);
        check("burst", options.burst.into(), 1, MAX_BURST.into());
        check("cost", options.cost.into(), 1, options.burst.into());
        check("status", options.status.into(), 400, 599);
        check("max_keys", options.max_keys.into(), 1, 1 << 24);
        check("ipv6_prefix", options.ipv6_prefix.into(), 1, 128);
        let key = LimitKey::compile(&options.key, options.ipv6_prefix, "rate_limit", problems);
        let rate = Rate::new(options.requests, options.period_ms.saturating_mul(1000));
        (problems.len() == before).then(|| Self {
            fields: Fields::new("", &rate, options.burst),
            identity: identity(options),
            key,
            rate,
            burst: options.burst,
            cost: options.cost,
            dry_run: options.dry_run,
            status: options.status,
            max_keys: options.max_keys,
            kept: Arc::default(),
            results: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        let owner = format!("{} {}", place.owner, self.identity);
        self.kept = Place { owner: &owner, ..*place }.keep(Kept::default);
        self.results = Some(place.results(RESULTS));
        self.fields = Fields::new(place.name, &self.rate, self.burst);
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let room = (!self.key.is_for_all()).then_some(self.max_keys);
        let state = self.kept.get_or_init(|| State::new(self.rate, room, run.cx));
        let verdict = self.check(state, run.view, run.cx.now_us);
        if verdict.evicted {
            run.count(self.results.as_deref(), EVICTED);
        }
        if verdict.allowed {
            run.count(self.results.as_deref(), ALLOWED);
            return Ok(Flow::Next);
        }
        if self.dry_run {
            run.count(self.results.as_deref(), DRY_RUN);
            return Ok(Flow::Next);
        }
        run.count(self.results.as_deref(), LIMITED);
        self.refuse(&verdict, &mut run.out.answer);
        Ok(Flow::Answer)
    }
}

impl RateLimit {
    /// Decides on a request.
    #[inline]
    fn check(&self, state: &State, view: &RequestView<'_>, now_us: u64) -> Verdict {
        match state {
            State::All(cell) => cell.check(now_us, self.cost, self.burst),
            State::Keys(table, seed) => {
                table.check(self.key.of(view, *seed), now_us, self.cost, self.burst)
            }
        }
    }

    /// Answers a request that is over the limit.
    fn refuse(&self, verdict: &Verdict, answer: &mut Answer) {
        let wait_s = self.rate.wait_us(verdict).div_ceil(1_000_000).max(1);
        refuse(answer, (self.status, "rate-limit"), DETAIL, Some(wait_s));
        self.fields.append(verdict.remaining(), wait_s, &mut answer.headers);
    }
}

/// Returns what counts depend on: limits that agree in it may go on with each other's counts.
fn identity(options: &Options) -> Box<str> {
    let Options { requests, period_ms, key, max_keys, ipv6_prefix, .. } = options;
    format!("{requests}/{period_ms}ms {} {max_keys} /{ipv6_prefix}", key.join(",")).into()
}

#[cfg(test)]
mod tests;
