//! Chains: a host's middlewares, then the route's, then the route's own answer.

use crate::AnyStep;
use crate::by_status::{ByStatus, MOST_LISTS, are_too_many};
use crate::claims::Wanted;
use crate::context::{Context, Later, Woken};
use crate::encoding::Encoding;
use crate::headers::{Composition, Edits, HeaderProgram};
use crate::keep::{Keep, NOBODY};
use crate::pages::{ChainPages, Pages};
use crate::step::{Flow, Problems, Run, Step};
use crate::view::{Outcome, RequestView, Rewritten, Stage};
use hg_plan::{Action, Middleware, MiddlewareUse};
use hg_proto::Reject;
use std::sync::Arc;

/// A problem in a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// Index of the list given to [`Chain::compile`] that it is in; the number of lists for the
    /// action.
    pub list: usize,
    /// Path of keys from the list's owner: `middlewares[0].rewrite.host`, `action.respond.body`.
    pub path: String,
    /// A sentence that says what is wrong and what is allowed.
    pub message: String,
}

/// A step that has something to do when a request comes.
#[derive(Clone, Debug)]
struct Work {
    step: AnyStep,
    /// The stage of the edits that its answer passes.
    stage: u16,
    /// The same for lines that it adds to answers; nothing if those edits drop none.
    before: Option<u16>,
    /// The request edits of the steps after it; nothing if they drop no line.
    after: Option<Box<HeaderProgram>>,
    may_pass: bool,
}

