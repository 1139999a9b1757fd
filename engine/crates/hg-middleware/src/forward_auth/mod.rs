//! `forward_auth`: who may pass by the word of another service, which is asked about each request.

mod client;
mod options;

use crate::context::{Place, Wait, Woken};
use crate::headers::{Edits, push_line};
use crate::keep::Results;
use crate::presumed;
use crate::step::{Composed, Flow, Problems, Run, Step};
use crate::subrequest::{Answered, Failure, Seat, Subrequest, Target};
use crate::view::RequestView;
use client::{Chosen, MOST_OPEN, MOST_QUESTION, Question};
use hg_proto::{Method, Reject};
use options::Options;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

macro_rules! refusals {
    ($($name:ident = $code:literal $detail:literal;)*) => {
        $(const $name: Reject = Reject {
            status: 503,
            reason: "destination_unavailable",
            code: $code,
            detail: $detail,
        };)*
    };
}
refusals! {
    UNAVAILABLE = "auth-unavailable" "the authorisation service cannot be reached";
    TIMEOUT = "auth-timeout" "the authorisation service did not answer in time";
    INVALID = "auth-invalid" "the authorisation service's answer cannot be used";
    TOO_LARGE = "auth-too-large" "the authorisation service's answer is too large";
    BUSY = "auth-busy" "too many requests wait for the authorisation service";
    LOOP = "auth-loop" "the authorisation service asks for its own permission";
}

/// The refusal of a question that is too large: the client's doing, whatever `fail_open` says.
const QUESTION_TOO_LARGE: Reject = Reject {
    status: 431,
    reason: "http_request_error",
    code: "auth-question-too-large",
    detail: "the request is too large to ask the authorisation service about it",
};

/// Says how many proxies asked on behalf of each other.
const HOPS: &str = "x-headgate-auth-hops";
/// The most of them.
const MOST_HOPS: u8 = 3;
/// Marks a request that went on although nobody could be asked.
const MARK: &str = "x-headgate-auth";

/// The headers of the subrequest that describe the request; none of them is the client's.
const OURS: [&str; 9] = [
    "x-forwarded-for",
    "x-forwarded-host",
    "x-forwarded-method",
    "x-forwarded-proto",
    "x-forwarded-uri",
    "x-original-method",
    "x-original-url",
    "x-request-id",
    HOPS,
];

const RESULTS: &[&str] =
    &["pass", "denied", "unavailable", "timeout", "invalid", "busy", "loop", "bypassed"];
const PASS: usize = 0;
const DENIED: usize = 1;
const UNAVAILABLE_RESULT: usize = 2;
const TIMEOUT_RESULT: usize = 3;
const INVALID_RESULT: usize = 4;
const BUSY_RESULT: usize = 5;
const LOOP_RESULT: usize = 6;
const BYPASSED: usize = 7;

/// The terms of the requests to the service and of its answers.
#[derive(Debug)]
struct Terms {
    path: Box<str>,
    method: Method<'static>,
    timeout_us: u64,
    chosen: Chosen,
    copy: Box<[Box<str>]>,
    copy_prefix: Option<Box<str>>,
    answer_headers: Box<[Box<str>]>,
    answer_bytes: usize,
}

/// The upstream to ask and how, compiled.
#[derive(Clone, Debug)]
pub(crate) struct ForwardAuth {
    to: Arc<Target>,
    terms: Arc<Terms>,
    in_flight: u32,
    fail_open: bool,
    edits: Edits,
    /// Subrequests in progress, of all workers.
    taken: Arc<AtomicU32>,
    results: Option<Arc<Results>>,
}

impl Step for ForwardAuth {
    type Options = Options;
    const IS_LIVE: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        options.compile(problems)
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.taken = place.keep(AtomicU32::default);
        self.results = Some(place.results(RESULTS));
    }

    fn edits(&self) -> Composed<'_> {
        Composed { request: Some(&self.edits), ..Composed::default() }
    }

    fn presume(&self, run: &mut Run<'_, '_, '_>) {
        for name in &*self.terms.copy {
            run.request_line(name, presumed::AUTHORISED.as_bytes());
        }
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        match std::mem::take(&mut run.woken) {
            Woken::Answered(Ok(answer)) => Ok(self.settle(run, *answer)),
            Woken::Answered(Err(failure)) => self.fail(run, failure),
            _ => self.ask(run),
        }
    }
}

