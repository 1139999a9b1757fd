//! The interface of a middleware, and the macro that lists all of them.

use crate::claims::KeptClaims;
use crate::context::{Context, Place, Wait, Watch, Woken};
use crate::encoding::Encoding;
use crate::headers::{Edits, HeaderProgram, push_line};
use crate::keep::Results;
use crate::pages::Pages;
use crate::view::{RequestView, Rewritten};
use hg_plan::Middleware;
use hg_proto::Reject;
use serde::de::DeserializeOwned;
use std::sync::Arc;

/// The problems of a middleware's options: (path of keys that begins with its kind, message).
pub(crate) type Problems = Vec<(String, String)>;

/// One middleware, compiled on its own. A folder of this crate has one type that implements it, of
/// which every hook but [`compile`](Step::compile) may be left out.
pub(crate) trait Step: Sized {
    /// The options, as they are in the plan.
    type Options: DeserializeOwned;

    /// Checks and compiles; appends what is wrong to `problems`, and returns `None` if nothing can
    /// be made of the options.
    fn compile(options: &Self::Options, problems: &mut Problems) -> Option<Self>;

    /// Gets what outlives a snapshot: its state, the counts of its results.
    fn bind(&mut self, _: &Place<'_>) {}

    /// Is told, before [`bind`](Step::bind), which claims of tokens the steps of its chain and the log
    /// name.
    fn wants(&mut self, _: &KeptClaims) {}

    /// Returns the edits of header lines that every request gets. They are composed with those of
    /// the whole chain when it is compiled.
    fn edits(&self) -> Composed<'_> {
        Composed::default()
    }

    /// True if it has something to do when a request comes; false = [`edits`](Step::edits) are all.
    const RUNS: bool = true;

    /// True if it may answer, or add lines to answers: then its place in the chain is kept, because
    /// these pass the edits of the steps before it alone.
    const ANSWERS: bool = true;

    /// True if every request is answered here, so that no step after it is ever reached.
    const CLOSES: bool = false;

    /// True if it has scratch space that workers had better not share.
    const HAS_SCRATCH: bool = false;

    /// True if its results are counted, so that `bind` is called.
    const COUNTS: bool = Self::IS_LIVE;

    /// True if what it does depends on more than the request: on state, time, chance. Explanations
    /// leave it out, and routes do not share what is compiled of it.
    const IS_LIVE: bool = false;

    /// Returns which answers of endpoints are encoded on their way to the client. Of several steps
    /// of a chain the last one counts.
    fn encoding(&self) -> Option<&Arc<Encoding>> {
        None
    }

    /// Returns the pages that clients get instead of the bodies of errors.
    fn pages(&self) -> Option<&Pages> {
        None
    }

    /// Leaves what the steps after it need in an explanation, instead of
    /// [`request`](Step::request): words that stand for what only a request brings.
    fn presume(&self, _: &mut Run<'_, '_, '_>) {}

    /// Takes a request. After a [`Flow::Wait`] it is called once more, and `run.woken` says why.
    ///
    /// # Errors
    /// The request is refused so.
    fn request(&self, _: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        Ok(Flow::Next)
    }
}

/// The edits of a middleware that are the same for every request.
#[derive(Default)]
pub(crate) struct Composed<'a> {
    pub(crate) request: Option<&'a Edits>,
    pub(crate) response: Option<&'a Edits>,
}

/// A request on its way through a chain, as a step sees and changes it.
pub struct Run<'a, 'v, 'c> {
    /// The request as the client sent it; never changes.
    pub view: &'a RequestView<'v>,
    /// The result of the chain for it.
    pub out: &'a mut Rewritten,
    /// The number of bytes of the current path that the route's match took.
    pub prefix_len: &'a mut usize,
    /// True if steps or an upstream follow. False for a route's own answer.
    pub may_pass: bool,
    /// Clocks, chance, the worker.
    pub cx: &'a mut Context<'c>,
    /// The reason why the step is called again.
    pub woken: Woken,
    /// The request edits of the steps after it, if they drop lines.
    pub(crate) after: Option<&'a HeaderProgram>,
    /// The stage of the response edits of the steps before it, if they drop lines.
    pub(crate) before: Option<u16>,
}

impl Run<'_, '_, '_> {
    /// Decides by chance: true in so many of a hundred cases.
    pub fn chance(&mut self, percent: u8) -> bool {
        percent > 0 && (self.cx.random)() % 100 < u64::from(percent)
    }

    /// Is told when the exchange ends.
    pub fn watch(&mut self, watch: Box<dyn Watch>) {
        self.out.later().watches.push(watch);
    }

    /// Counts a result of the step that has these counts, once it has them.
    pub(crate) fn count(&self, results: Option<&Results>, result: usize) {
        if let Some(results) = results {
            results.add(self.cx.worker, result);
        }
    }

    /// Adds a line to the request for the endpoint, unless a later step sets or removes it. Lines of
    /// that name that the client sent stay, unless the edits of the step remove them.
    pub fn request_line(&mut self, name: &str, value: &[u8]) {
        if !self.after.is_some_and(|after| after.drops(name.as_bytes())) {
            self.certain_line(name, value);
        }
    }

    /// Adds a line to the request for the endpoint, whatever later steps set or remove.
    pub(crate) fn certain_line(&mut self, name: &str, value: &[u8]) {
        push_line(&mut self.out.later().request, name, value);
    }

    /// Adds lines to the answer for the client, whoever makes that; `write` appends whole ones. Steps
    /// before this one may set or remove them.
    pub(crate) fn response_lines(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let before = self.before;
        self.out.later().add_response(before, write);
    }

    /// Adds a line to the answer for the client as [`Run::response_lines`] does.
    pub fn response_line(&mut self, name: &str, value: &[u8]) {
        self.response_lines(|lines| push_line(lines, name, value));
    }
}

