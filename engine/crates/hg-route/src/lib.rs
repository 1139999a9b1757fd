//! Matchers, precedence, path normalisation and explain; pure.
//!
//! This crate alone decides which route takes a request. The data plane, `headgate explain`,
//! `headgate test` and the lints all call it, so they cannot disagree. It never uses a socket, a
//! clock or a file.
//!
//! The steps of a look-up:
//! 1. [`path::normalise`] once; the normalised path is routed and forwarded.
//! 2. The most specific host that has routes on the listener: a hash of the name, then of its
//!    wildcard suffixes, longest first, then `*`.
//! 3. In that host exact paths and prefixes by a hash of what stands before each slash, and the
//!    regex groups whose literal prefix stands there by a radix tree; each group is one automaton
//!    that reports every pattern that matches the whole path.
//! 4. Of those candidates the first in the order of precedence whose other conditions hold.

mod automaton;
mod bucket;
mod certificate;
pub mod check;
mod chunks;
mod compiled;
mod condition;
mod cookie;
mod describe;
mod explain;
mod hosts;
mod index;
mod listeners;
mod name;
mod order;
pub mod path;
mod paths;
mod pattern;
mod query;
mod radix;
mod router;
mod scratch;
mod shadow;
mod staging;
pub mod tcp;
mod whole;

pub use certificate::{CertificateRules, ClientCertificate, Misfit};
pub use chunks::Chunks;
pub use cookie::{cookie_value, cookie_values};
pub use describe::{Condition, ConditionKind};
pub use explain::{Explanation, MatchRef, NearMiss, Won};
pub use order::Criterion;
pub use query::{
    CLIENT_SUBJECT, Found, Headers, ListenerId, NoHeaders, Query, RouteChange, RouteId,
};
pub use router::Router;
pub use scratch::Scratch;
pub use shadow::Shadow;
pub use staging::Staging;
pub use whole::WholePattern;
