//! `jwt`: who may pass by a signed token.

mod options;

use crate::claims::{Claims as Told, KeptClaims};
use crate::context::Place as Bound;
use crate::credential::{Place, Sent};
use crate::headers::Edits;
use crate::keep::Results;
use crate::notices::{Notices, Pause};
use crate::presumed;
use crate::refusals;
use crate::step::{Composed, Flow, Problems, Run, Step};
use hg_access::{Claims, Fingerprint, KeySet, Policy, Refusal, Sealer, Verified};
use hg_plan::Digest;
use hg_proto::Reject;
use options::Options;
use std::sync::Arc;

/// Two tokens: which of them counts would be a guess.
const SEVERAL: Reject = Reject {
    status: 400,
    reason: "http_request_error",
    code: "jwt",
    detail: "there is more than one token",
};

/// Most tokens that are remembered, and for how many seconds (a signature takes 20 to 100 µs).
const REMEMBERED: usize = 10_000;
const REMEMBERED_S: u64 = 60;

/// The interval between notices of unknown keys, microseconds: any client can name one.
const TOLD_US: u64 = 60_000_000;

const RESULTS: &[&str] = &["pass", "cached", "missing", "refused", "forbidden", "unknown_key"];
const PASS: usize = 0;
const CACHED: usize = 1;
const MISSING: usize = 2;
const REFUSED: usize = 3;
const FORBIDDEN: usize = 4;
const UNKNOWN_KEY: usize = 5;

/// Lines for the endpoint: the value that each header gets, and those of the claims that the chain
/// and the log name.
type Lines = Arc<[Option<Box<str>>]>;

/// Tokens that were found right, whatever workers found it.
#[derive(Debug)]
struct State {
    sealer: Option<Sealer>,
    tokens: Verified<Lines>,
    /// The notices of unknown keys, their owner, and the time of the next one.
    notices: Arc<Notices>,
    owner: Box<str>,
    told: Pause,
}

/// The requirements for tokens, compiled.
#[derive(Clone, Debug)]
pub(crate) struct Jwt {
    keys: Arc<KeySet>,
    policy: Arc<Policy>,
    place: Place,
    is_bearer: bool,
    edits: Edits,
    /// Header and claim.
    headers: Arc<[(Box<str>, Box<str>)]>,
    /// Claims that steps after it, or the log, name.
    named: KeptClaims,
    /// The beginning of challenges.
    challenge: Arc<str>,
    /// The beginning of fingerprints: a changed policy remembers nothing of the one before.
    sum: [u8; 32],
    state: Option<Arc<State>>,
    results: Option<Arc<Results>>,
}

impl Step for Jwt {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        options.compile(problems)
    }

    fn bind(&mut self, place: &Bound<'_>) {
        let make = || State {
            sealer: Sealer::random(),
            tokens: Verified::new(REMEMBERED),
            notices: place.keep.notices().clone(),
            owner: place.owner.into(),
            told: Pause::default(),
        };
        self.state = Some(place.keep(make));
        self.results = Some(place.results(RESULTS));
    }

    fn wants(&mut self, claims: &KeptClaims) {
        self.named = claims.clone();
        // What was remembered without them has not got them.
        self.sum = Digest::of(format!("{:?} {claims:?}", self.sum).as_bytes()).0;
    }

    fn edits(&self) -> Composed<'_> {
        Composed { request: Some(&self.edits), ..Composed::default() }
    }

    fn presume(&self, run: &mut Run<'_, '_, '_>) {
        for (name, claim) in &*self.headers {
            run.request_line(name, presumed::of_claim(claim).as_bytes());
        }
        let claims = self.headers.iter().map(|(_, claim)| claim).chain(self.named.names.iter());
        let claims: Arc<[Box<str>]> = claims.cloned().collect();
        if !claims.is_empty() {
            run.out.later().claims = Some(Told::presumed(&claims));
        }
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let mut text = std::mem::take(&mut run.out.scratch);
        let outcome = match self.token(run, &mut text)? {
            None => Err(None),
            Some(token) => self.verify(run, token).map_err(Some),
        };
        run.out.scratch = text;
        match outcome {
            Ok(lines) => {
                for ((name, _), value) in self.headers.iter().zip(lines.iter()) {
                    if let Some(value) = value {
                        run.request_line(name, value.as_bytes());
                    }
                }
                if !self.named.names.is_empty() {
                    run.out.later().claims = Some(Told::new(&self.named.names, &lines));
                }
                Ok(Flow::Next)
            }
            Err(refusal) => Ok(self.refuse(run, refusal)),
        }
    }
}

