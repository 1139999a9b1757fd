//! Spans in OTLP (opentelemetry-proto 1.x, `trace.proto`), written where they come about: a worker
//! writes each span once, as a field of `ScopeSpans`, and nothing decodes it before the collector.

use hg_otlp::{Attributes, ExportWriter, wire};

/// The operation that a span stands for (`SpanKind`).
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
    /// True if another process made that one.
    pub is_parent_remote: bool,
    /// The flags of the trace.
    pub flags: u8,
    /// The operation that it stands for.
    pub kind: Kind,
    /// Its name, in two parts with a blank between them; the second may be empty.
    pub name: (&'a str, &'a str),
    /// Its start and its end, microseconds since 1970-01-01 UTC.
    pub unix_us: (u64, u64),
    /// True if it failed.
    pub is_error: bool,
}

impl Span<'_> {
    /// Writes it into a worker's buffer for the collector, with the attributes that `more` adds.
    pub fn write(&self, to: &mut ExportWriter, more: impl FnOnce(&mut Attributes<'_>)) {
        to.append(|out| self.push(out, more));
    }

    /// Appends it as a field of `ScopeSpans`.
    fn push(&self, out: &mut Vec<u8>, more: impl FnOnce(&mut Attributes<'_>)) {
        const HAS_REMOTE: u32 = 0x100;
        const IS_REMOTE: u32 = 0x200;
        wire::nested(out, 2, |out| {
            wire::bytes(out, 1, &self.trace_id.to_be_bytes());
            wire::bytes(out, 2, &self.span_id.to_be_bytes());
            if self.parent != 0 {
                wire::bytes(out, 4, &self.parent.to_be_bytes());
            }
            let (first, second) = self.name;
            let blank = usize::from(!second.is_empty());
            wire::head(out, 5, first.len() + blank + second.len());
            out.extend_from_slice(first.as_bytes());
            out.extend_from_slice(" ".get(..blank).unwrap_or_default().as_bytes());
            out.extend_from_slice(second.as_bytes());
            wire::number(out, 6, self.kind as u64);
            wire::fixed64(out, 7, self.unix_us.0.saturating_mul(1_000));
            wire::fixed64(out, 8, self.unix_us.1.max(self.unix_us.0).saturating_mul(1_000));
            more(&mut Attributes::new(out, 9));
            if self.is_error {
                wire::nested(out, 15, |out| wire::number(out, 3, 2));
            }
            let remote = if self.is_parent_remote { IS_REMOTE } else { 0 };
            wire::fixed32(out, 16, u32::from(self.flags) | HAS_REMOTE | remote);
        });
    }
}
