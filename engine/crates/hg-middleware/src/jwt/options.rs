//! The options of `jwt`, as in the plan, and what is compiled of them.

use super::Jwt;
use crate::claims::KeptClaims;
use crate::credential::Place;
use crate::headers::{Direction, Edits};
use crate::refusals;
use crate::step::Problems;
use hg_access::{KeySet, Policy};
use hg_plan::{Digest, HeaderEdits};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Longest time that clocks may differ by, seconds.
const MAX_LEEWAY_S: u32 = 300;

/// Options, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// A JWK set.
    keys: String,
    #[serde(default)]
    issuers: Vec<String>,
    #[serde(default)]
    audiences: Vec<String>,
    #[serde(default)]
    leeway_s: u32,
    #[serde(default)]
    required: Vec<String>,
    /// Allowed values by claim.
    #[serde(default)]
    allowed: BTreeMap<String, Vec<String>>,
    /// Claims by the header that they go into.
    #[serde(default)]
    headers: BTreeMap<String, String>,
    header: Option<String>,
    query: Option<String>,
    cookie: Option<String>,
    #[serde(default)]
    realm: String,
    #[serde(default)]
    keep: bool,
}

impl Options {
    /// Checks and compiles; appends what is wrong to `problems`.
    pub(super) fn compile(&self, problems: &mut Problems) -> Option<Jwt> {
        let before = problems.len();
        let mut problem = |key: &str, message: &str| {
            problems.push((format!("jwt{key}"), message.to_owned()));
        };
        let keys = KeySet::parse(&self.keys).map_err(|(path, message)| {
            let colon = if path.is_empty() { "" } else { ": " };
            problem(".keys", &format!("{path}{colon}{message}"));
        });
        if self.leeway_s > MAX_LEEWAY_S {
            problem(".leeway_s", "the leeway is too long; write at most 300 seconds");
        }
        let (header, query, cookie) = (&self.header, &self.query, &self.cookie);
        let place = Place::of(header.as_deref(), query.as_deref(), cookie.as_deref());
        if place.is_none() {
            problem("", "write one of `header`, `query` and `cookie`");
        }
        let realm = refusals::quoted(&self.realm);
        if realm.is_none() {
            problem(".realm", "the realm has control characters; write one line of text");
        }
        let edits = Edits::compile(&self.edits(), Direction::Request, "jwt", problems);
        let jwt = Jwt {
            keys: Arc::new(keys.ok()?),
            policy: Arc::new(self.policy()),
            place: place?,
            is_bearer: header.as_deref() == Some("authorization"),
            edits,
            headers: self.lines(),
            named: KeptClaims::default(),
            challenge: format!("Bearer realm={}", realm?).into(),
            sum: Digest::of(format!("{self:?}").as_bytes()).0,
            state: None,
            results: None,
        };
        (problems.len() == before).then_some(jwt)
    }

    fn policy(&self) -> Policy {
        Policy {
            issuers: self.issuers.clone(),
            audiences: self.audiences.clone(),
            leeway_s: self.leeway_s,
            required: self.required.clone(),
            allowed: self.allowed.clone().into_iter().collect(),
        }
    }

    fn lines(&self) -> Arc<[(Box<str>, Box<str>)]> {
        let pair = |(name, claim): (&String, &String)| {
            (name.to_ascii_lowercase().into(), claim.as_str().into())
        };
        self.headers.iter().map(pair).collect()
    }

    /// Returns the edits that remove the client's lines of `headers` and, unless kept, the token.
    fn edits(&self) -> HeaderEdits {
        let mut remove: Vec<String> = self.headers.keys().cloned().collect();
        remove.extend(self.header.clone().filter(|_| !self.keep));
        HeaderEdits { remove, ..HeaderEdits::default() }
    }
}
