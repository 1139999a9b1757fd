//! The closed set of middlewares: a new one is a folder, a line in [`NAMES`] and a variant here.

use crate::headers::Edits;
use crate::redirect::Redirect;
use crate::respond::Respond;
use crate::rewrite::Rewrite;
use crate::{redirect, request_headers, respond, response_headers, rewrite};
use hg_plan::{Middleware, MiddlewareUse};

/// The names of all middlewares, as in config and plan.
pub const NAMES: [&str; 5] =
    ["rewrite", "redirect", "request_headers", "response_headers", "respond"];

/// One middleware, compiled on its own.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Rewrite(rewrite::Rewrite),
    Redirect(redirect::Redirect),
    RequestHeaders(Edits),
    ResponseHeaders(Edits),
    Respond(respond::Respond),
}

/// A middleware, named or inline.
pub(crate) enum Spec<'a> {
    Rewrite(&'a hg_plan::Rewrite),
    Redirect(&'a hg_plan::Redirect),
    RequestHeaders(&'a hg_plan::HeaderEdits),
    ResponseHeaders(&'a hg_plan::HeaderEdits),
    Respond(&'a hg_plan::Respond),
}

impl<'a> Spec<'a> {
    pub(crate) fn of(middleware: &'a Middleware) -> Self {
        match middleware {
            Middleware::Rewrite(spec) => Self::Rewrite(spec),
            Middleware::Redirect(spec) => Self::Redirect(spec),
            Middleware::RequestHeaders(spec) => Self::RequestHeaders(spec),
            Middleware::ResponseHeaders(spec) => Self::ResponseHeaders(spec),
            Middleware::Respond(spec) => Self::Respond(spec),
        }
    }

    /// Returns the middleware that is written where it is used, or the name of one that is not.
    pub(crate) fn of_use(used: &'a MiddlewareUse) -> Result<Self, &'a str> {
        Ok(match used {
            MiddlewareUse::Use(name) => return Err(name),
            MiddlewareUse::Rewrite(spec) => Self::Rewrite(spec),
            MiddlewareUse::Redirect(spec) => Self::Redirect(spec),
            MiddlewareUse::RequestHeaders(spec) => Self::RequestHeaders(spec),
            MiddlewareUse::ResponseHeaders(spec) => Self::ResponseHeaders(spec),
            MiddlewareUse::Respond(spec) => Self::Respond(spec),
        })
    }

    /// Checks and compiles; appends what is wrong to `problems`, with paths that begin with the
    /// middleware's name.
    pub(crate) fn compile(&self, problems: &mut Vec<(String, String)>) -> Option<Step> {
        match self {
            Self::Rewrite(spec) => Rewrite::compile(spec, problems).map(Step::Rewrite),
            Self::Redirect(spec) => Redirect::compile(spec, problems).map(Step::Redirect),
            Self::RequestHeaders(spec) => {
                Some(Step::RequestHeaders(request_headers::compile(spec, problems)))
            }
            Self::ResponseHeaders(spec) => {
                Some(Step::ResponseHeaders(response_headers::compile(spec, problems)))
            }
            Self::Respond(spec) => Respond::compile(spec, problems).map(Step::Respond),
        }
    }
}
