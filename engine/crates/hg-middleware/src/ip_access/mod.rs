//! `ip_access`: who may pass by the address alone.

use crate::context::Place;
use crate::keep::Results;
use crate::step::{Flow, Problems, Run, Step};
use hg_access::{IpRules, Verdict};
use hg_proto::Reject;
use ipnet::IpNet;
use serde::Deserialize;
use std::sync::Arc;

/// The address is in `deny`, or `allow` does not have it.
const DENIED: Reject = Reject {
    status: 403,
    reason: "http_request_denied",
    code: "ip-access",
    detail: "this address may not pass here",
};

/// Networks, as in the plan.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    #[serde(default)]
    allow: Vec<String>,
    #[serde(default)]
    deny: Vec<String>,
}

/// Rules, compiled; clones share the networks.
#[derive(Clone, Debug)]
pub(crate) struct IpAccess {
    rules: Arc<IpRules>,
    results: Option<Arc<Results>>,
}

const RESULTS: &[&str] = &["pass", "denied", "not_allowed"];
const PASS: usize = 0;
/// `deny` has the address.
const IN_DENY: usize = 1;
/// `allow` does not have it.
const NOT_ALLOWED: usize = 2;

impl Step for IpAccess {
    type Options = Options;
    const ANSWERS: bool = false;
    const COUNTS: bool = true;

    fn compile(options: &Options, problems: &mut Problems) -> Option<Self> {
        let before = problems.len();
        let allow = networks(&options.allow, "allow", problems);
        let deny = networks(&options.deny, "deny", problems);
        if options.allow.is_empty() && options.deny.is_empty() {
            let message = "there is no network; write `allow`, `deny` or both";
            problems.push(("ip_access".into(), message.into()));
        }
        let rules = || Arc::new(IpRules::new(&allow, &deny));
        (problems.len() == before).then(|| Self { rules: rules(), results: None })
    }

    fn bind(&mut self, place: &Place<'_>) {
        self.results = Some(place.results(RESULTS));
    }

    fn request(&self, run: &mut Run<'_, '_, '_>) -> Result<Flow, Reject> {
        let (result, flow) = match self.rules.judge(run.view.client.ip) {
            Verdict::Allowed => (PASS, Ok(Flow::Next)),
            Verdict::Denied => (IN_DENY, Err(DENIED)),
            Verdict::NotAllowed => (NOT_ALLOWED, Err(DENIED)),
        };
        run.count(self.results.as_deref(), result);
        flow
    }
}

fn networks(texts: &[String], key: &str, problems: &mut Problems) -> Vec<IpNet> {
    let mut found = Vec::with_capacity(texts.len());
    for (index, text) in texts.iter().enumerate() {
        match text.parse::<IpNet>() {
            Ok(network) => found.push(network),
            Err(_) => problems.push((
                format!("ip_access.{key}[{index}]"),
                format!("`{text}` is not a network; write 192.0.2.0/24 or 2001:db8::/32"),
            )),
        }
    }
    found
}

#[cfg(test)]
mod tests;
