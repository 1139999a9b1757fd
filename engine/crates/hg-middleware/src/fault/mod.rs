//! `fault`: delays or refuses some requests by chance, to see what clients and operators make of it.

use crate::context::{Ended, Place, Wait, Watch, Woken};
use crate::keep::Results;
use crate::step::{Flow, Problems, Run, Step};
use hg_proto::Reject;
use serde::Deserialize;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Longest delay, milliseconds.
const LONGEST_MS: u64 = 300_000;

/// The options, as they are in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// 0 = no delay.
    #[serde(default)]
    delay_ms: u64,
    #[serde(default = "always")]
    delay_percent: u8,
    /// Status of the refusal; 0 = none.
    #[serde(default)]
    abort: u16,
    #[serde(default = "always")]
    abort_percent: u8,
    /// Most requests that are delayed at a time; 0 = any number.
    #[serde(default)]
    most: u32,
}

fn always() -> u8 {
    100
}

/// Faults, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    delay_us: u64,
    delay_percent: u8,
    abort: u16,
    abort_percent: u8,
    most: u32,
    /// Requests that were delayed and have not ended, in all workers.
    active: Arc<AtomicU32>,
    results: Option<Arc<Results>>,
}

/// A request that was delayed, until it ends.
struct Active(Arc<AtomicU32>);

impl Watch for Active {
    fn ended(self: Box<Self>, _: &Ended) {
        self.0.fetch_sub(1, Relaxed);
    }
}

const RESULTS: &[&str] = &["pass", "delay", "abort"];
const PASS: usize = 0;
const DELAY: usize = 1;
const ABORT: usize = 2;

impl Step for Fault {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let mut problem = |key: &str, message: String| {
            problems.push((format!("fault.{key}"), message));
        };
        let Options { delay_ms, delay_percent, abort, abort_percent, most } = *options;
        if delay_ms == 0 && abort == 0 {
            problem("delay_ms", "the fault does nothing; write a delay or a status".into());
        }
        if delay_ms > LONGEST_MS {
            problem("delay_ms", format!("{delay_ms} is too long; write at most {LONGEST_MS}"));
        }
        if abort != 0 && !(400..=599).contains(&abort) {
            problem("abort", format!("{abort} is no status of a failure; write 400 to 599"));
        }
        for (key, percent) in [("delay_percent", delay_percent), ("abort_percent", abort_percent)] {
            if percent > 100 {
                problem(key, format!("{percent} is no part of a hundred; write 0 to 100"));
            }
        }
        let delay_us = delay_ms.saturating_mul(1_000);
        let (active, results) = (Arc::default(), None);
        let fault = Self { delay_us, delay_percent, abort, abort_percent, most, active, results };
        (problems.len() == before).then_some(fault)
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.results = Some(place.results(RESULTS));
        self.active = place.keep(AtomicU32::default);
    }

    /// Waits first, if it is to, then refuses, if it is to.
    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let waited = !matches!(run.woken, Woken::No);
        if !waited && self.delay_us > 0 && run.chance(self.delay_percent) && self.may_delay(run) {
            run.count(self.results.as_deref(), DELAY);
            return Ok(Flow::Wait(Wait::Delay { us: self.delay_us }));
        }
        if self.abort > 0 && run.chance(self.abort_percent) {
            run.count(self.results.as_deref(), ABORT);
            return Err(Reject {
                status: self.abort,
                reason: "http_request_denied",
                code: "fault",
                detail: "refused by a fault of the config",
            });
        }
        if !waited {
            run.count(self.results.as_deref(), PASS);
        }
        Ok(Flow::Next)
    }
}

impl Fault {
    /// Reports whether one more may be delayed, and counts it until its end.
    fn may_delay(&self, run: &mut Run<'_, '_, '_>) -> bool {
        if self.most == 0 {
            return true;
        }
        if self.active.fetch_add(1, Relaxed) >= self.most {
            self.active.fetch_sub(1, Relaxed);
            return false;
        }
        run.watch(Box::new(Active(self.active.clone())));
        true
    }
}

#[cfg(test)]
mod tests;
