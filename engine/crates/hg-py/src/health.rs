//! The health of endpoints for Python: the machine of the data plane, for an engine whose endpoints
//! the control process watches itself. Times are milliseconds of one monotonic clock.

mod breaking;
mod expected;

use breaking::{Breaking, Guard};
use expected::ExpectedAnswer;
use hg_resilience::{
    Active, Admin, Bar, Bench, Census, Check, CheckPolicy, Circuit, Counts, Ejection,
    EjectionPolicy, EnforcePolicy, Event, FULL_WEIGHT, Outcome, Outlier, OutlierPolicy, Panic,
    PanicPolicy, Reason, Standing, State, StreakPolicy, Streaks, Takes, Verdict, Why, Window,
};
use pyo3::exceptions::{PyIndexError, PyValueError};
use pyo3::prelude::*;

/// Adds `EndpointHealth`, `ExpectedAnswer` and `UpstreamHealth` to the module.
///
/// # Errors
/// Never in practice.
pub fn register(module: &Bound<'_, PyModule>) -> PyResult<()> {
    module.add_class::<EndpointHealth>()?;
    module.add_class::<ExpectedAnswer>()?;
    module.add_class::<UpstreamHealth>()
}

/// The checks of an endpoint: any Python object with these attributes.
#[derive(FromPyObject)]
struct Policy {
    interval_ms: u64,
    fast_interval_ms: u64,
    max_interval_ms: u64,
    healthy: u32,
    unhealthy: u32,
}

impl From<Policy> for CheckPolicy {
    fn from(policy: Policy) -> Self {
        Self {
            interval_ms: policy.interval_ms,
            fast_ms: policy.fast_interval_ms,
            max_down_ms: policy.max_interval_ms,
            healthy: policy.healthy,
            unhealthy: policy.unhealthy,
            ..Self::default()
        }
    }
}

/// The limits at which request shares eject an endpoint: any Python object with these attributes.
#[derive(FromPyObject)]
struct Sharing {
    failure_percent: u8,
    failure_requests: u32,
    success_rate_deviation: u32,
    success_rate_endpoints: u32,
    success_rate_requests: u32,
    window_s: u64,
}

/// The limits at which requests eject an endpoint: any Python object with these attributes.
#[derive(FromPyObject)]
struct Ejecting {
    consecutive_5xx: u32,
    consecutive_gateway: u32,
    consecutive_local: u32,
    shares: Sharing,
    ejection_ms: u64,
    max_ejection_ms: u64,
    max_ejected: u8,
    enforce_percent: u8,
}

impl Ejecting {
    fn streaks(&self) -> StreakPolicy {
        StreakPolicy {
            server_error: self.consecutive_5xx,
            gateway: self.consecutive_gateway,
            local: self.consecutive_local,
        }
    }

    fn numbers(&self) -> OutlierPolicy {
        OutlierPolicy {
            success_rate_endpoints: self.shares.success_rate_endpoints,
            success_rate_requests: self.shares.success_rate_requests,
            success_rate_deviation: self.shares.success_rate_deviation,
            failure_percent: self.shares.failure_percent,
            failure_requests: self.shares.failure_requests,
        }
    }

    fn times(&self) -> EjectionPolicy {
        EjectionPolicy {
            base_ms: self.ejection_ms,
            max_ms: self.max_ejection_ms,
            ..EjectionPolicy::default()
        }
    }
}

/// The known state of one endpoint.
#[pyclass(module = "headgate._core._core")]
struct EndpointHealth {
    state: State,
    check: Option<(CheckPolicy, Check)>,
    /// Apart: it has a cache line of its own, and Python aligns no objects.
    streaks: Box<Streaks>,
    ejection: Ejection,
    guard: Guard,
    /// Its requests of the last seconds, while it is not ejected.
    window: Option<Box<Window>>,
    #[pyo3(get)]
    passed: u64,
    #[pyo3(get)]
    failed: u64,
    /// The finding of the last check that failed; empty after one that passed.
    #[pyo3(get)]
    found: String,
}

#[pymethods]
impl EndpointHealth {
    /// Makes the health of an endpoint that was just added.
    #[new]
    fn new(checked: bool, now_ms: u64) -> Self {
        let state = State::added(checked, now_ms, FULL_WEIGHT);
        let (streaks, ejection, guard, found) = Default::default();
        let (window, passed, failed) = (None, 0, 0);
        Self { state, check: None, streaks, ejection, guard, window, passed, failed, found }
    }

