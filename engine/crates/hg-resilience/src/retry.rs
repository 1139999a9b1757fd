//! The decision whether a failed try may be repeated.
//!
//! The checks go from what cannot be changed (an answer that the client has, a body that is gone)
//! over what the operator wrote to what the moment allows; the budget comes last, because asking it
//! takes a retry out.

use crate::{Backoff, Outcome};

/// The outcomes that are worth a retry. A failed connection and a refused stream always are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryOn {
    /// Statuses from 0 to 639, one bit each.
    statuses: [u64; 10],
    /// Outcomes by their number.
    outcomes: u16,
    /// Codes of gRPC, one bit each.
    codes: u32,
}

/// The status of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Status {
    /// The status of HTTP.
    Http(u16),
    /// The `grpc-status` of an answer whose status in HTTP says nothing.
    Grpc(u32),
}

/// The names of gRPC's codes behind `grpc-`, from 1 on.
const CODES: [&str; 16] = [
    "cancelled",
    "unknown",
    "invalid-argument",
    "deadline-exceeded",
    "not-found",
    "already-exists",
    "permission-denied",
    "resource-exhausted",
    "failed-precondition",
    "aborted",
    "out-of-range",
    "unimplemented",
    "internal",
    "unavailable",
    "data-loss",
    "unauthenticated",
];

/// Names of outcomes in config, beside statuses.
const OUTCOMES: &[(&str, &[Outcome])] = &[
    ("connect-failure", &[Outcome::Connect]),
    ("refused-stream", &[Outcome::Refused]),
    ("timeout", &[Outcome::Timeout]),
    ("reset", &[Outcome::Reset, Outcome::Protocol]),
    ("5xx", &[Outcome::ServerError, Outcome::Gateway]),
    ("gateway-error", &[Outcome::Gateway]),
];

impl Default for RetryOn {
    fn default() -> Self {
        let outcomes = bit(Outcome::Connect) | bit(Outcome::Refused);
        Self { statuses: [0; 10], outcomes, codes: 0 }
    }
}

impl RetryOn {
    /// Adds a condition as config writes it: `connect-failure`, `refused-stream`, `timeout`,
    /// `reset`, `5xx`, `gateway-error`, a status from 400 to 599, or a code of gRPC such as
    /// `grpc-unavailable`. Returns false for anything else.
    #[must_use]
    pub fn add(&mut self, name: &str) -> bool {
        if let Some((_, outcomes)) = OUTCOMES.iter().find(|(n, _)| *n == name) {
            self.outcomes |= outcomes.iter().fold(0, |bits, o| bits | bit(*o));
            return true;
        }
        if let Some(code) = name.strip_prefix("grpc-") {
            let known = (1..).zip(CODES).find(|(_, n)| *n == code);
            return known.map(|(code, _)| self.codes |= 1 << code).is_some();
        }
        let digits = name.len() == 3 && name.bytes().all(|b| b.is_ascii_digit());
        match name.parse::<u16>() {
            Ok(status @ 400..=599) if digits => self.add_status(status),
            _ => false,
        }
    }

    fn add_status(&mut self, status: u16) -> bool {
        let word = self.statuses.get_mut(usize::from(status / 64));
        word.map(|word| *word |= 1 << (status % 64)).is_some()
    }

    /// Reports whether a try that ended so is worth a retry. Of what gRPC says only its codes are.
    pub fn covers(&self, outcome: Outcome, status: Option<Status>) -> bool {
        let by_outcome = self.outcomes & bit(outcome) != 0;
        match status {
            None => by_outcome,
            Some(Status::Grpc(code)) => self.codes.checked_shr(code).unwrap_or(0) & 1 == 1,
            Some(Status::Http(status)) => {
                let word = self.statuses.get(usize::from(status / 64)).copied().unwrap_or(0);
                by_outcome || word >> (status % 64) & 1 == 1
            }
        }
    }

    /// Reports whether it has a code of gRPC.
    pub fn has_codes(&self) -> bool {
        self.codes != 0
    }
}

fn bit(outcome: Outcome) -> u16 {
    1 << outcome as u16
}

/// The conditions under which a route repeats a try.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Retries of one request; its first try is none.
    pub retries: u32,
    /// The outcomes that are worth one.
    pub on: RetryOn,
    /// The wait before each.
    pub backoff: Backoff,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { retries: 2, on: RetryOn::default(), backoff: Backoff::default() }
    }
}

/// The facts that are known when a try ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// The outcome of the try.
    pub outcome: Outcome,
    /// The status of its answer, if there was one.
    pub status: Option<Status>,
    /// Tries of this request that began so far, this one and hedges included.
    pub tries: u32,
    /// True if the request may be sent again although the endpoint may have processed it.
    pub repeatable: bool,
    /// True if all that was read of the body is still held.
    pub replayable: bool,
    /// True if a byte of an answer went to the client.
    pub answered: bool,
    /// True if the client still waits.
    pub awaited: bool,
    /// Time that the request still has.
    pub left_ms: u64,
    /// The wait that the answer asked for with `Retry-After`.
    pub retry_after_ms: Option<u64>,
}

/// The decision on a try that ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decision {
    /// Another try, after this wait; the budget has paid for it.
    Retry {
        /// The wait.
        after_ms: u64,
    },
    /// None: the answer goes to the client, or the failure becomes one.
    Stop(Stop),
}

/// The reason why a try is not repeated; a label of metrics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Stop {
    /// The outcome is not worth a retry.
    NotCovered,
    /// The client has a part of the answer already.
    Answered,
    /// The client has gone.
    NotAwaited,
    /// A part of the body is gone.
    NotReplayable,
    /// The endpoint may have processed it, and the method may not be repeated.
    NotRepeatable,
    /// All retries are used.
    Spent,
    /// The wait would outlast the request.
    NoTime,
    /// The budget of the upstream is empty.
    NoBudget,
}

impl RetryPolicy {
    /// Returns what follows a try. `withdraw` takes a retry out of the budget, or reports false;
    /// the decision calls it only when nothing else speaks against the retry.
    pub fn decide(
        &self,
        attempt: &Attempt,
        random: u64,
        withdraw: impl FnOnce() -> bool,
    ) -> Decision {
        if let Some(stop) = self.stops(attempt) {
            return Decision::Stop(stop);
        }
        let retry = attempt.tries.saturating_sub(1);
        let after_ms = self.backoff.wait_ms(retry, attempt.retry_after_ms, random);
        if after_ms >= attempt.left_ms {
            return Decision::Stop(Stop::NoTime);
        }
        if withdraw() { Decision::Retry { after_ms } } else { Decision::Stop(Stop::NoBudget) }
    }

    /// Returns what speaks against any retry of the try.
    fn stops(&self, attempt: &Attempt) -> Option<Stop> {
        let Attempt { outcome, status, .. } = *attempt;
        // All calls of gRPC are POST; who writes a code says that such a call may be sent again.
        let repeatable = attempt.repeatable || matches!(status, Some(Status::Grpc(_)));
        let checks = [
            (outcome == Outcome::Cancelled, Stop::NotCovered),
            (!self.on.covers(outcome, status), Stop::NotCovered),
            (attempt.answered, Stop::Answered),
            (!attempt.awaited, Stop::NotAwaited),
            (!attempt.replayable, Stop::NotReplayable),
            (!repeatable && !outcome.is_unprocessed(), Stop::NotRepeatable),
            (attempt.tries > self.retries, Stop::Spent),
        ];
        checks.into_iter().find(|(stops, _)| *stops).map(|(_, stop)| stop)
    }
}

#[cfg(test)]
mod tests;
