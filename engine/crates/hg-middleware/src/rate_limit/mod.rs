//! `rate_limit`: how many requests a key may make in a time.

mod across;
mod delay;
mod fields;

use crate::context::{Place, Wait, Woken};
use crate::keep::Results;
use crate::limit_answer::refuse;
use crate::limit_key::LimitKey;
use crate::limit_state::State;
use crate::step::{Flow, Problems, Run, Step};
use crate::view::{Answer, RequestView};
use across::{Across, Counts, Kept, Policy, Reach};
use delay::{Burst, Delay};
use fields::Fields;
use hg_limit::{
    Decision, MAX_BURST, MAX_PERIOD_US, MAX_REQUESTS, MIN_PERIOD_US, Rate, Terms, Verdict,
};
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
    burst: Burst,
    /// The key to count by; nothing = all requests together.
    #[serde(default)]
    key: Vec<String>,
    #[serde(default = "one")]
    cost: u32,
    #[serde(default)]
    dry_run: bool,
    #[serde(default = "too_many")]
    status: u16,
    /// The number of keys that the table has room for.
    #[serde(default = "room")]
    max_keys: u32,
    #[serde(default = "network")]
    ipv6_prefix: u8,
    /// True if answers that pass say what is left, too.
    #[serde(default)]
    announce: bool,
    #[serde(default)]
    across: Reach,
    /// Only of a limit across nodes.
    #[serde(default)]
    when_away: Policy,
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
    burst: Delay,
    cost: u32,
    dry_run: bool,
    status: u16,
    max_keys: u32,
    fields: Fields,
    /// Of a limit that several nodes share.
    across: Option<Across>,
    /// All that decides what counts mean: limits that agree in it go on with each other's.
    identity: Box<str>,
    kept: Arc<Kept>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["allowed", "limited", "dry_run", "evicted", "away", "delayed"];
const ALLOWED: usize = 0;
const LIMITED: usize = 1;
const DRY_RUN: usize = 2;
const EVICTED: usize = 3;
/// Counted besides what came of the request.
const AWAY: usize = 4;
/// In place of `ALLOWED`, for a request that waits first.
const DELAYED: usize = 5;

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
        let (most, at_once) = options.burst.parts();
        check("burst", most.into(), 1, MAX_BURST.into());
        check("burst", at_once.into(), most.min(1).into(), most.into());
        check("cost", options.cost.into(), 1, most.into());
        check("status", options.status.into(), 400, 599);
        check("max_keys", options.max_keys.into(), 1, 1 << 24);
        check("ipv6_prefix", options.ipv6_prefix.into(), 1, 128);
        let key = LimitKey::compile(&options.key, options.ipv6_prefix, "rate_limit", problems);
        let rate = Rate::new(options.requests, options.period_ms.saturating_mul(1000));
        let burst = Delay::compile(options, &rate, problems);
        (problems.len() == before).then(|| Self {
            fields: Fields::new("", &rate, most, options.announce),
            across: (options.across == Reach::Nodes)
                .then(|| Across { when_away: options.when_away.into(), ..Across::default() }),
            identity: identity(options),
            key,
            rate,
            burst,
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
        self.burst.bind(&owner, place);
        if let Some(across) = &mut self.across {
            (across.desk, across.name) = (place.keep.desk().clone(), owner.as_str().into());
        }
        self.results = Some(place.results(RESULTS));
        let announced = self.fields.announced;
        self.fields = Fields::new(place.name, &self.rate, self.burst.most, announced);
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        if matches!(run.woken, Woken::Delay) {
            return Ok(Flow::Next);
        }
        let counts = self.kept.get_or_init(|| self.counts(run));
        let decision = self.check(counts, run.view, run.cx.now_us);
        let results = self.results.as_deref();
        if decision.is_away {
            run.count(results, AWAY);
        }
        if decision.verdict.is_some_and(|verdict| verdict.evicted) {
            run.count(results, EVICTED);
        }
        let wait_us = self.wait_us(&decision);
        let may_wait = wait_us == 0 || self.burst.enter(run);
        if wait_us > 0 && may_wait {
            run.count(results, DELAYED);
            self.announce(decision.verdict.as_ref(), run);
            return Ok(Flow::Wait(Wait::Delay { us: wait_us }));
        }
        if (decision.allowed && may_wait) || self.dry_run {
            run.count(results, if decision.allowed { ALLOWED } else { DRY_RUN });
            self.announce(decision.verdict.as_ref(), run);
            return Ok(Flow::Next);
        }
        run.count(results, LIMITED);
        match &decision.verdict {
            Some(verdict) => self.refuse(verdict, &mut run.out.answer),
            None => across::refuse(&mut run.out.answer),
        }
        Ok(Flow::Answer)
    }
}

impl RateLimit {
    fn counts(&self, run: &mut Run<'_, '_, '_>) -> Counts {
        let room = (!self.key.is_for_all()).then_some(self.max_keys);
        match &self.across {
            None => Counts::Node(State::new(self.rate, room, run.cx)),
            Some(across) => across.counts(self.rate, room, run.cx),
        }
    }

    /// Decides on a request.
    #[inline]
    fn check(&self, counts: &Counts, view: &RequestView<'_>, now_us: u64) -> Decision {
        let (cost, burst) = (self.cost, self.burst.most);
        match (counts, &self.across) {
            (Counts::Node(State::All(cell)), _) => {
                Decision::counted(cell.check(now_us, cost, burst))
            }
            (Counts::Node(State::Keys(table, seed)), _) => {
                Decision::counted(table.check(self.key.of(view, *seed), now_us, cost, burst))
            }
            (Counts::Nodes(common), Some(Across { when_away, desk, .. })) => {
                let terms = Terms { cost, burst, when_away: *when_away };
                common.check(desk, |seed| self.key.of(view, seed), &terms, now_us)
            }
            // Counts are kept by the identity, which says whether nodes share them.
            (Counts::Nodes(_), None) => Decision { allowed: false, verdict: None, is_away: true },
        }
    }

    /// Returns how long a request waits that is within the limit, in microseconds.
    fn wait_us(&self, decision: &Decision) -> u64 {
        match &decision.verdict {
            Some(verdict) if decision.allowed && !self.dry_run && self.burst.is_delayed() => {
                self.rate.above_us(verdict, self.burst.at_once)
            }
            _ => 0,
        }
    }

    /// Says with the answer what is left, and after how many seconds there is more; nothing where
    /// nobody counted.
    fn announce(&self, verdict: Option<&Verdict>, run: &mut Run<'_, '_, '_>) {
        if let Some(verdict) = verdict.filter(|_| self.fields.announced) {
            let more_in_s = self.rate.next_us(verdict).div_ceil(1_000_000);
            run.response_lines(|lines| {
                self.fields.append(verdict.remaining(), more_in_s, lines);
            });
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
    let Options { requests, period_ms, key, max_keys, ipv6_prefix, across, .. } = options;
    let across = if *across == Reach::Nodes { " nodes" } else { "" };
    format!("{requests}/{period_ms}ms {} {max_keys} /{ipv6_prefix}{across}", key.join(",")).into()
}

#[cfg(test)]
mod tests;