/// The decision of a step about a request.
#[derive(Debug)]
pub(crate) enum Flow {
    /// It goes on.
    Next,
    /// [`Rewritten::answer`] is the answer.
    Answer,
    /// It goes on with this step again once this is over.
    Wait(Wait),
}

/// Reads a middleware's options and compiles them.
pub(crate) fn compile<S: Step>(spec: &Middleware, problems: &mut Problems) -> Option<S> {
    match spec.options::<S::Options>() {
        Ok(options) => S::compile(&options, problems),
        Err(message) => {
            problems.push((spec.kind().to_owned(), message));
            None
        }
    }
}

/// Lists the middlewares: `folder => Type`, one line each. The folder's name is the word in config
/// and plan. Calls of a step are a match, not a virtual call.
macro_rules! middlewares {
    ($($folder:ident => $Step:ident,)+) => {
        $(mod $folder;)+

        /// The names of all middlewares, as in config and plan.
        pub const NAMES: &[&str] = &[$(stringify!($folder)),+];

        /// Any middleware, compiled.
        #[derive(Clone, Debug)]
        pub(crate) enum AnyStep {
            $($Step($folder::$Step),)+
        }

        $(impl From<$folder::$Step> for AnyStep {
            fn from(step: $folder::$Step) -> Self {
                Self::$Step(step)
            }
        })+

        impl AnyStep {
            /// Checks and compiles; appends what is wrong to `problems`.
            pub(crate) fn compile(
                spec: &hg_plan::Middleware,
                problems: &mut step::Problems,
            ) -> Option<Self> {
                match spec.kind() {
                    $(stringify!($folder) => step::compile(spec, problems).map(Self::$Step),)+
                    unknown => {
                        let message = format!("there is no such middleware; write {}", NAMES.join(", "));
                        problems.push((unknown.to_owned(), message));
                        None
                    }
                }
            }

            pub(crate) fn wants(&mut self, claims: &claims::KeptClaims) {
                match self {
                    $(Self::$Step(step) => step::Step::wants(step, claims),)+
                }
            }

            pub(crate) fn bind(&mut self, keep: &keep::Keep, owner: &str, name: &str) {
                match self {
                    $(Self::$Step(step) => {
                        let kind = stringify!($folder);
                        step::Step::bind(step, &context::Place { keep, kind, owner, name });
                    })+
                }
            }

            /// Returns the word in config and plan.
            pub(crate) fn kind(&self) -> &'static str {
                match self {
                    $(Self::$Step(_) => stringify!($folder),)+
                }
            }

            pub(crate) fn edits(&self) -> step::Composed<'_> {
                match self {
                    $(Self::$Step(step) => step::Step::edits(step),)+
                }
            }

            pub(crate) fn encoding(&self) -> Option<&std::sync::Arc<encoding::Encoding>> {
                match self {
                    $(Self::$Step(step) => step::Step::encoding(step),)+
                }
            }

            pub(crate) fn pages(&self) -> Option<&pages::Pages> {
                match self {
                    $(Self::$Step(step) => step::Step::pages(step),)+
                }
            }

            pub(crate) fn traits(&self) -> step::Traits {
                match self {
                    $(Self::$Step(_) => step::Traits::of::<$folder::$Step>(),)+
                }
            }

            pub(crate) fn presume(&self, run: &mut step::Run<'_, '_, '_>) {
                match self {
                    $(Self::$Step(step) => step::Step::presume(step, run),)+
                }
            }

            #[inline]
            pub(crate) fn request(
                &self,
                run: &mut step::Run<'_, '_, '_>,
            ) -> Result<step::Flow, hg_proto::Reject> {
                match self {
                    $(Self::$Step(step) => step::Step::request(step, run),)+
                }
            }
        }
    };
}

/// The constants of a [`Step`].
#[derive(Clone, Copy, Debug)]
pub(crate) struct Traits {
    pub(crate) runs: bool,
    pub(crate) answers: bool,
    pub(crate) closes: bool,
    pub(crate) has_scratch: bool,
    pub(crate) is_live: bool,
    pub(crate) counts: bool,
}

impl Traits {
    pub(crate) fn of<S: Step>() -> Self {
        Self {
            runs: S::RUNS,
            answers: S::ANSWERS,
            closes: S::CLOSES,
            has_scratch: S::HAS_SCRATCH,
            is_live: S::IS_LIVE,
            counts: S::COUNTS,
        }
    }
}