    /// Takes over how it is checked, `None` = not at all. Checks that stay as they are keep their
    /// clock, other ones what was concluded. `random`: 64 bits.
    #[pyo3(signature = (check, now_ms, random))]
    fn watch(&mut self, check: Option<Policy>, now_ms: u64, random: u64) {
        let Some(policy) = check.map(CheckPolicy::from) else {
            self.check = None;
            self.found.clear();
            self.apply(Event::ChecksOff, now_ms);
            return;
        };
        self.apply(Event::ChecksOn, now_ms);
        if self.check.is_none_or(|(known, _)| known != policy) {
            let up = match self.state.active {
                Active::Up => Some(true),
                Active::Down => Some(false),
                Active::Unknown | Active::Unchecked => None,
            };
            self.check = Some((policy, Check::new(&policy, up, now_ms, random)));
        }
    }

    /// Returns when the next check starts; `None` without checks.
    #[getter]
    fn next_ms(&self) -> Option<u64> {
        self.check.map(|(_, check)| check.next_ms())
    }

    /// Takes in the result of a check that began at `began_ms`: the word of the reason why it
    /// failed and what it found, `None` if it passed. Returns whether the state changed.
    ///
    /// # Errors
    /// `ValueError` for a word that is no reason.
    #[pyo3(signature = (failure, began_ms, now_ms, random))]
    fn result(
        &mut self,
        failure: Option<(String, String)>,
        began_ms: u64,
        now_ms: u64,
        random: u64,
    ) -> PyResult<bool> {
        let (result, found) = match failure {
            None => (Ok(()), String::new()),
            Some((word, found)) => (Err(reason(&word)?), found),
        };
        let Some((policy, mut check)) = self.check else {
            return Ok(false);
        };
        let count = if result.is_ok() { &mut self.passed } else { &mut self.failed };
        *count = count.saturating_add(1);
        self.found = found;
        let event = check.result(result, &policy, began_ms, random);
        self.check = Some((policy, check));
        Ok(event.is_some_and(|event| self.apply(event, now_ms)))
    }

    /// Looks whether its ejection is over, about once a second; `None`: nothing ejects it any more.
    /// Returns whether the state changed.
    #[pyo3(signature = (policy, now_ms, random))]
    fn turn(&mut self, policy: Option<Ejecting>, now_ms: u64, random: u64) -> bool {
        let event = match policy {
            None => Some(Event::OutliersOff),
            Some(policy) => self.ejection.turn(self.state, &policy.times(), now_ms, random),
        };
        event.is_some_and(|event| self.apply(event, now_ms))
    }

    /// Reports whether it is neither ejected nor waiting for the request that probes it.
    #[getter]
    fn is_in(&self) -> bool {
        self.state.outlier == Outlier::In
    }

    /// Takes in how the request ended that probes it. Returns whether it is back; `None` if that
    /// told nothing, or nothing probes it.
    ///
    /// # Errors
    /// `ValueError` for a word that is no outcome.
    fn probed(&mut self, ended: &str, now_ms: u64) -> PyResult<Option<bool>> {
        let verdict = outcome(ended)?.verdict();
        if verdict == Verdict::Neutral || !self.apply(Event::ProbeTaken, now_ms) {
            return Ok(None);
        }
        let is_good = verdict == Verdict::Good;
        self.apply(if is_good { Event::ProbePassed } else { Event::ProbeFailed }, now_ms);
        Ok(Some(is_good))
    }

