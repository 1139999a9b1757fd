//! A request on its way through middlewares of access, for tests.

use crate::context::{Context, Wait, Woken};
use crate::keep::Keep;
use crate::testing::{used, view};
use crate::{Chain, Outcome, RequestView, Rewritten};
use hg_route::Headers;

pub(crate) struct Lines<'a>(pub(crate) &'a [(&'a str, &'a [u8])]);

impl Headers for Lines<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value));
    }

    fn end_to_end(&self, line: &mut dyn FnMut(&str, &[u8])) {
        self.0.iter().for_each(|(name, value)| line(name, value));
    }
}

/// The outcome of a request.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Got {
    /// The lines for the endpoint, and whether there was a wait.
    Forward(String, bool),
    /// Status and challenge, and whether there was a wait.
    Answer(u16, String, bool),
    /// Status and code.
    Refused(u16, &'static str),
}

/// A chain of one middleware with its state.
pub(crate) struct Stage {
    pub(crate) keep: Keep,
    pub(crate) chain: Chain,
}

impl Stage {
    pub(crate) fn new(json: &str) -> Self {
        let keep = Keep::default();
        let chain = compiled(json, &keep);
        Self { keep, chain }
    }

    /// Reads the config again.
    pub(crate) fn reload(&mut self, json: &str) {
        self.chain = compiled(json, &self.keep);
    }

    pub(crate) fn ask(&self, lines: &[(&str, &[u8])], now_us: u64, unix_us: fn() -> u64) -> Got {
        let lines = Lines(lines);
        let view = RequestView { headers: &lines, ..view() };
        let (mut out, mut random) = (Rewritten::new(), || 0);
        let mut cx = Context { now_us, unix_us, random: &mut random, worker: 0, accounts: None };
        let mut outcome = self.chain.begin(&view, &mut out, &mut cx);
        let mut has_waited = false;
        while let Ok(Outcome::Wait) = outcome {
            has_waited = true;
            let Some(Wait::Job { job, .. }) = out.wait.take() else { panic!("no job") };
            outcome = self.chain.resume(&view, &mut out, &mut cx, Woken::Brought(job()));
        }
        match outcome {
            Ok(Outcome::Forward) => Got::Forward(text(out.later().request_lines()), has_waited),
            Ok(_) => Got::Answer(out.answer.status, challenge(&out), has_waited),
            Err(reject) => Got::Refused(reject.status, reject.code),
        }
    }

    /// Returns how often each result was counted, without those that were not.
    pub(crate) fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = self.keep.results().into_iter().map(|one| (one.result, one.count));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

fn compiled(json: &str, keep: &Keep) -> Chain {
    Chain::compile_in(&[&[used(json)]], None, &|_| None, (keep, &["route r"], &[])).unwrap()
}

fn challenge(out: &Rewritten) -> String {
    let headers = text(&out.answer.headers);
    let line = headers.lines().find_map(|line| line.strip_prefix("www-authenticate: "));
    line.unwrap_or_default().to_owned()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).unwrap()
}
