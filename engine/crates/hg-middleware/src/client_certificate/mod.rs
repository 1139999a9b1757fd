//! `client_certificate`: who may pass by the certificate of its connection.

use crate::context::Place;
use crate::keep::Results;
use crate::step::{Flow, Problems, Run, Step};
use hg_plan::CertificateMatch;
use hg_proto::Reject;
use hg_route::{CertificateRules, Misfit};
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
    rules: Arc<CertificateRules>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["pass", "anonymous", "missing", "refused", "unreadable"];
const PASS: usize = 0;
/// There is none, and there need not be one.
const ANONYMOUS: usize = 1;
const NONE: usize = 2;
const REFUSED: usize = 3;
const NOT_READ: usize = 4;

impl Step for ClientCertificate {
    type Options = Options;
    const ANSWERS: bool = false;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let lists = CertificateMatch {
            subjects: options.subjects.clone(),
            sans: options.sans.clone(),
            spiffe: Vec::new(),
            fingerprints: options.fingerprints.clone(),
        };
        let rules = CertificateRules::new(&lists, &mut |at, message| {
            problems.push((format!("client_certificate.{at}"), message));
        });
        (problems.len() == before).then_some(Self {
            is_optional: options.optional,
            rules: Arc::new(rules),
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
                Err(Misfit::Unreadable) => (NOT_READ, Err(UNREADABLE)),
                Err(_) => (REFUSED, Err(DENIED)),
            },
            None if self.is_optional => (ANONYMOUS, Ok(())),
            None => (NONE, Err(MISSING)),
        };
        run.count(self.results.as_deref(), result);
        judged.map(|()| Flow::Next)
    }
}

#[cfg(test)]
mod tests;