    /// Takes in how a request at it ended. Returns the word of the reason to eject it, if that
    /// came often enough in a row ([`UpstreamHealth::eject`]).
    ///
    /// # Errors
    /// `ValueError` for a word that is no outcome.
    fn ended(
        &mut self,
        ended: &str,
        policy: Ejecting,
        now_ms: u64,
    ) -> PyResult<Option<&'static str>> {
        let outcome = outcome(ended)?;
        if self.state.outlier != Outlier::In {
            return Ok(None);
        }
        if policy.numbers().is_on() {
            let mut one = Counts::default();
            one.note(outcome.verdict());
            self.window.get_or_insert_default().add(now_ms, one);
        }
        Ok(self.streaks.note(outcome, &policy.streaks()).map(Reason::as_str))
    }

    /// Takes in, for its breaker, how a request ended that began in the breaker's present period,
    /// and how long it took to its head. Returns whether the breaker turned.
    ///
    /// # Errors
    /// `ValueError` for a word that is no outcome.
    fn judged(
        &mut self,
        ended: &str,
        head_ms: u64,
        policy: Breaking,
        now_ms: u64,
    ) -> PyResult<bool> {
        let verdict = outcome(ended)?.verdict();
        let event = self.guard.judge(&policy, (verdict, head_ms), now_ms);
        Ok(event.is_some_and(|event| self.apply(event, now_ms)))
    }

    /// Looks at what time and shares of requests change of its breaker, about once a second;
    /// `None`: it has none any more. Returns whether the breaker turned.
    #[pyo3(signature = (policy, now_ms))]
    fn turn_breaker(&mut self, policy: Option<Breaking>, now_ms: u64) -> bool {
        let event = match policy {
            Some(policy) => self.guard.turn(&policy, now_ms),
            None => self.guard.close(now_ms),
        };
        event.is_some_and(|event| self.apply(event, now_ms))
    }

    /// Returns the state of its breaker: `closed`, `open`, `half-open`.
    #[getter]
    fn circuit(&self) -> &'static str {
        match self.state.circuit {
            Circuit::Closed => "closed",
            Circuit::Open => "open",
            Circuit::HalfOpen => "half-open",
        }
    }

    /// Puts an operator's order in force: `ready`, `drain`, `maintenance`. Returns whether it is
    /// news.
    ///
    /// # Errors
    /// `ValueError` for another word.
    fn order(&mut self, order: &str, now_ms: u64) -> PyResult<bool> {
        let admin = match order {
            "ready" => Admin::Ready,
            "drain" => Admin::Drain,
            "maintenance" => Admin::Maintenance,
            _ => return Err(PyValueError::new_err(format!("{order:?} is not an order"))),
        };
        Ok(self.apply(Event::Operator(admin), now_ms))
    }

    /// Reports whether its checks fail.
    #[getter]
    fn is_down(&self) -> bool {
        self.state.active == Active::Down
    }

    /// Returns why its state last changed: the word, and the clause about it.
    #[getter]
    fn reason(&self) -> (&'static str, &'static str) {
        (self.state.reason.as_str(), self.state.reason.text())
    }

    /// Returns when its state last changed.
    #[getter]
    fn changed_ms(&self) -> u64 {
        self.state.changed_ms
    }
}

impl EndpointHealth {
    fn apply(&mut self, event: Event, now_ms: u64) -> bool {
        let Some(next) = self.state.step(event, now_ms, FULL_WEIGHT) else {
            return false;
        };
        self.state = next;
        self.streaks.reset();
        true
    }
}

/// An endpoint of an upstream: its health, whether it is a backup, and whether it has a weight.
type Member<'py> = (PyRef<'py, EndpointHealth>, bool, bool);

/// The state that decides about the endpoints of one upstream besides their own.
#[pyclass(module = "headgate._core._core")]
struct UpstreamHealth {
    panic: Panic,
}

#[pymethods]
impl UpstreamHealth {
    #[new]
    fn new() -> Self {
        Self { panic: Panic::default() }
    }

    /// Reports whether too few endpoints are usable, so that those that look bad get requests, too.
    #[getter]
    fn is_in_panic(&self) -> bool {
        self.panic.is_on()
    }

    /// Counts the endpoints that are usable, and those that were judged.
    #[staticmethod]
    fn judged(endpoints: Vec<Member<'_>>) -> (u32, u32) {
        let census = judged(&endpoints);
        (census.usable, census.judged())
    }

    /// Looks whether panic begins or ends, at a change and while it is on. Returns the new value
    /// if so.
    fn turn(&mut self, endpoints: Vec<Member<'_>>, below_percent: u8, now_ms: u64) -> Option<bool> {
        let policy = PanicPolicy { below_percent, ..PanicPolicy::default() };
        self.panic.turn(judged(&endpoints), &policy, now_ms)
    }

    /// Ejects an endpoint for a reason, unless it is the last usable one, too many are ejected
    /// already, or the policy does not enforce this verdict. `when`: milliseconds of the clock, and
    /// 64 random bits by which verdicts are drawn. Returns whether its state changed.
    ///
    /// # Errors
    /// `ValueError` for a word that is no reason, `IndexError` for an endpoint that is not there.
    fn eject(
        &self,
        py: Python<'_>,
        endpoints: Vec<(Py<EndpointHealth>, bool, bool)>,
        cause: (usize, String),
        policy: Ejecting,
        when: (u64, u64),
    ) -> PyResult<bool> {
        let ((at, why), (now_ms, random)) = (cause, when);
        let states: Vec<_> = endpoints
            .iter()
            .map(|(endpoint, _, has_weight)| (endpoint.borrow(py).state, *has_weight))
            .collect();
        let those = states.iter().filter(|(_, has_weight)| *has_weight).map(|(state, _)| *state);
        let usable = Census::of(those).usable;
        let ejected = states.iter().filter(|(state, _)| state.outlier != Outlier::In).count();
        let bench = Bench { endpoints: states.len(), ejected, usable };
        let enforced = EnforcePolicy {
            max_ejected_percent: policy.max_ejected,
            enforce_percent: policy.enforce_percent,
        };
        let event = enforced.event(reason(&why)?, bench, random);
        let Some((endpoint, ..)) = endpoints.get(at) else {
            return Err(PyIndexError::new_err(at));
        };
        let mut endpoint = endpoint.borrow_mut(py);
        let before = endpoint.state.reason;
        // A repeated refusal to eject it is no news.
        Ok(endpoint.apply(event, now_ms) && (endpoint.state.reason != before || !endpoint.is_in()))
    }