/// A compiled chain. Immutable; clones share only compiled patterns, so that each worker's clone
/// has its own regex scratch space.
#[derive(Clone, Debug, Default)]
pub struct Chain {
    work: Box<[Work]>,
    request: HeaderProgram,
    response: ByStatus,
    /// Edits by stage: those of the steps before one that answers.
    early: Box<[ByStatus]>,
    encoding: Option<Arc<Encoding>>,
    pages: ChainPages,
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
        Self::compile_in(uses, action, named, (&Keep::default(), &[], &[]))
    }

    /// Compiles it for traffic: with the state that steps keep, the owners of the lists, such as
    /// `host a.example` and `route r`, to whom the state of unnamed steps belongs, and the claims of
    /// tokens that the log says.
    ///
    /// # Errors
    /// As [`Chain::compile`].
    pub fn compile_in<'a>(
        uses: &[&[MiddlewareUse]],
        action: Option<&Action>,
        named: &dyn Fn(&str) -> Option<&'a Middleware>,
        (keep, owners, logged): (&Keep, &[&str], &[Box<str>]),
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let mut builder = Builder::default();
        let claims = wanted(uses, action, named).and(logged);
        for (list, uses) in uses.iter().enumerate() {
            let owner = owners.get(list).copied().unwrap_or_default();
            for (index, used) in uses.iter().enumerate() {
                let (mut step, found) = compile_use(used, named);
                if let Some(step) = step.as_mut().filter(|step| step.traits().counts) {
                    step.wants(&claims);
                    bind(step, used, keep, (owner, index));
                }
                problems.extend(found.into_iter().map(|(path, message)| {
                    let dot = if path.is_empty() { "" } else { "." };
                    Problem { list, path: format!("middlewares[{index}]{dot}{path}"), message }
                }));
                if let Some(step) = step {
                    builder.add(step, true);
                }
                if are_too_many(&builder.response) {
                    builder.response.pop();
                    let path = format!("middlewares[{index}]");
                    problems.push(Problem { list, path, message: too_many_lists() });
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
        self.work.is_empty()
            && self.request.is_empty()
            && self.response.programs().all(HeaderProgram::is_empty)
            && self.encoding.is_none()
            && self.pages.is_empty()
    }

    /// Reports whether it has scratch space, or state, that another route's must not share.
    pub fn is_own(&self) -> bool {
        let is_own = |traits: crate::step::Traits| traits.has_scratch || traits.is_live;
        self.work.iter().any(|work| is_own(work.step.traits()))
    }

    /// Does what [`Chain::begin`] does as far as the request alone decides it, and counts nothing:
    /// steps that have state, ask the time or draw lots are left out.
    ///
    /// # Errors
    /// As [`Chain::begin`].
    pub fn request(&self, view: &RequestView<'_>, out: &mut Rewritten) -> Result<Outcome, Reject> {
        out.clear();
        let mut random = || 0;
        let worker = NOBODY;
        let mut cx =
            Context { now_us: 0, unix_us: || 0, random: &mut random, worker, accounts: None };
        out.prefix_len = view.prefix_len;
        self.walk(view, out, &mut cx, (Woken::No, true))
    }

    /// Returns the kinds of the steps that [`Chain::request`] left out before the one that answered
    /// or refused and that may answer themselves, each once: what they make of a request is known
    /// when it comes.
    pub fn left_out(&self, out: &Rewritten) -> Vec<&'static str> {
        let mut kinds = Vec::new();
        for work in self.work.iter().take(out.cursor + 1) {
            let traits = work.step.traits();
            let may_answer = traits.is_live && traits.answers;
            if may_answer && !kinds.contains(&work.step.kind()) {
                kinds.push(work.step.kind());
            }
        }
        kinds
    }

    /// Takes a request through the chain and leaves the result in `out`. An answer's header lines
    /// have then passed the response edits of the steps before it.
    ///
    /// # Errors
    /// 400 if a rewrite or redirect makes an invalid path or host; what a step refuses.
    pub fn begin(
        &self,
        view: &RequestView<'_>,
        out: &mut Rewritten,
        cx: &mut Context<'_>,
    ) -> Result<Outcome, Reject> {
        out.clear();
        if self.work.is_empty() {
            return Ok(Outcome::Forward);
        }
        out.prefix_len = view.prefix_len;
        self.walk(view, out, cx, (Woken::No, false))
    }

    /// Reports whether any step runs for a request.
    pub fn has_steps(&self) -> bool {
        !self.work.is_empty()
    }

    /// Goes on after a wait, with the same request and the same `out`.
    ///
    /// # Errors
    /// As [`Chain::begin`].
    pub fn resume(
        &self,
        view: &RequestView<'_>,
        out: &mut Rewritten,
        cx: &mut Context<'_>,
        woken: Woken,
    ) -> Result<Outcome, Reject> {
        self.walk(view, out, cx, (woken, false))
    }

    fn walk(
        &self,
        view: &RequestView<'_>,
        out: &mut Rewritten,
        cx: &mut Context<'_>,
        (mut woken, is_dry): (Woken, bool),
    ) -> Result<Outcome, Reject> {
        let mut prefix_len = out.prefix_len;
        for (index, work) in self.work.iter().enumerate().skip(out.cursor) {
            if is_dry {
                out.cursor = index;
            }
            let claims = out.claims();
            let claiming = claims.as_ref().map(|claims| view.claiming(claims));
            let view = claiming.as_ref().unwrap_or(view);
            let (prefix_len, may_pass) = (&mut prefix_len, work.may_pass);
            let woken = std::mem::take(&mut woken);
            let (after, before) = (work.after.as_deref(), work.before);
            let run = &mut Run { view, out, prefix_len, may_pass, cx, woken, after, before };
            if is_dry && work.step.traits().is_live {
                work.step.presume(run);
                continue;
            }
            match work.step.request(run)? {
                Flow::Next => {}
                Flow::Answer => {
                    self.settle_answer(view, out, (work.stage, cx.unix_us));
                    return Ok(Outcome::Answer);
                }
                Flow::Wait(wait) => {
                    (out.cursor, out.prefix_len, out.wait) = (index, *prefix_len, Some(wait));
                    return Ok(Outcome::Wait);
                }
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

    fn settle_answer(
        &self,
        view: &RequestView<'_>,
        out: &mut Rewritten,
        (stage, unix_us): (u16, fn() -> u64),
    ) {
        out.stage = Stage(Some(stage));
        let edits = self.response_headers(out.stage, out.answer.status);
        edits.apply(view, unix_us, &mut out.answer.headers);
        if let Some(later) = &out.later {
            self.append_lines(later, out.answer.status, &mut out.answer.headers);
        }
    }

    /// Appends the lines that steps added to an answer with that status: each passes the edits of the
    /// steps before the one that made it.
    pub fn append_lines(&self, later: &Later, status: u16, out: &mut Vec<u8>) {
        out.extend_from_slice(&later.response);
        for (stage, lines) in &later.edited {
            self.response_headers(Stage(Some(*stage)), status).sift(lines, out);
        }
    }

    /// Returns the kind of the step that waits; empty if none does.
    pub fn waiting(&self, out: &Rewritten) -> &'static str {
        self.work.get(out.cursor).map_or("", |work| work.step.kind())
    }

    /// Returns which answers of endpoints are encoded on their way to the client.
    pub fn encoding(&self) -> Option<&Arc<Encoding>> {
        self.encoding.as_ref()
    }

    /// Returns the pages that clients get instead of the bodies of errors.
    pub fn pages(&self) -> &ChainPages {
        &self.pages
    }

    /// Returns the edits of a forwarded request's header lines.
    pub fn request_headers(&self) -> &HeaderProgram {
        &self.request
    }

    /// Returns the edits of the header lines of a response with that status: an endpoint's, or one
    /// that the proxy makes when the upstream fails.
    pub fn response_headers(&self, stage: Stage, status: u16) -> &HeaderProgram {
        self.edits(stage).of(status)
    }

    /// Reports whether a response gets the same header lines whatever its request.
    pub fn is_literal(&self, stage: Stage) -> bool {
        self.edits(stage).programs().all(HeaderProgram::is_literal)
    }

    fn edits(&self, stage: Stage) -> &ByStatus {
        stage.0.and_then(|stage| self.early.get(usize::from(stage))).unwrap_or(&self.response)
    }
}

fn too_many_lists() -> String {
    format!("the chain has another list of `statuses`; write at most {MOST_LISTS} different ones")
}

/// Collects the claims of tokens that a chain names.
fn wanted<'a>(
    uses: &[&[MiddlewareUse]],
    action: Option<&Action>,
    named: &dyn Fn(&str) -> Option<&'a Middleware>,
) -> Wanted {
    let mut wanted = Wanted::default();
    for used in uses.iter().copied().flatten() {
        match used {
            MiddlewareUse::Inline(middleware) => wanted.of(middleware),
            MiddlewareUse::Use(name) => named(name).into_iter().for_each(|one| wanted.of(one)),
        }
    }
    action.into_iter().for_each(|action| wanted.of_action(action));
    wanted
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

/// Gives a step its state and its counts.
fn bind(step: &mut AnyStep, used: &MiddlewareUse, keep: &Keep, (owner, index): (&str, usize)) {
    match used {
        MiddlewareUse::Use(name) => step.bind(keep, &format!("middleware {name}"), name),
        MiddlewareUse::Inline(_) => step.bind(keep, &format!("{owner}.middlewares[{index}]"), ""),
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
    /// For each of `work`, the request edits of the steps after it.
    after: Vec<Composition>,
    /// Response edits, in the order of requests.
    response: Vec<Edits>,
    early: Vec<ByStatus>,
    encoding: Option<Arc<Encoding>>,
    pages: Vec<Pages>,
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
        if let Some(encoding) = step.encoding() {
            self.encoding = Some(Arc::clone(encoding));
        }
        self.pages.extend(step.pages().cloned());
        let edits = step.edits();
        if let Some(edits) = edits.request {
            self.request.then(edits);
            self.after.iter_mut().for_each(|after| after.then(edits));
        }
        self.response.extend(edits.response.cloned());
        if traits.runs {
            let stage = if traits.answers { self.stage() } else { 0 };
            let drops = traits.answers && self.early.last().is_some_and(ByStatus::drops_any);
            let before = drops.then_some(stage);
            self.work.push(Work { step, stage, before, after: None, may_pass });
            self.after.push(Composition::default());
        }
        self.is_closed = traits.closes || !may_pass;
    }

    /// Returns the stage of a step that answers here.
    fn stage(&mut self) -> u16 {
        self.early.push(self.composed());
        u16::try_from(self.early.len() - 1).unwrap_or(u16::MAX)
    }

    /// Composes the response edits so far; the last middleware's edits come first.
    fn composed(&self) -> ByStatus {
        ByStatus::compose(self.response.iter().rev())
    }

    fn finish(mut self) -> Chain {
        let response = self.composed();
        for (work, after) in self.work.iter_mut().zip(&self.after) {
            work.after = after.dropping();
        }
        Chain {
            work: self.work.into(),
            request: self.request.program(),
            response,
            early: self.early.into(),
            encoding: self.encoding,
            pages: ChainPages(self.pages.into()),
        }
    }
}

#[cfg(test)]
#[path = "chain_tests.rs"]
mod tests;
