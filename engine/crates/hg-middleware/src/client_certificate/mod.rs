//! `client_certificate`: who may pass by the certificate of its connection.

mod patterns;

use crate::context::Place;
use crate::keep::Results;
use crate::step::{Flow, Problems, Run, Step};
use crate::view;
use hg_plan::Digest;
use hg_proto::Reject;
use patterns::{NamePattern, SubjectPattern};
use serde::Deserialize;
use std::sync::Arc;

const DENIED: Reject = Reject {
    status: 403,
    reason: "http_request_denied",
    code: "certificate-refused",
    detail: "this client certificate may not pass here",
};
const MISSING: Reject =
    Reject { code: "certificate-missing", detail: "a client certificate is needed here", ..DENIED };
const UNREADABLE: Reject = Reject {
    status: 503,
    reason: "proxy_internal_error",
    code: "certificate-unreadable",
    detail: "the names in this client certificate cannot be read",
};

/// Rules, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    #[serde(default)]
    optional: bool,
    #[serde(default)]
    subjects: Vec<String>,
    #[serde(default)]
    sans: Vec<String>,
    /// SHA-256 of the DER form, in lower-case hex.
    #[serde(default)]
    fingerprints: Vec<String>,
}

/// Rules, compiled; clones share them. A list that is empty asks for nothing.
#[derive(Clone, Debug)]
pub(crate) struct ClientCertificate {
    is_optional: bool,
    rules: Arc<Rules>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["pass", "anonymous", "missing", "refused", "unreadable"];
const PASS: usize = 0;
/// There is none, and there need not be one.
const ANONYMOUS: usize = 1;
const NONE: usize = 2;
const REFUSED: usize = 3;
const NOT_READ: usize = 4;

#[derive(Debug)]
struct Rules {
    subjects: Box<[SubjectPattern]>,
    sans: Box<[NamePattern]>,
    /// Sorted.
    fingerprints: Box<[[u8; 32]]>,
}

impl Step for ClientCertificate {
    type Options = Options;
    const ANSWERS: bool = false;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let subjects = parsed(&options.subjects, "subjects", SubjectPattern::parse, problems);
        let sans = parsed(&options.sans, "sans", NamePattern::parse, problems);
        let mut fingerprints = parsed(&options.fingerprints, "fingerprints", fingerprint, problems);
        fingerprints.sort_unstable();
        let rules = Arc::new(Rules {
            subjects: subjects.into(),
            sans: sans.into(),
            fingerprints: fingerprints.into(),
        });
        (problems.len() == before).then_some(Self {
            is_optional: options.optional,
            rules,
            results: None,
        })
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.results = Some(place.results(RESULTS));
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let (result, judged) = match run.view.client.certificate {
            Some(certificate) => match self.rules.judge(&certificate) {
                Ok(()) => (PASS, Ok(())),
                Err(reject) if reject.code == UNREADABLE.code => (NOT_READ, Err(reject)),
                Err(reject) => (REFUSED, Err(reject)),
            },
            None if self.is_optional => (ANONYMOUS, Ok(())),
            None => (NONE, Err(MISSING)),
        };
        run.count(self.results.as_deref(), result);
        judged.map(|()| Flow::Next)
    }
}

impl Rules {
    /// Lets a certificate pass that every list with something in it knows.
    fn judge(&self, one: &view::ClientCertificate<'_>) -> Result<(), Reject> {
        let print = &one.fingerprint.0;
        if !self.fingerprints.is_empty() && self.fingerprints.binary_search(print).is_err() {
            return Err(DENIED);
        }
        if !self.subjects.is_empty() && !self.subjects.iter().any(|p| p.fits(one.subject)) {
            return Err(DENIED);
        }
        if self.sans.is_empty() {
            return Ok(());
        }
        let names = one.names.ok_or(UNREADABLE)?;
        let fits = |pattern: &NamePattern| match pattern.is_spiffe() {
            // Beside another URI it is nobody's identity.
            true => !one.spiffe.is_empty() && names.iter().any(|name| pattern.fits(name)),
            false => names.iter().any(|name| pattern.fits(name)),
        };
        if self.sans.iter().any(fits) { Ok(()) } else { Err(DENIED) }
    }
}

fn fingerprint(text: &str) -> Result<[u8; 32], String> {
    Digest::parse(text).map(|digest| digest.0).ok_or_else(|| {
        format!("`{text}` is not a fingerprint; write the SHA-256 of a certificate, 64 hex digits")
    })
}

fn parsed<T>(
    texts: &[String],
    key: &str,
    parse: impl Fn(&str) -> Result<T, String>,
    problems: &mut Problems,
) -> Vec<T> {
    let mut found = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match parse(text) {
            Ok(one) => found.push(one),
            Err(message) => {
                problems.push((format!("client_certificate.{key}[{index}]"), message));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
