//! Chains: a host's middlewares, then the route's, then the route's own answer.

use crate::AnyStep;
use crate::headers::{Composition, Edits, HeaderProgram};
use crate::step::{Composed, Flow, Problems, Run, Step};
use crate::view::{Outcome, RequestView, Rewritten, Stage};
use hg_plan::{Action, Middleware, MiddlewareUse};
use hg_proto::Reject;

/// What is wrong with a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the list given to [`Chain::compile`] that it is in; the number of lists for the
    /// action.
    pub list: usize,
    /// Path of keys from the list's owner: `middlewares[0].rewrite.host`, `action.respond.body`.
    pub path: String,
    /// What is wrong and what is allowed.
    pub message: String,
}

/// A step that has something to do when a request comes.
#[derive(Clone, Debug)]
struct Work {
    step: AnyStep,
    /// Which edits its answer passes.
    stage: u16,
    may_pass: bool,
}

/// A compiled chain. Immutable; clones share only compiled patterns, so that each worker's clone
/// has its own regex scratch space.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    work: Box<[Work]>,
    request: HeaderProgram,
    response: HeaderProgram,
    /// Edits by stage: those of the steps before one that answers.
    early: Box<[HeaderProgram]>,
}

/// Returns everything that is wrong with a middleware on its own, as (path of keys, message).
pub fn check(middleware: &Middleware) -> Vec<(String, String)> {
    let mut problems = Vec::new();
    AnyStep::compile(middleware, &mut problems);
    problems
}

impl Chain {
    /// Compiles lists of middlewares in their order (the host's, the route's), then the route's
    /// action if that answers without an upstream. `named` finds the middlewares that are used by
    /// name.
    ///
    /// # Errors
    /// Returns everything that is wrong, including missing names.
    pub fn compile<'a>(
        uses: &[&[MiddlewareUse]],
        action: Option<&Action>,
        named: &dyn Fn(&str) -> Option<&'a Middleware>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut builder = Builder::default();
        for (list, uses) in uses.iter().enumerate() {
            for (index, used) in uses.iter().enumerate() {
                let (step, found) = compile_use(used, named);
                problems.extend(found.into_iter().map(|(path, message)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    Problem { list, path: format!("middlewares[{index}]{dot}{path}"), message }
                }));
                if let Some(step) = step {
                    builder.add(step, true);
                }
            }
        }
        let mut found = Vec::new();
        let last = action.and_then(|action| own_answer(action, &mut found));
        problems.extend(found.into_iter().map(|(path, message)| Problem {
            list: uses.len(),
            path: format!("action.{path}"),
            message,
        }));
        if let Some(step) = last {
            builder.add(step, false);
        }
        if problems.is_empty() { Ok(builder.finish()) } else { Err(problems) }
    }

    /// Reports whether it does nothing at all.
    pub fn is_empty(&self) -> bool {
        self.work.is_empty() && self.request.is_empty() && self.response.is_empty()
    }

    /// Reports whether it rewrites paths or hosts, for which patterns may need scratch space.
    pub fn rewrites(&self) -> bool {
        self.work.iter().any(|work| work.step.traits().has_scratch)
    }

    /// Takes a request through the chain and leaves the result in `out`. An answer's header lines
    /// have then passed the response edits of the steps before it.
    ///
    /// # Errors
    /// 400 if a rewrite or redirect makes an invalid path or host.
    pub fn request(&self, view: &RequestView<'_>, out: &mut Rewritten) -> Result<Outcome, Reject> {
        out.clear();
        if self.work.is_empty() {
            return Ok(Outcome::Forward);
        }
        let mut prefix_len = view.prefix_len;
        for work in &self.work {
            let may_pass = work.may_pass;
            let mut run = Run { view, out, prefix_len: &mut prefix_len, may_pass };
            if work.step.request(&mut run)? == Flow::Answer {
                out.stage = Stage(Some(work.stage));
                self.response_headers(out.stage).apply(view, &mut out.answer.headers);
                return Ok(Outcome::Answer);
            }
        }
        if out.path_changed
            && let Some(query) = view.query
        {
            out.path.push('?');
            out.path.push_str(query);
        }
        Ok(Outcome::Forward)
    }

    /// Returns the edits of a forwarded request's header lines.
    pub fn request_headers(&self) -> &HeaderProgram {
        &self.request
    }

    /// Returns the edits of a response's header lines: an endpoint's, or one that the proxy makes
    /// when the upstream fails.
    pub fn response_headers(&self, stage: Stage) -> &HeaderProgram {
        stage.0.and_then(|stage| self.early.get(usize::from(stage))).unwrap_or(&self.response)
    }
}

/// Compiles the answer of a route's own, which ends its chain.
fn own_answer(action: &Action, problems: &mut Problems) -> Option<AnyStep> {
    match action {
        Action::Respond(spec) => crate::respond::Respond::compile(spec, problems).map(Into::into),
        Action::Redirect(spec) => {
            crate::redirect::Redirect::compile(spec, problems).map(Into::into)
        }
        Action::Upstream(_) | Action::Split(_) | Action::NotImported(_) => None,
    }
}

type Found = (Option<AnyStep>, Problems);

fn compile_use<'a>(used: &MiddlewareUse, named: &dyn Fn(&str) -> Option<&'a Middleware>) -> Found {
    let mut problems = Vec::new();
    let name = match used {
        MiddlewareUse::Inline(spec) => return (AnyStep::compile(spec, &mut problems), problems),
        MiddlewareUse::Use(name) => name,
    };
    let Some(middleware) = named(name) else {
        return (None, vec![(String::new(), format!("there is no middleware `{name}`"))]);
    };
    let step = AnyStep::compile(middleware, &mut problems);
    let about =
        |(path, message)| (String::new(), format!("middleware `{name}`: {path}: {message}"));
    (step, problems.into_iter().map(about).collect())
}

#[derive(Default)]
struct Builder {
    work: Vec<Work>,
    request: Composition,
    /// Response edits, in the order of requests.
    response: Vec<Edits>,
    early: Vec<HeaderProgram>,
    is_closed: bool,
}

impl Builder {
    /// Adds a step; a step after one that always answers is never reached. `may_pass` is false for a route's
    /// action, because nothing follows it.
    fn add(&mut self, step: AnyStep, may_pass: bool) {
        if self.is_closed {
            return;
        }
        let traits = step.traits();
        match step.edits() {
            Composed::None => {}
            Composed::Request(edits) => self.request.then(edits),
            Composed::Response(edits) => self.response.push(edits.clone()),
        }
        if traits.runs {
            let stage = if traits.answers { self.stage() } else { 0 };
            self.work.push(Work { step, stage, may_pass });
        }
        self.is_closed = traits.closes || !may_pass;
    }

    /// Returns the stage of a step that answers here.
    fn stage(&mut self) -> u16 {
        self.early.push(self.composed());
        u16::try_from(self.early.len() - 1).unwrap_or(u16::MAX)
    }

    /// Composes the response edits so far; the last middleware's edits come first.
    fn composed(&self) -> HeaderProgram {
        let mut composition = Composition::default();
        for edits in self.response.iter().rev() {
            composition.then(edits);
        }
        composition.program()
    }

    fn finish(self) -> Chain {
        let response = self.composed();
        Chain {
            work: self.work.into(),
            request: self.request.program(),
            response,
            early: self.early.into(),
        }
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
