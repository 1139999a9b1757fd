//! The options of `basic_auth`, as in the plan, and what is compiled of them.

use super::{BasicAuth, State};
use crate::headers::{Direction, Edits};
use crate::refusals;
use crate::step::Problems;
use hg_access::{PasswordHash, Users};
use hg_plan::{Digest, HeaderEdits};
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Options, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// Hashes of passwords by the name of the user.
    users: BTreeMap<String, String>,
    #[serde(default)]
    realm: String,
    user_header: Option<String>,
    #[serde(default)]
    keep: bool,
    /// The time for which right credentials are remembered; 0 = not at all.
    #[serde(default)]
    remember_ms: u64,
}

impl Options {
    /// Checks and compiles; appends what is wrong to `problems`.
    pub(super) fn compile(&self, problems: &mut Problems) -> Option<BasicAuth> {
        let before = problems.len();
        let mut users = Vec::new();
        for (name, hash) in &self.users {
            match PasswordHash::parse(hash) {
                Ok(hash) => users.push((name.as_str().into(), hash)),
                Err(message) => problems.push((format!("basic_auth.users.{name}"), message)),
            }
        }
        if self.users.is_empty() {
            problems.push(("basic_auth.users".into(), "there is no user; write one".into()));
        }
        let realm = refusals::quoted(&self.realm);
        if realm.is_none() {
            let message = "the realm has control characters; write one line of text";
            problems.push(("basic_auth.realm".into(), message.into()));
        }
        let edits = Edits::compile(&self.edits(), Direction::Request, "basic_auth", problems);
        let step = BasicAuth {
            users: Arc::new(Users::new(users)),
            challenge: format!("Basic realm={}, charset=\"UTF-8\"", realm?).into(),
            edits,
            user_header: self.user_header.as_ref().map(|name| name.to_ascii_lowercase().into()),
            remember_us: self.remember_ms.saturating_mul(1_000),
            sum: Digest::of(format!("{self:?}").as_bytes()).0,
            state: Arc::new(State::new()),
            results: None,
        };
        (problems.len() == before).then_some(step)
    }

    /// Returns the edits that remove the client's user header and, unless kept, the credentials.
    fn edits(&self) -> HeaderEdits {
        let mut remove: Vec<String> = self.user_header.iter().cloned().collect();
        if !self.keep {
            remove.push("authorization".into());
        }
        HeaderEdits { remove, ..HeaderEdits::default() }
    }
}
