//! `basic_auth`: who may pass by a name and a password.

mod options;

use crate::context::{Brought, Place, Wait, Woken};
use crate::credential::{self, Sent};
use crate::headers::Edits;
use crate::keep::Results;
use crate::presumed;
use crate::refusals;
use crate::step::{Composed, Flow, Problems, Run, Step};
use hg_access::{Fingerprint, Sealer, Users, Verified, basic_credentials};
use hg_proto::Reject;
use options::Options;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

/// Two headers: which of them counts would be a guess.
const SEVERAL: Reject = Reject {
    status: 400,
    reason: "http_request_error",
    code: "basic-auth",
    detail: "there is more than one Authorization header",
};
/// Closed, because it cannot be found out in time who this is.
const BUSY: Reject = Reject {
    status: 503,
    reason: "destination_unavailable",
    code: "basic-auth-busy",
    detail: "too many passwords wait to be verified",
};

/// Most credentials that are remembered: right ones, and wrong ones.
const REMEMBERED: usize = 4096;
/// Microseconds that wrong ones are remembered: a client that repeats itself costs one hash.
const WRONG_US: u64 = 10_000_000;
/// Most passwords of one middleware that are verified or wait for it.
const MOST_JOBS: u32 = 64;
const TIMEOUT_US: u64 = 10_000_000;

const RESULTS: &[&str] = &["pass", "cached", "missing", "refused", "busy"];
const PASS: usize = 0;
const CACHED: usize = 1;
const MISSING: usize = 2;
const REFUSED: usize = 3;
const BUSY_RESULT: usize = 4;

/// The user whose credentials these are; None if they are wrong.
type User = Option<Arc<str>>;

/// Credentials that were verified, whatever workers asked.
#[derive(Debug)]
struct State {
    sealer: Option<Sealer>,
    right: Verified<User>,
    wrong: Verified<User>,
    jobs: AtomicU32,
}

impl State {
    fn new() -> Self {
        let (right, wrong) = (Verified::new(REMEMBERED), Verified::new(REMEMBERED));
        Self { sealer: Sealer::random(), right, wrong, jobs: AtomicU32::new(0) }
    }
}

/// A place among the jobs, given back when the job is over or dropped.
struct Turn(Arc<State>);

impl Drop for Turn {
    fn drop(&mut self) {
        self.0.jobs.fetch_sub(1, Relaxed);
    }
}

/// Users and what becomes of them, compiled.
#[derive(Clone, Debug)]
pub(crate) struct BasicAuth {
    users: Arc<Users>,
    challenge: Arc<str>,
    edits: Edits,
    user_header: Option<Box<str>>,
    remember_us: u64,
    /// The beginning of fingerprints: changed users remember nothing of those before.
    sum: [u8; 32],
    state: Arc<State>,
    results: Option<Arc<Results>>,
}

impl Step for BasicAuth {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        options.compile(problems)
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.state = place.keep(State::new);
        self.results = Some(place.results(RESULTS));
    }

    fn edits(&self) -> Composed<'_> {
        Composed { request: Some(&self.edits), ..Composed::default() }
    }

    fn presume(&self, run: &mut Run<'_, '_, '_>) {
        if let Some(name) = &self.user_header {
            run.request_line(name, presumed::USER.as_bytes());
        }
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        if let Woken::Brought(brought) = std::mem::take(&mut run.woken) {
            let user = brought.downcast::<User>().ok().and_then(|user| *user);
            return Ok(self.settle(run, user, PASS));
        }
        let mut value = std::mem::take(&mut run.out.scratch);
        let sent = credential::Place::Header("authorization".into()).read(run.view, &mut value);
        let flow = match sent {
            Sent::None => Ok(self.missing(run)),
            Sent::Several => Err(SEVERAL),
            Sent::One => self.judge(run, &value),
        };
        run.out.scratch = value;
        flow
    }
}

impl BasicAuth {
    fn judge(&self, run: &mut Run<'_, '_, '_>, value: &[u8]) -> Result<Flow, Reject> {
        let Some(credentials) = basic_credentials(value) else {
            return Ok(self.missing(run));
        };
        let print = self.state.sealer.as_ref().map(|sealer| sealer.seal(&self.sum, value));
        let now_us = run.cx.now_us;
        if let Some(user) = print.as_ref().and_then(|print| self.remembered(print, now_us)) {
            return Ok(self.settle(run, user, CACHED));
        }
        if self.state.jobs.fetch_add(1, Relaxed) >= MOST_JOBS {
            self.state.jobs.fetch_sub(1, Relaxed);
            run.count(self.results.as_deref(), BUSY_RESULT);
            return Err(BUSY);
        }
        let turn = Turn(self.state.clone());
        let (users, remember_us) = (self.users.clone(), self.remember_us);
        let job = move || {
            let found = users.verify(&credentials.user, &credentials.password);
            let user: User = found.map(Into::into);
            remember(&turn.0, print, &user, now_us, remember_us);
            let brought: Brought = Box::new(user);
            brought
        };
        Ok(Flow::Wait(Wait::Job { job: Box::new(job), timeout_us: TIMEOUT_US }))
    }

    fn remembered(&self, print: &Fingerprint, now_us: u64) -> Option<User> {
        let state = &self.state;
        state.right.get(print, now_us).or_else(|| state.wrong.get(print, now_us))
    }

    fn settle(&self, run: &mut Run<'_, '_, '_>, user: User, result: usize) -> Flow {
        let Some(user) = user else {
            run.count(self.results.as_deref(), REFUSED);
            let detail = "the name or the password is wrong";
            let refusal = (401, "basic-auth-refused");
            return refusals::challenged(run, refusal, &self.challenge, detail);
        };
        run.count(self.results.as_deref(), result);
        if let Some(name) = &self.user_header {
            run.request_line(name, user.as_bytes());
        }
        Flow::Next
    }

    fn missing(&self, run: &mut Run<'_, '_, '_>) -> Flow {
        run.count(self.results.as_deref(), MISSING);
        let refusal = (401, "basic-auth-missing");
        refusals::challenged(run, refusal, &self.challenge, "a name and a password are needed here")
    }
}

fn remember(state: &State, print: Option<Fingerprint>, user: &User, now_us: u64, for_us: u64) {
    let Some(print) = print else { return };
    match user {
        Some(_) if for_us > 0 => state.right.put(print, user.clone(), now_us + for_us),
        Some(_) => {}
        None => state.wrong.put(print, None, now_us + WRONG_US),
    }
}

#[cfg(test)]
mod tests;
