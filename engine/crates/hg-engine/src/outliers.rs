//! Outlier detection: what the requests that an endpoint serves say of it. Endpoints that fail too
//! often in a row, too much in themselves, or far more than the others, are ejected for a while, and then probed by one request.

use crate::breaker;
use crate::counters::lock;
use crate::health::EndpointHealth;
use crate::report::{EventLevel, ReasonCount};
use crate::shared::Shared;
use crate::snapshot::UpstreamEntry;
use hg_plan::{Kind, OutlierDetection};
use hg_resilience::{
    Bench, Change, Counts, EjectionPolicy, EnforcePolicy, Event, Outcome, Outlier, OutlierPolicy,
    Reason, StreakPolicy, Takes, Verdict,
};
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// The number of times that an endpoint looked like an outlier, by what became of it.
#[derive(Debug, Default)]
pub(crate) struct Verdicts {
    ejected: AtomicU64,
    dry_run: AtomicU64,
    limit: AtomicU64,
}

impl Verdicts {
    fn count(&self, event: Event) {
        let count = match event {
            Event::Spare(Reason::SparedDryRun) => &self.dry_run,
            Event::Spare(_) => &self.limit,
            _ => &self.ejected,
        };
        count.fetch_add(1, Relaxed);
    }

    /// Returns the word for each outcome, and how often it was.
    pub(crate) fn counts(&self) -> Vec<ReasonCount> {
        let of = |reason, count: &AtomicU64| ReasonCount { reason, count: count.load(Relaxed) };
        vec![of("ejected", &self.ejected), of("dry_run", &self.dry_run), of("limit", &self.limit)]
    }
}

/// The end of a request at an endpoint, in milliseconds of the process's clock.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ended {
    pub(crate) outcome: Outcome,
    /// True if it was sent to probe an endpoint whose ejection was over.
    pub(crate) is_probe: bool,
    pub(crate) began_ms: u64,
    pub(crate) now_ms: u64,
}

fn streaks(plan: &OutlierDetection) -> StreakPolicy {
    StreakPolicy {
        server_error: plan.consecutive_5xx,
        gateway: plan.consecutive_gateway,
        local: plan.consecutive_local,
    }
}

fn numbers(plan: &OutlierDetection) -> OutlierPolicy {
    let shares = &plan.shares;
    OutlierPolicy {
        success_rate_endpoints: shares.success_rate_endpoints,
        success_rate_requests: shares.success_rate_requests,
        success_rate_deviation: shares.success_rate_deviation,
        failure_percent: shares.failure_percent,
        failure_requests: shares.failure_requests,
    }
}

/// Returns the times of ejection.
pub(crate) fn ejections(plan: &OutlierDetection) -> EjectionPolicy {
    EjectionPolicy {
        base_ms: plan.ejection_ms,
        max_ms: plan.max_ejection_ms,
        ..EjectionPolicy::default()
    }
}

impl UpstreamEntry {
    /// Returns whether a request that may go to an endpoint that was picked is its probe; nothing if
    /// its ejections keep the request away. An endpoint whose ejection ended takes one request of all
    /// workers as a probe.
    pub(crate) fn admits(&self, at: usize, now_ms: u64) -> Option<bool> {
        let e = self.endpoints.get(at)?;
        match self.takes(at) {
            Takes::Yes | Takes::Permitted => Some(false),
            Takes::Probe if e.health.shared.claim_probe(now_ms) => {
                self.health.epoch.advance();
                Some(true)
            }
            Takes::Probe | Takes::No => None,
        }
    }

    /// Takes in how a request at an endpoint ended. Reads only, as long as nothing fails. Reports
    /// whether the request is one that shares are made of.
    pub(crate) fn note(&self, shared: &Shared, at: usize, ended: Ended) -> bool {
        let (Some(plan), Some(e)) = (&self.plan.health.outliers, self.endpoints.get(at)) else {
            return false;
        };
        let state = e.health.shared.load();
        let is_new = state.outlier == Outlier::In && ended.began_ms >= state.changed_ms;
        match state.outlier {
            // Requests from before the probe say nothing of the endpoint as it is now. Times do not
            // tell them apart: another thread, whose clock is read apart, may have changed the state.
            Outlier::Probing if ended.is_probe => self.probed(shared, at, ended),
            Outlier::In if is_new => {
                if let Some(why) = e.health.streaks.note(ended.outcome, &streaks(plan)) {
                    self.eject(shared, at, plan, (why, ended.now_ms));
                }
            }
            // Nor do those from before an endpoint came back, which may end long after.
            Outlier::In | Outlier::Ejected | Outlier::ProbeDue | Outlier::Probing => {}
        }
        is_new && numbers(plan).is_on()
    }

