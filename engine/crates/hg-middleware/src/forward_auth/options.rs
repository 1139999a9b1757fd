//! The options of `forward_auth`, checked and compiled.

use super::client::Chosen;
use super::{ForwardAuth, MARK, OURS, Terms};
use crate::headers::{Direction, Edits};
use crate::step::Problems;
use crate::subrequest::Target;
use hg_plan::HeaderEdits;
use hg_proto::Method;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// Names of the client's that no subrequest has: it has no body, and a connection of its own.
const NEVER: [&str; 5] = ["host", "content-length", "content-type", "content-encoding", "expect"];

/// Most bytes of an answer, which is held in memory.
const MOST_BYTES: usize = 1024 * 1024;

/// Most names in one of the lists, and most characters of one.
const MOST_NAMES: usize = 64;
const MOST_NAME_CHARACTERS: usize = 256;

/// The client's headers that go along.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum Sent {
    Names(Vec<String>),
    Word(Word),
}

/// All that are end-to-end.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Word {
    All,
}

impl Default for Sent {
    fn default() -> Self {
        Self::Names(Vec::new())
    }
}

/// Options, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    upstream: String,
    path: String,
    method: String,
    timeout_ms: u64,
    /// Of the client's request, what goes along.
    #[serde(default)]
    headers: Sent,
    /// The cookies that go along; none = all.
    #[serde(default)]
    cookies: Vec<String>,
    /// Of the answer, what goes on to the endpoint.
    #[serde(default)]
    copy: Vec<String>,
    copy_prefix: Option<String>,
    /// Of an answer that lets pass, what goes to the client.
    #[serde(default)]
    answer_headers: Vec<String>,
    answer_bytes: usize,
    in_flight: u32,
    #[serde(default)]
    fail_open: bool,
}

impl Options {
    pub(super) fn compile(&self, problems: &mut Problems) -> Option<ForwardAuth> {
        let before = problems.len();
        self.check(problems);
        self.check_lists(problems);
        let method = match self.method.as_str() {
            "GET" => Method::Get,
            "HEAD" => Method::Head,
            "POST" => Method::Post,
            other => {
                let message = format!("`{other}` is none; write GET, HEAD or POST");
                problems.push(("forward_auth.method".into(), message));
                Method::Get
            }
        };
        let edits = self.edits(problems);
        let terms = Terms {
            path: self.path.as_str().into(),
            method,
            timeout_us: self.timeout_ms.saturating_mul(1_000),
            chosen: Chosen {
                names: (!self.sends_all()).then(|| lower(self.names())),
                cookies: self.cookies.iter().map(|name| name.as_str().into()).collect(),
            },
            copy: lower(&self.copy),
            copy_prefix: self.copy_prefix.as_ref().map(|p| p.to_ascii_lowercase().into()),
            answer_headers: lower(&self.answer_headers),
            answer_bytes: self.answer_bytes,
        };
        (problems.len() == before).then(|| ForwardAuth {
            to: Arc::new(Target::new(&self.upstream)),
            terms: Arc::new(terms),
            in_flight: self.in_flight,
            fail_open: self.fail_open,
            edits,
            taken: Arc::default(),
            results: None,
        })
    }

    fn sends_all(&self) -> bool {
        matches!(self.headers, Sent::Word(Word::All))
    }

    fn names(&self) -> &[String] {
        match &self.headers {
            Sent::Names(names) => names,
            Sent::Word(Word::All) => &[],
        }
    }

    fn check(&self, problems: &mut Problems) {
        let mut problem = |key: &str, message: String| {
            problems.push((format!("forward_auth.{key}"), message));
        };
        if self.upstream.is_empty() {
            problem("upstream", "there is no name; write the name of an upstream".into());
        }
        let is_plain = self.path.bytes().all(|b| b.is_ascii_graphic() && b != b'#');
        if !self.path.starts_with('/') || !is_plain {
            let allowed = "write a path such as /verify, with a query or without";
            problem("path", format!("`{}` is no path; {allowed}", self.path));
        }
        for (key, value) in [
            ("timeout_ms", self.timeout_ms),
            ("answer_bytes", self.answer_bytes as u64),
            ("in_flight", self.in_flight.into()),
        ] {
            if value == 0 {
                problem(key, "0 lets nobody pass; write at least 1".into());
            }
        }
        if self.answer_bytes > MOST_BYTES {
            let message = format!("{} is too much; write at most {MOST_BYTES}", self.answer_bytes);
            problem("answer_bytes", message);
        }
        if self.sends_all() && self.fail_open {
            let why = "a client could send a head at which the service hangs up, and pass";
            problem("fail_open", format!("{why}; write `headers` for it"));
        }
        for name in self.names() {
            let name = name.to_ascii_lowercase();
            if NEVER.contains(&name.as_str()) || OURS.contains(&name.as_str()) {
                problem("headers", format!("`{name}` is not sent as the client did; leave it out"));
            }
        }
    }

    fn check_lists(&self, problems: &mut Problems) {
        let mut problem = |key: &str, message: String| {
            problems.push((format!("forward_auth.{key}"), message));
        };
        for (key, names) in [
            ("headers", self.names()),
            ("cookies", &*self.cookies),
            ("copy", &*self.copy),
            ("answer_headers", &*self.answer_headers),
        ] {
            if names.len() > MOST_NAMES {
                let message =
                    format!("{} names are too many; write up to {MOST_NAMES}", names.len());
                problem(key, message);
            }
            if names.iter().any(|name| name.len() > MOST_NAME_CHARACTERS) {
                let allowed = format!("write up to {MOST_NAME_CHARACTERS} characters");
                problem(key, format!("a name is too long; {allowed}"));
            }
        }
    }

    /// Returns the edits that remove what the answer may set.
    fn edits(&self, problems: &mut Problems) -> Edits {
        let mut remove = self.copy.clone();
        remove.push(MARK.into());
        let named = |remove| HeaderEdits { set: BTreeMap::new(), add: BTreeMap::new(), remove };
        let mut edits =
            Edits::compile(&named(remove), Direction::Request, "forward_auth.copy", problems);
        // Only their names are checked.
        for (key, names) in [("headers", self.names()), ("answer_headers", &*self.answer_headers)] {
            let at = format!("forward_auth.{key}");
            Edits::compile(&named(names.to_vec()), Direction::Response, &at, problems);
        }
        if let Some(prefix) = &self.copy_prefix {
            let prefix = prefix.to_ascii_lowercase();
            Edits::compile(
                &named(vec![prefix.clone()]),
                Direction::Request,
                "forward_auth.copy_prefix",
                problems,
            );
            let taken = OURS.iter().chain(&["x-real-ip"]).find(|name| name.starts_with(&*prefix));
            if prefix.is_empty() {
                let message = "there is no prefix; write one such as x-auth-".to_owned();
                problems.push(("forward_auth.copy_prefix".into(), message));
            } else if let Some(taken) = taken {
                let message = format!("`{prefix}` would remove `{taken}`; write a longer prefix");
                problems.push(("forward_auth.copy_prefix".into(), message));
            }
            edits.remove_prefix(&prefix);
        }
        edits
    }
}

fn lower(names: &[String]) -> Box<[Box<str>]> {
    names.iter().map(|name| name.to_ascii_lowercase().into()).collect()
}