impl Jwt {
    /// Finds the token; None if there is none.
    fn token<'t>(
        &self,
        run: &Run<'_, '_, '_>,
        text: &'t mut Vec<u8>,
    ) -> Result<Option<&'t [u8]>, Reject> {
        match self.place.read(run.view, text) {
            Sent::None => return Ok(None),
            Sent::Several => return Err(SEVERAL),
            Sent::One => {}
        }
        if !self.is_bearer {
            return Ok(Some(text));
        }
        let (scheme, token) = text.split_at_checked(7).unwrap_or((text, &[]));
        Ok(scheme.eq_ignore_ascii_case(b"bearer ").then(|| token.trim_ascii()))
    }

    fn verify(&self, run: &Run<'_, '_, '_>, token: &[u8]) -> Result<Lines, Refusal> {
        let now_s = (run.cx.unix_us)() / 1_000_000;
        let print = self.fingerprint(token);
        let remembered = |(state, print): &(&State, Fingerprint)| state.tokens.get(print, now_s);
        if let Some(lines) = print.as_ref().and_then(remembered) {
            run.count(self.results.as_deref(), CACHED);
            return Ok(lines);
        }
        let claims = self.policy.verify(token, &self.keys, now_s)?;
        let lines = self.lines(&claims)?;
        if let Some((state, print)) = print {
            let ends =
                claims.expires_s().map(|exp| exp.saturating_add(self.policy.leeway_s.into()));
            let until = ends.unwrap_or(u64::MAX).min(now_s + REMEMBERED_S);
            state.tokens.put(print, lines.clone(), until);
        }
        run.count(self.results.as_deref(), PASS);
        Ok(lines)
    }

    fn fingerprint(&self, token: &[u8]) -> Option<(&State, Fingerprint)> {
        let state = self.state.as_deref()?;
        if token.len() > hg_access::MAX_TOKEN_BYTES {
            return None;
        }
        Some((state, state.sealer.as_ref()?.seal(&self.sum, token)))
    }

    fn lines(&self, claims: &Claims) -> Result<Lines, Refusal> {
        let told = self.headers.iter().map(|(_, claim)| claim).chain(self.named.names.iter());
        let needed = self.headers.len() + self.named.needed;
        let line = |(at, claim): (usize, &str)| match claims.line(claim) {
            // What the log says decides nothing about who may pass.
            Err(_) if at >= needed => Ok(None),
            line => Ok(line?.map(Into::into)),
        };
        told.map(|claim| &**claim).enumerate().map(line).collect()
    }

    /// Has whoever keeps the keys look for newer ones: issuers begin to sign with a key as soon as
    /// their set has it (OpenID Connect Core §10.1.1).
    fn tell(&self, run: &Run<'_, '_, '_>) {
        let Some(state) = &self.state else { return };
        if state.told.passes(run.cx.now_us, TOLD_US) {
            let message =
                format!("{}: a token names a key that its set does not have", state.owner);
            state.notices.add("jwt.unknown_key", message);
        }
    }

    /// Answers as RFC 6750 §3 says.
    fn refuse(&self, run: &mut Run<'_, '_, '_>, refusal: Option<Refusal>) -> Flow {
        let Some(refusal) = refusal else {
            run.count(self.results.as_deref(), MISSING);
            let missing = (401, "jwt-missing");
            return refusals::challenged(run, missing, &self.challenge, "a token is needed here");
        };
        let (answer, error, result) = match refusal {
            Refusal::Forbidden => ((403, "jwt-forbidden"), "insufficient_scope", FORBIDDEN),
            Refusal::UnknownKey => {
                self.tell(run);
                ((401, "jwt-refused"), "invalid_token", UNKNOWN_KEY)
            }
            _ => ((401, "jwt-refused"), "invalid_token", REFUSED),
        };
        run.count(self.results.as_deref(), result);
        let reason = refusal.reason();
        let challenge =
            format!("{}, error=\"{error}\", error_description=\"{reason}\"", self.challenge);
        refusals::challenged(run, answer, &challenge, reason)
    }
}

#[cfg(test)]
mod tests;
