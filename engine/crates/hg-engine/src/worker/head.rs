//! The head for an upstream: rebuilt from what was parsed, never copied whole.

use super::decode::is_of_coding;
use super::exchange::Exchange;
use super::trace::Told;
use crate::snapshot::UpstreamEntry;
use hg_middleware::{HeaderProgram, RequestView};
use hg_plan::HostHeader;
use hg_proto::client::Forwarding;
use hg_proto::write::{self, Persistence};
use hg_proto::{Framing, Known, RequestHead};

/// Buffers for names in their canonical form.
pub(crate) struct Names {
    pub(crate) path: String,
    pub(crate) host: [u8; hg_proto::host::MAX_NAME_BYTES],
}

impl Default for Names {
    fn default() -> Self {
        Self { path: String::new(), host: [0; hg_proto::host::MAX_NAME_BYTES] }
    }
}

/// The Date of our own answers, rendered once a second.
#[derive(Default)]
pub(crate) struct Date {
    second: u64,
    text: Option<[u8; 29]>,
}

impl Date {
    pub(crate) fn text(&mut self) -> [u8; 29] {
        let second = hg_net::unix_micros() / 1_000_000;
        match self.text {
            Some(text) if second == self.second => text,
            _ => {
                let text = write::date(second);
                self.second = second;
                self.text = Some(text);
                text
            }
        }
    }
}

/// The parts of an upstream head.
pub(crate) struct Parts<'a> {
    pub(crate) head: &'a RequestHead<'a, 'a>,
    pub(crate) view: &'a RequestView<'a>,
    /// Path and query after rewriting, or as routed.
    pub(crate) target: (&'a str, Option<&'a str>),
    /// The rewritten Host, if a middleware set one.
    pub(crate) host: Option<&'a str>,
    pub(crate) upstream: &'a UpstreamEntry,
    pub(crate) edits: &'a HeaderProgram,
    /// Lines that middlewares add.
    pub(crate) added: &'a [u8],
    /// The trace that is told instead of the client's lines.
    pub(crate) trace: Option<Told>,
    pub(crate) forwarding: Forwarding<'a>,
    pub(crate) upgrade: bool,
    /// True if its body leaves without its coding.
    pub(crate) decodes: bool,
    /// The key of a WebSocket whose client has none.
    pub(crate) upgrade_key: Option<&'a [u8]>,
}

/// By this header an upstream knows a copy; its value is the route's name.
const MARK: &str = "x-headgate-mirror";

/// Appends the head to `out`; returns where the Host value is if it follows the endpoint. `copy_of`
/// is the route whose request it is a copy of, if it is one.
pub(crate) fn write_upstream_head(
    out: &mut Vec<u8>,
    parts: &Parts<'_>,
    copy_of: Option<&str>,
) -> Option<(usize, usize)> {
    let head = parts.head;
    let (path, query) = parts.target;
    write::request_line(out, head.method.as_str(), path, query);
    out.extend_from_slice(b"host: ");
    let at = out.len();
    let host = match (&parts.upstream.host_header, parts.host) {
        (_, Some(h)) => Some(h),
        (HostHeader::Pass, None) if !head.host.is_empty() => Some(head.host),
        (HostHeader::Literal(h), None) => Some(h.as_str()),
        (HostHeader::Pass | HostHeader::Endpoint, None) => None,
    };
    out.extend_from_slice(host.unwrap_or_default().as_bytes());
    out.extend_from_slice(b"\r\n");
    write::fields(out, &head.fields, |f| {
        parts.forwarding.drops(f)
            || matches!(f.known, Known::Expect | Known::XRequestId)
            || parts.edits.drops_spelling(f.name.as_bytes())
            || parts.trace.is_some_and(|told| told.drops(f.known, f.name))
            || (parts.decodes && is_of_coding(f.name.as_bytes()))
            || (copy_of.is_some() && f.name.eq_ignore_ascii_case(MARK))
    });
    if let Some(route) = copy_of {
        write::line(out, MARK, route.as_bytes());
    }
    write_client(out, parts);
    out.extend_from_slice(parts.added);
    parts.edits.append(parts.view, hg_net::unix_micros, out);
    if parts.upgrade {
        if let Some(key) = parts.upgrade_key {
            write::line(out, "sec-websocket-key", key);
        }
        write::connection(out, Persistence::WebSocket);
    } else {
        if head.connection.te_trailers {
            out.extend_from_slice(b"te: trailers\r\nconnection: te\r\n");
        }
        let framing = if parts.decodes { Framing::Chunked } else { head.framing };
        write::request_framing(out, framing.stated(head.method));
    }
    write::end(out);
    host.is_none().then_some((at, 0))
}

/// Returns a request's head as HTTP/1 text, to be parsed again.
pub(crate) fn as_text(head: &RequestHead<'_, '_>) -> Vec<u8> {
    let mut out = Vec::new();
    write::request_line(&mut out, head.method.as_str(), head.path, head.query);
    write::line(&mut out, "host", head.host.as_bytes());
    write::fields(&mut out, &head.fields, |_| false);
    write::end(&mut out);
    out
}

/// Names that [`Forwarding::write`] sets, the request id, and the place in a trace.
const OURS: [&str; 6] = [
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "x-real-ip",
    "x-request-id",
    "traceparent",
];

fn write_client(out: &mut Vec<u8>, parts: &Parts<'_>) {
    let start = out.len();
    parts.forwarding.write(out, &parts.head.fields);
    write::line(out, "x-request-id", parts.view.request_id.as_bytes());
    if let Some(told) = parts.trace {
        write::line(out, "traceparent", &told.context.text());
    }
    if !parts.edits.is_empty() && OURS.iter().any(|n| parts.edits.drops(n.as_bytes())) {
        // If a middleware sets or removes some of them, its edit wins.
        let lines = out.split_off(start);
        for line in lines.split_inclusive(|b| *b == b'\n') {
            let name = line.split(|b| *b == b':').next().unwrap_or_default();
            if !parts.edits.drops(name) {
                out.extend_from_slice(line);
            }
        }
    }
}

impl Exchange {
    /// Puts the endpoint's address in the place of the Host value if that follows the endpoint. Each
    /// sending needs it: of a try and its hedge, which have one head, each has its own endpoint.
    pub(crate) fn name_endpoint(&mut self) {
        let (Some(at), Some(endpoint)) = (&mut self.host_at, &self.endpoint) else {
            return;
        };
        set_host(&mut self.head, at, &endpoint.address);
    }
}

/// Puts the endpoint's address in the place of the Host value.
fn set_host(head: &mut Vec<u8>, at: &mut (usize, usize), address: &str) {
    let host = if address.starts_with("unix:") { "localhost" } else { address };
    head.splice(at.0..at.0 + at.1, host.bytes());
    at.1 = host.len();
}

#[cfg(test)]
mod tests;
