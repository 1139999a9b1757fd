//! The request of a check and the verdict on its answer; no sockets here.

use super::plain;
use hg_plan::{HealthCheck, HttpCheck, UpstreamProtocol};
use hg_proto::{
    BodyReader, HeaderSlots, Limits, Method, Parse, is_token, is_worth_parsing, parse_response,
};
use hg_resilience::Reason;

/// The first bytes of a body in which a text is looked for.
pub(super) const BODY: usize = 64 * 1024;
/// Interim answers before the final one.
pub(super) const INTERIM: u32 = 16;

/// The failure of a check: the reason, and what it found, as a clause.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    pub(super) reason: Reason,
    pub(super) found: String,
}

impl Failure {
    pub(super) fn new(reason: Reason, found: impl Into<String>) -> Self {
        Self { reason, found: found.into() }
    }
}

/// Returns what is wrong with a check: the path in the upstream, and the text.
pub(crate) fn problems(check: &HealthCheck, protocol: UpstreamProtocol) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut add = |path: &str, text: &str| {
        found.push((format!("health.check.{path}"), text.to_owned()));
    };
    if check.interval_ms == 0 || check.timeout_ms == 0 {
        add("interval_ms", "interval and timeout of a check are never 0; write a time");
    }
    let visible = |text: &str| text.bytes().all(|b| b.is_ascii_graphic());
    if let Some(grpc) = &check.grpc {
        if check.http.is_some() {
            add("grpc", "a check sends one request; leave `http` or `grpc` out");
        }
        if grpc.host.as_deref().is_some_and(|host| host.is_empty() || !visible(host)) {
            add("grpc.host", "that is no host; write one such as `a.example`");
        }
        if protocol == UpstreamProtocol::Http1 {
            add("grpc", "gRPC needs HTTP/2; write `h2` or `h2c` as protocol of the upstream");
        }
    }
    if let Some((path, text)) = check.bytes.as_ref().and_then(|b| plain::problem(b, check)) {
        add(path, &text);
    }
    let Some(http) = &check.http else { return found };
    if !http.path.starts_with('/') || !visible(&http.path) {
        add("http.path", "the path has no leading `/` or holds a blank; write a path such as `/`");
    }
    if !is_token(http.method.as_bytes()) {
        add("http.method", "that is no method; write one such as `GET`");
    }
    if http.host.as_deref().is_some_and(|host| host.is_empty() || !visible(host)) {
        add("http.host", "that is no host; write one such as `a.example`");
    }
    let is_value = |value: &str| value.bytes().all(|b| b == b'\t' || (b >= b' ' && b != 0x7f));
    if !http.headers.iter().all(|(name, value)| is_token(name.as_bytes()) && is_value(value)) {
        add("http.headers", "a header line has a name or a value that HTTP does not allow");
    }
    if http.statuses.is_empty() || http.statuses.iter().any(|(first, last)| first > last) {
        add("http.statuses", "no status can pass; write ranges such as 200 to 399");
    }
    found
}

/// Writes the request of a check.
pub(super) fn request(http: &HttpCheck, authority: &str) -> Vec<u8> {
    let host = http.host.as_deref().unwrap_or(authority);
    let mut text = format!("{} {} HTTP/1.1\r\nHost: {host}\r\n", http.method, http.path);
    for (name, value) in &http.headers {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    if !http.headers.keys().any(|name| name.eq_ignore_ascii_case("user-agent")) {
        text.push_str("User-Agent: headgate-check\r\n");
    }
    text.push_str("Connection: close\r\n\r\n");
    text.into_bytes()
}

/// An answer while it comes in.
#[derive(Default)]
pub(super) struct Answer {
    head: Vec<u8>,
    body: Vec<u8>,
    reader: Option<BodyReader>,
    interim: u32,
}

impl Answer {
    /// Takes the next bytes; returns whether the check has passed already.
    pub(super) fn feed(
        &mut self,
        http: &HttpCheck,
        limits: &Limits,
        bytes: &mut [u8],
    ) -> Result<bool, Failure> {
        if self.reader.is_some() {
            return self.feed_body(http, bytes);
        }
        let before = self.head.len();
        self.head.extend_from_slice(bytes);
        if before > 0 && !is_worth_parsing(before, bytes, limits) {
            return Ok(false);
        }
        loop {
            let broken = |why: String| Failure::new(Reason::CheckProtocol, why);
            let mut slots = HeaderSlots::new();
            let parsed = parse_response(&self.head, &mut slots, limits, Method::of(&http.method));
            let head = match parsed {
                Ok(Parse::Partial) => return Ok(false),
                Ok(Parse::Complete(head)) => head,
                Err(reject) => {
                    return Err(broken(format!("the answer is no HTTP: {}", reject.detail)));
                }
            };
            let (len, status, framing) = (head.head_len, head.status, head.framing);
            if head.is_interim {
                self.interim += 1;
                if self.interim > INTERIM {
                    return Err(broken("there is no end of interim answers".into()));
                }
                self.head.drain(..len);
                continue;
            }
            if !http.statuses.iter().any(|(first, last)| (*first..=*last).contains(&status)) {
                return Err(Failure::new(Reason::CheckStatus, format!("the status is {status}")));
            }
            self.reader = Some(framing.into());
            let mut rest = self.head.split_off(len);
            return self.feed_body(http, &mut rest);
        }
    }

    fn feed_body(&mut self, http: &HttpCheck, bytes: &mut [u8]) -> Result<bool, Failure> {
        let (Some(text), Some(reader)) = (&http.body, self.reader.as_mut()) else {
            return Ok(http.body.is_none());
        };
        let mut left = bytes;
        loop {
            let fed = reader.feed(left).map_err(|reject| {
                Failure::new(
                    Reason::CheckProtocol,
                    format!("the body is broken: {}", reject.detail),
                )
            })?;
            self.body.extend_from_slice(left.get(..fed.data_len).unwrap_or_default());
            if contains(&self.body, text.as_bytes()) {
                return Ok(true);
            }
            if fed.done || self.body.len() >= BODY {
                return Err(without_text());
            }
            left = left.get_mut(fed.consumed..).unwrap_or_default();
            if left.is_empty() || fed.consumed == 0 {
                return Ok(false);
            }
        }
    }

    /// Handles the end of the connection before the check has passed.
    pub(super) fn end(&self) -> Failure {
        match &self.reader {
            Some(reader) if reader.eof().is_ok() => without_text(),
            Some(_) => Failure::new(Reason::CheckLost, "the connection closed within the body"),
            None => Failure::new(Reason::CheckLost, "the connection closed before the answer"),
        }
    }
}

pub(super) fn without_text() -> Failure {
    Failure::new(Reason::CheckBody, "the body does not contain the text that is looked for")
}

pub(super) fn contains(body: &[u8], text: &[u8]) -> bool {
    let end = body.len().min(BODY);
    let body = body.get(..end).unwrap_or_default();
    text.is_empty() || body.windows(text.len()).any(|at| at == text)
}

#[cfg(test)]
mod tests;