impl ForwardAuth {
    fn ask(&self, run: &Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let hops = hops(run.view);
        if hops >= MOST_HOPS {
            run.count(self.results.as_deref(), LOOP_RESULT);
            return Err(LOOP);
        }
        let Some(seat) = Seat::take(&self.taken, self.in_flight) else {
            run.count(self.results.as_deref(), BUSY_RESULT);
            return Err(BUSY);
        };
        let host = authority(run.view);
        let Some(lines) = self.lines(run.view, &host, hops + 1) else {
            run.count(self.results.as_deref(), INVALID_RESULT);
            return Err(QUESTION_TOO_LARGE);
        };
        Ok(Flow::Wait(Wait::Subrequest(Box::new(Subrequest {
            to: self.to.clone(),
            method: self.terms.method,
            target: self.terms.path.clone(),
            lines,
            host,
            most_bytes: self.terms.answer_bytes,
            timeout_us: self.terms.timeout_us,
            seat,
        }))))
    }

    /// Writes a fresh head: what the client sent and is asked for, and what we say of the request.
    /// Returns nothing if that is too much.
    fn lines(&self, view: &RequestView<'_>, host: &str, hops: u8) -> Option<Vec<u8>> {
        let mut out = Question::new(if self.fail_open { MOST_OPEN } else { MOST_QUESTION });
        self.terms.chosen.append(view.headers, &mut out);
        let uri = match view.query {
            Some(query) => format!("{}?{query}", view.path),
            None => view.path.to_owned(),
        };
        let url = format!("{}://{host}{uri}", view.scheme);
        let client = view.client.ip.to_string();
        let hops = hops.to_string();
        for (name, value) in OURS.iter().zip([
            client.as_str(),
            host,
            view.method,
            view.scheme,
            &uri,
            view.method,
            &url,
            view.request_id,
            &hops,
        ]) {
            out.push(name, value.as_bytes());
        }
        out.finish()
    }

    /// Lets the request pass after a 2xx; any other answer is the client's.
    fn settle(&self, run: &mut Run<'_, '_, '_>, answer: Answered) -> Flow {
        if !matches!(answer.status, 200..=299) {
            run.count(self.results.as_deref(), DENIED);
            let out = &mut run.out.answer;
            (out.status, out.refusal) = (answer.status, "auth-denied");
            let fields = answer.fields().filter(|(name, _)| !name.eq_ignore_ascii_case("date"));
            fields.for_each(|(name, value)| {
                push_line(&mut out.headers, &name.to_ascii_lowercase(), value);
            });
            out.body = answer.body;
            return Flow::Answer;
        }
        run.count(self.results.as_deref(), PASS);
        for (name, value) in answer.fields() {
            let name = name.to_ascii_lowercase();
            let is_in = |names: &[Box<str>]| names.iter().any(|one| **one == *name);
            if is_in(&self.terms.copy)
                || self.terms.copy_prefix.as_ref().is_some_and(|p| name.starts_with(&**p))
            {
                run.request_line(&name, value);
            }
            if is_in(&self.terms.answer_headers) {
                run.response_line(&name, value);
            }
        }
        Flow::Next
    }

    fn fail(&self, run: &mut Run<'_, '_, '_>, failure: Failure) -> Result<Flow, Reject> {
        let (result, reject, is_away) = match failure {
            Failure::Unavailable => (UNAVAILABLE_RESULT, UNAVAILABLE, true),
            Failure::NotAsked | Failure::HungUp => (UNAVAILABLE_RESULT, UNAVAILABLE, false),
            Failure::Timeout => (TIMEOUT_RESULT, TIMEOUT, true),
            Failure::Invalid => (INVALID_RESULT, INVALID, false),
            Failure::TooLarge => (INVALID_RESULT, TOO_LARGE, false),
        };
        run.count(self.results.as_deref(), result);
        if !(self.fail_open && is_away) {
            return Err(reject);
        }
        run.count(self.results.as_deref(), BYPASSED);
        run.certain_line(MARK, b"bypassed");
        Ok(Flow::Next)
    }
}

/// Returns how many proxies have asked before; what is no number counts as too many.
fn hops(view: &RequestView<'_>) -> u8 {
    let mut found = 0;
    view.headers.each(HOPS, &mut |value| {
        let number = std::str::from_utf8(value).ok().and_then(|text| text.parse().ok());
        found = found.max(number.unwrap_or(u8::MAX));
    });
    found
}

/// Returns the host that the client asked for, with its port.
fn authority(view: &RequestView<'_>) -> String {
    match view.port {
        Some(port) => format!("{}:{port}", view.host),
        None => view.host.to_owned(),
    }
}

#[cfg(test)]
mod tests;
