//! The spans of a request that has ended, with the attributes of OpenTelemetry's semantic conventions
//! for HTTP (1.23 and later).

use super::recording::{Part, Recording, Try, What};
use crate::worker::Worker;
use crate::worker::exchange::Exchange;
use hg_otlp::Attributes;
use hg_proto::client::IpText;
use hg_trace::{Context, Kind, Span};

/// The data that the parts of a request have in common.
struct Whole<'a> {
    e: &'a Exchange,
    context: Context,
    scheme: &'a str,
    /// Converts a time of this process to microseconds since 1970-01-01 UTC.
    unix_us: &'a dyn Fn(u64) -> u64,
    now_us: u64,
}

impl Worker {
    /// Writes the spans of an exchange that has ended.
    pub(in super::super) fn write_spans(&mut self, e: &Exchange) {
        let Some((context, recording)) = e.log.trace.recording() else {
            return;
        };
        let is_tls = self.clients.get(e.client).is_some_and(|c| c.conn.is_tls());
        let (now_us, now_unix_us) = (self.now_us, hg_net::unix_micros());
        let unix_us = |us: u64| now_unix_us.saturating_sub(now_us.saturating_sub(us));
        let scheme = if is_tls { "https" } else { "http" };
        let whole = Whole { e, context, scheme, unix_us: &unix_us, now_us };
        let traces = &mut self.records.traces;
        whole.span(recording).write(traces, |more| whole.describe(more));
        for part in &recording.parts {
            whole.part(part).write(traces, |more| match &part.what {
                What::Wait(_) => {}
                What::Try(one) => whole.describe_try(one, more),
            });
        }
    }
}

impl Whole<'_> {
    fn span(&self, recording: &Recording) -> Span<'_> {
        let e = self.e;
        Span {
            trace_id: self.context.trace_id,
            span_id: self.context.span_id,
            parent: recording.parent,
            is_parent_remote: recording.parent != 0,
            flags: self.context.flags,
            kind: Kind::Server,
            name: (self.method(), e.route().map_or("", |r| &r.name)),
            unix_us: ((self.unix_us)(e.start_us), (self.unix_us)(self.now_us)),
            is_error: e.status >= 500,
        }
    }

    fn part(&self, part: &Part) -> Span<'_> {
        let ended_us = if part.ended_us == 0 { self.now_us } else { part.ended_us };
        let (kind, name, is_error) = match &part.what {
            What::Wait(kind) => (Kind::Internal, *kind, false),
            What::Try(one) => (Kind::Client, self.method(), error_of(one).is_some()),
        };
        Span {
            trace_id: self.context.trace_id,
            span_id: part.span_id,
            parent: self.context.span_id,
            is_parent_remote: false,
            flags: self.context.flags,
            kind,
            name: (name, ""),
            unix_us: ((self.unix_us)(part.began_us), (self.unix_us)(ended_us)),
            is_error,
        }
    }

    /// Returns the method, or the word of the conventions for any that is not known.
    fn method(&self) -> &'static str {
        match self.e.method {
            hg_proto::Method::Other(_) => "_OTHER",
            known => known.as_str(),
        }
    }

    fn describe_method(&self, more: &mut Attributes<'_>) {
        more.text("http.request.method", self.method().as_bytes());
        if matches!(self.e.method, hg_proto::Method::Other(_)) {
            more.text("http.request.method_original", self.e.method_as_sent().as_bytes());
        }
    }

    fn describe(&self, more: &mut Attributes<'_>) {
        let e = self.e;
        let target = e.log.part(0);
        let path = target.split(|b| *b == b'?').next().unwrap_or_default();
        let version = match e.version {
            hg_proto::Version::H10 => "1.0",
            hg_proto::Version::H11 => "1.1",
            hg_proto::Version::H2 => "2",
        };
        self.describe_method(more);
        more.text("url.path", path)
            .text("url.scheme", self.scheme.as_bytes())
            .text("http.route", e.route().map_or("", |r| &r.name).as_bytes())
            .server(e.log.part(1))
            .text("client.address", IpText::new(e.client_ip).as_bytes())
            .text("network.protocol.version", version.as_bytes())
            .text("user_agent.original", e.log.part(2))
            .text("headgate.request_id", e.id().as_bytes())
            .text("headgate.upstream", e.entry().map_or("", |u| &u.name).as_bytes())
            .text("headgate.reason", e.reason.as_bytes());
        describe_end(more, e.status, (e.status >= 500).then_some(e.reason));
    }

    fn describe_try(&self, one: &Try, more: &mut Attributes<'_>) {
        self.describe_method(more);
        match one.endpoint.strip_prefix("unix:") {
            Some(path) => more.text("server.address", path.as_bytes()),
            None => more.server(one.endpoint.as_bytes()),
        };
        more.text("headgate.upstream", self.e.entry().map_or("", |u| &u.name).as_bytes());
        if one.repeats > 0 {
            more.number("http.request.resend_count", one.repeats.into());
        }
        more.flag("headgate.connection.reused", one.is_reused);
        describe_end(more, one.status, error_of(one));
    }
}

/// Says how something ended: the status, and the kind of error, whose word is the status where there
/// is no other.
fn describe_end(more: &mut Attributes<'_>, status: u16, error: Option<&str>) {
    if status > 0 {
        more.number("http.response.status_code", status.into());
    }
    match error {
        Some("") => more.text("error.type", status.to_string().as_bytes()),
        Some(word) => more.text("error.type", word.as_bytes()),
        None => more,
    };
}

/// Returns the word for how a try failed, if it did; empty = its status says so.
fn error_of(one: &Try) -> Option<&'static str> {
    match one.outcome {
        _ if one.status >= 400 => Some(""),
        Some(outcome) if outcome.is_local() => Some(outcome.as_str()),
        _ => None,
    }
}
