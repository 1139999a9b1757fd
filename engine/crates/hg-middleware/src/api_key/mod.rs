//! `api_key`: who may pass by a key, of which the plan has the SHA-256 alone.

use crate::context::Place as Bound;
use crate::credential::{Place, Sent};
use crate::headers::{Direction, Edits};
use crate::keep::Results;
use crate::presumed;
use crate::refusals;
use crate::step::{Composed, Flow, Problems, Run, Step};
use hg_access::ApiKeys;
use hg_plan::HeaderEdits;
use hg_proto::Reject;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// The key is not in the list, or there are two.
const UNKNOWN: Reject = Reject {
    status: 403,
    reason: "http_request_denied",
    code: "api-key",
    detail: "this API key is not known here",
};

const CHALLENGE: &str = "ApiKey";

/// Options, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    /// SHA-256 of keys in hex, by the name of the client.
    clients: BTreeMap<String, Vec<String>>,
    header: Option<String>,
    query: Option<String>,
    cookie: Option<String>,
    client_header: Option<String>,
    #[serde(default)]
    keep: bool,
}

/// Keys and where they are sent, compiled; clones share the keys.
#[derive(Clone, Debug)]
pub(crate) struct ApiKey {
    keys: Arc<ApiKeys>,
    place: Place,
    edits: Edits,
    client_header: Option<Box<str>>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["pass", "missing", "refused"];
const PASS: usize = 0;
const MISSING: usize = 1;
const REFUSED: usize = 2;

impl Step for ApiKey {
    type Options = Options;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let keys = keys_of(&options.clients, problems);
        let (header, query, cookie) = (&options.header, &options.query, &options.cookie);
        let place = Place::of(header.as_deref(), query.as_deref(), cookie.as_deref());
        if place.is_none() {
            let message = "write one of `header`, `query` and `cookie`";
            problems.push(("api_key".into(), message.into()));
        }
        let edits = Edits::compile(&edits_of(options), Direction::Request, "api_key", problems);
        let step = Self {
            keys: Arc::new(keys?),
            place: place?,
            edits,
            client_header: options.client_header.as_ref().map(|h| h.to_ascii_lowercase().into()),
            results: None,
        };
        (problems.len() == before).then_some(step)
    }

    fn bind(&mut self, place: &Bound<'_>) {
        self.results = Some(place.results(RESULTS));
    }

    fn edits(&self) -> Composed<'_> {
        Composed { request: Some(&self.edits), ..Composed::default() }
    }

    fn presume(&self, run: &mut Run<'_, '_, '_>) {
        if let Some(name) = &self.client_header {
            run.request_line(name, presumed::KEY.as_bytes());
        }
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let results = self.results.as_deref();
        let sent = self.place.read(run.view, &mut run.out.scratch);
        let client = match sent {
            Sent::None => {
                run.count(results, MISSING);
                return Ok(refusals::challenged(
                    run,
                    (401, "api-key-missing"),
                    CHALLENGE,
                    "an API key is needed here",
                ));
            }
            Sent::Several => None,
            Sent::One => self.keys.client(&run.out.scratch),
        };
        run.count(results, if client.is_some() { PASS } else { REFUSED });
        let client = client.ok_or(UNKNOWN)?;
        if let Some(header) = &self.client_header {
            run.request_line(header, client.as_bytes());
        }
        Ok(Flow::Next)
    }
}

/// The edits of header lines: who a client says to be goes, and so does the key.
fn edits_of(options: &Options) -> HeaderEdits {
    let mut remove: Vec<String> = options.client_header.iter().cloned().collect();
    remove.extend(options.header.clone().filter(|_| !options.keep));
    HeaderEdits { remove, ..HeaderEdits::default() }
}

fn keys_of(clients: &BTreeMap<String, Vec<String>>, problems: &mut Problems) -> Option<ApiKeys> {
    let mut sums = Vec::new();
    for (name, keys) in clients {
        for (index, key) in keys.iter().enumerate() {
            match sum_of(key) {
                Some(sum) => sums.push((sum, name.as_str().into())),
                None => problems.push((
                    format!("api_key.clients.{name}[{index}]"),
                    "this is no SHA-256; write 64 hex digits".into(),
                )),
            }
        }
    }
    if clients.values().all(Vec::is_empty) {
        problems.push(("api_key.clients".into(), "there is no key; write one".into()));
        return None;
    }
    ApiKeys::new(sums)
        .map_err(|(one, other)| {
            let message = format!("`{one}` and `{other}` have one key; give each its own");
            problems.push(("api_key.clients".into(), message));
        })
        .ok()
}

fn sum_of(text: &str) -> Option<[u8; 32]> {
    hg_plan::Digest::parse(text).map(|digest| digest.0)
}

#[cfg(test)]
mod tests;