    /// Looks which endpoints fail too much in themselves, or far more than the others, about once a
    /// second. Returns the index of each and the word of the reason; what they did is forgotten.
    fn sweep(
        &self,
        py: Python<'_>,
        endpoints: Vec<(Py<EndpointHealth>, bool, bool)>,
        policy: Ejecting,
        now_ms: u64,
    ) -> Vec<(usize, &'static str)> {
        let sum = |endpoint: &Py<EndpointHealth>| {
            let mut endpoint = endpoint.borrow_mut(py);
            if !endpoint.is_in() {
                endpoint.window = None;
            }
            endpoint
                .window
                .as_mut()
                .map_or_else(Counts::default, |w| w.sum(now_ms, policy.shares.window_s))
        };
        let all: Vec<Counts> = endpoints.iter().map(|(endpoint, ..)| sum(endpoint)).collect();
        let mut found = Vec::new();
        hg_resilience::sweep(&all, &policy.numbers(), |at, why| found.push((at, why.as_str())));
        for (at, _) in &found {
            if let Some((endpoint, ..)) = endpoints.get(*at) {
                endpoint.borrow_mut(py).window = None;
            }
        }
        found
    }

    /// Returns for each endpoint a word for its state, whether it takes requests, and why.
    fn told(
        &self,
        endpoints: Vec<Member<'_>>,
        below_percent: u8,
        now_ms: u64,
    ) -> Vec<(&'static str, bool, String)> {
        let of = |backup| census(&endpoints, backup);
        let censuses = (of(false), of(true));
        let told = endpoints.iter().map(|(endpoint, backup, has_weight)| {
            let census = if *backup { censuses.1 } else { censuses.0 };
            let view = self.panic.view(census);
            let state = endpoint.state;
            if !has_weight {
                return (word(state), false, "takes no traffic: its weight is 0".to_owned());
            }
            let until_ms = match state.standing() {
                Standing::Out(Bar::Breaker) => endpoint.guard.open_until_ms(),
                _ => endpoint.ejection.until_ms(),
            };
            let why =
                Why { state, view, census, panic_below_percent: below_percent, until_ms, now_ms };
            let mut why = why.to_string();
            if *backup {
                why.push_str("; it is a backup: only while no other endpoint is usable");
            }
            if state.active == Active::Down && !endpoint.found.is_empty() {
                why.push_str("; the last check found: ");
                why.push_str(&endpoint.found);
            }
            (word(state), state.takes(view) != Takes::No, why)
        });
        told.collect()
    }
}

/// Returns what the panic threshold is a share of: nothing while a backup is usable.
fn judged(endpoints: &[Member<'_>]) -> Census {
    match census(endpoints, true).usable {
        0 => census(endpoints, false),
        _ => Census::default(),
    }
}

fn census(endpoints: &[Member<'_>], wanted: bool) -> Census {
    let those = endpoints.iter().filter(|(_, backup, has_weight)| *has_weight && *backup == wanted);
    Census::of(those.map(|(endpoint, ..)| endpoint.state))
}

fn word(state: State) -> &'static str {
    match state.standing() {
        Standing::Unknown => "unknown",
        Standing::Out(Bar::Drain) => "drain",
        Standing::Out(Bar::Maintenance) => "maintenance",
        Standing::Out(Bar::Ejected) => "ejected",
        Standing::Probe | Standing::Out(Bar::Probing) => "probing",
        Standing::Out(Bar::Down | Bar::Reported) => "down",
        Standing::Out(Bar::Breaker) => "breaker-open",
        Standing::Trial => "breaker-half-open",
        Standing::Usable => "up",
    }
}

fn reason(word: &str) -> PyResult<Reason> {
    let found = Reason::ALL.iter().find(|reason| reason.as_str() == word);
    found.copied().ok_or_else(|| PyValueError::new_err(format!("{word:?} is not a reason")))
}

fn outcome(word: &str) -> PyResult<Outcome> {
    let found = Outcome::ALL.iter().find(|outcome| outcome.as_str() == word);
    found.copied().ok_or_else(|| PyValueError::new_err(format!("{word:?} is not an outcome")))
}