    /// Ejects endpoints of which the requests of the last seconds say by number that they are
    /// outliers. The house thread calls this.
    pub(crate) fn sweep(&self, shared: &Shared, now_ms: u64) {
        let Some(plan) = &self.plan.health.outliers else {
            return;
        };
        let policy = numbers(plan);
        if !policy.is_on() {
            return;
        }
        let sum = |health: &EndpointHealth| {
            let judged = health.shared.load().outlier == Outlier::In;
            health.shares().sum(judged, now_ms, plan.shares.window_s)
        };
        let all: Vec<Counts> = self.endpoints.iter().map(|e| sum(&e.health)).collect();
        let mut found = Vec::new();
        hg_resilience::sweep(&all, &policy, |at, reason| found.push((at, reason)));
        for (at, reason) in found {
            if let Some(e) = self.endpoints.get(at) {
                // It needs as many requests again for the next verdict.
                e.health.shares().clear();
                self.eject(shared, at, plan, (reason, now_ms));
            }
        }
    }

    /// Takes in how the probe of an endpoint ended; nothing comes of it if none is under way.
    pub(crate) fn probed(&self, shared: &Shared, at: usize, ended: Ended) {
        let event = match ended.outcome.verdict() {
            Verdict::Good => Event::ProbePassed,
            Verdict::Bad | Verdict::Throttled => Event::ProbeFailed,
            Verdict::Neutral => Event::ProbeLost,
        };
        self.change(shared, at, event, ended.now_ms);
    }

    /// Ejects an endpoint, unless too many are ejected already, it is the last usable one, or the
    /// verdict is one of those that are not enforced. One worker after the other does this, so that
    /// two do not eject the last two.
    fn eject(&self, shared: &Shared, at: usize, plan: &OutlierDetection, why: (Reason, u64)) {
        let (reason, now_ms) = why;
        let _one = lock(&self.health.ejecting);
        let standings = self.standings();
        let usable = standings.first.usable + standings.backup.usable;
        let out = |h: &EndpointHealth| h.shared.load().outlier != Outlier::In;
        let ejected = self.endpoints.iter().filter(|e| out(&e.health)).count();
        let bench = Bench { endpoints: self.endpoints.len(), ejected, usable };
        let policy = EnforcePolicy {
            max_ejected_percent: plan.max_ejected,
            enforce_percent: plan.enforce_percent,
        };
        let event = policy.event(reason, bench, shared.draw());
        self.health.verdicts.count(event);
        let verdict = matches!(event, Event::Spare(_)).then_some(reason);
        self.change_after(shared, at, (event, now_ms), verdict);
    }

    /// Applies an event of outlier detection or of a breaker; tells the workers and whoever reads
    /// events.
    pub(crate) fn change(&self, shared: &Shared, at: usize, event: Event, now_ms: u64) {
        self.change_after(shared, at, (event, now_ms), None);
    }

    /// Does the same after a verdict that is not enforced, which the event then names.
    fn change_after(
        &self,
        shared: &Shared,
        at: usize,
        (event, now_ms): (Event, u64),
        verdict: Option<Reason>,
    ) {
        let Some(e) = self.endpoints.get(at) else { return };
        let start = self.start_weight(at);
        let Some(change) = e.health.shared.apply(event, now_ms, start) else {
            return;
        };
        e.health.streaks.reset();
        self.health.epoch.advance();
        let of_breaker = breaker::told(event).map(|told| ("endpoint.breaker", told));
        let of_outliers = told(change).map(|told| ("endpoint.outlier", told));
        let Some((kind, (level, what))) = of_breaker.or(of_outliers) else { return };
        let (address, name) = (&e.pool.address, &self.name);
        let why = change.after.reason.text();
        let mut message = format!("endpoint {address} of upstream {name} {what}: {why}");
        if let Some(verdict) = verdict {
            message.push_str(": ");
            message.push_str(verdict.text());
        }
        let object = Some((Kind::Upstream, name.to_string()));
        shared.object_event(level, kind, object, message);
    }
}

/// Returns what an event says of a change, if it is worth one.
fn told(change: Change) -> Option<(EventLevel, &'static str)> {
    let again = change.before.reason == change.after.reason;
    match (change.before.outlier, change.after.outlier) {
        (_, Outlier::Ejected) => Some((EventLevel::Warn, "is ejected")),
        (Outlier::In, Outlier::In) if !again => Some((EventLevel::Warn, "is not ejected")),
        (Outlier::In, Outlier::In) => None,
        (_, Outlier::In) => Some((EventLevel::Info, "is back")),
        _ => None,
    }
}
