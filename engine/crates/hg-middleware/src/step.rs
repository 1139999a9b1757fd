//! What a middleware is, and the macro that lists all of them.

use crate::headers::Edits;
use crate::view::{RequestView, Rewritten};
use hg_plan::Middleware;
use hg_proto::Reject;
use serde::de::DeserializeOwned;

/// What is wrong with a middleware's options: (path of keys that begins with its kind, message).
pub(crate) type Problems = Vec<(String, String)>;

/// One middleware, compiled on its own. A folder of this crate has one type that implements it, of
/// which every hook but [`compile`](Step::compile) may be left out.
pub(crate) trait Step: Sized {
    /// The options, as they are in the plan.
    type Options: DeserializeOwned;

    /// Checks and compiles; appends what is wrong to `problems`, and returns `None` if nothing can
    /// be made of the options.
    fn compile(options: &Self::Options, problems: &mut Problems) -> Option<Self>;

    /// Returns the edits of header lines that every request gets. They are composed with those of
    /// the whole chain when it is compiled.
    fn edits(&self) -> Composed<'_> {
        Composed::None
    }

    /// Whether it has something to do when a request comes; false = [`edits`](Step::edits) are all.
    const RUNS: bool = true;

    /// Whether it may answer: then its place in the chain is kept, because an answer passes the
    /// edits of the steps before it alone.
    const ANSWERS: bool = true;

    /// Whether every request is answered here, so that no step after it is ever reached.
    const CLOSES: bool = false;

    /// Whether it has scratch space that workers had better not share.
    const HAS_SCRATCH: bool = false;

    /// Takes a request.
    ///
    /// # Errors
    /// The request is refused so.
    fn request(&self, _: &mut Run<'_, '_>) -> Result<Flow, Reject> {
        Ok(Flow::Next)
    }
}

/// The edits of a middleware that are the same for every request.
pub(crate) enum Composed<'a> {
    None,
    Request(&'a Edits),
    Response(&'a Edits),
}

/// A request on its way through a chain, as a step sees and changes it.
pub(crate) struct Run<'a, 'v> {
    /// What the client sent; never changes.
    pub(crate) view: &'a RequestView<'v>,
    /// What becomes of it.
    pub(crate) out: &'a mut Rewritten,
    /// How much of the current path the route's match took, in bytes.
    pub(crate) prefix_len: &'a mut usize,
    /// Whether steps or an upstream follow. False for the answer of a route's own.
    pub(crate) may_pass: bool,
}

/// What a step does with a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flow {
    /// It goes on.
    Next,
    /// [`Rewritten::answer`] is the answer.
    Answer,
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

            pub(crate) fn edits(&self) -> step::Composed<'_> {
                match self {
                    $(Self::$Step(step) => step::Step::edits(step),)+
                }
            }

            pub(crate) fn traits(&self) -> step::Traits {
                match self {
                    $(Self::$Step(_) => step::Traits::of::<$folder::$Step>(),)+
                }
            }

            #[inline]
            pub(crate) fn request(
                &self,
                run: &mut step::Run<'_, '_>,
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
}

impl Traits {
    pub(crate) fn of<S: Step>() -> Self {
        Self { runs: S::RUNS, answers: S::ANSWERS, closes: S::CLOSES, has_scratch: S::HAS_SCRATCH }
    }
}
