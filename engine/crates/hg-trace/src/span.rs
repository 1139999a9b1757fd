//! Spans in OTLP (opentelemetry-proto 1.x, `trace.proto`), written where they come about: a worker
//! writes each span once, as a field of `ScopeSpans`, and nothing decodes it before the collector.

use crate::wire;

/// Most bytes of a text in an attribute.
const TEXT_BYTES: usize = 2048;

/// What a span stands for (`SpanKind`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// Something within.
    Internal = 1,
    /// A request of a client.
    Server = 2,
    /// A request to an endpoint.
    Client = 3,
}

/// A span without its attributes.
#[derive(Clone, Copy, Debug)]
pub struct Span<'a> {
    /// Its trace; never 0.
    pub trace_id: u128,
    /// Itself; never 0.
    pub span_id: u64,
    /// The span that it is a part of; 0 = none.
    pub parent: u64,
    /// Whether another process made that one.
    pub is_parent_remote: bool,
    /// The flags of the trace.
    pub flags: u8,
    /// What it stands for.
    pub kind: Kind,
    /// Its name, in two parts with a blank between them; the second may be empty.
    pub name: (&'a str, &'a str),
    /// From when to when it took, microseconds since 1970-01-01 UTC.
    pub unix_us: (u64, u64),
    /// Whether it failed.
    pub is_error: bool,
}

/// Writes the attributes of a span.
pub struct Attributes<'a>(&'a mut Vec<u8>);

impl Attributes<'_> {
    /// Writes a text, cut at 2 KiB; an empty one is left out.
    pub fn text(&mut self, key: &str, value: &[u8]) -> &mut Self {
        if !value.is_empty() {
            self.write(key, |out| wire::text(out, 1, value, TEXT_BYTES));
        }
        self
    }

    /// Writes a number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.write(key, |out| wire::number(out, 3, value));
        self
    }

    /// Writes true or false.
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.write(key, |out| wire::number(out, 2, value.into()));
        self
    }

    fn write(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        wire::nested(self.0, 9, |out| attribute(out, key, value));
    }
}

/// Writes the fields of a `KeyValue`.
pub(crate) fn attribute(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    wire::bytes(out, 1, key.as_bytes());
    wire::nested(out, 2, value);
}

/// Appends a span as a field of `ScopeSpans`.
pub(crate) fn write(out: &mut Vec<u8>, span: &Span<'_>, more: impl FnOnce(&mut Attributes<'_>)) {
    const HAS_REMOTE: u32 = 0x100;
    const IS_REMOTE: u32 = 0x200;
    wire::nested(out, 2, |out| {
        wire::bytes(out, 1, &span.trace_id.to_be_bytes());
        wire::bytes(out, 2, &span.span_id.to_be_bytes());
        if span.parent != 0 {
            wire::bytes(out, 4, &span.parent.to_be_bytes());
        }
        let (first, second) = span.name;
        let blank = usize::from(!second.is_empty());
        wire::head(out, 5, first.len() + blank + second.len());
        out.extend_from_slice(first.as_bytes());
        out.extend_from_slice(" ".get(..blank).unwrap_or_default().as_bytes());
        out.extend_from_slice(second.as_bytes());
        wire::number(out, 6, span.kind as u64);
        wire::fixed64(out, 7, span.unix_us.0.saturating_mul(1_000));
        wire::fixed64(out, 8, span.unix_us.1.max(span.unix_us.0).saturating_mul(1_000));
        more(&mut Attributes(out));
        if span.is_error {
            wire::nested(out, 15, |out| wire::number(out, 3, 2));
        }
        let remote = if span.is_parent_remote { IS_REMOTE } else { 0 };
        wire::fixed32(out, 16, u32::from(span.flags) | HAS_REMOTE | remote);
    });
}

/// Returns what comes before spans of so many bytes, so that both are an
/// `ExportTraceServiceRequest`.
pub(crate) fn request_head(service: &str, spans: usize) -> Vec<u8> {
    let mut scope = Vec::new();
    wire::nested(&mut scope, 1, |out| {
        wire::bytes(out, 1, b"headgate");
        wire::bytes(out, 2, env!("CARGO_PKG_VERSION").as_bytes());
    });
    let mut resource = Vec::new();
    wire::nested(&mut resource, 1, |out| {
        let one = |out: &mut Vec<u8>| {
            attribute(out, "service.name", |out| wire::bytes(out, 1, service.as_bytes()))
        };
        wire::nested(out, 1, one);
    });
    wire::head(&mut resource, 2, scope.len() + spans);
    resource.extend_from_slice(&scope);
    let mut out = Vec::new();
    wire::head(&mut out, 1, resource.len() + spans);
    out.extend_from_slice(&resource);
    out
}
