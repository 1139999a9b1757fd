//! Records the parser's calls as a list of events, without white space and separators.

use super::FirstFault;
use crate::MAX_DEPTH;
use crate::fault::{Fault, too_deep};
use toml_parser::decoder::Encoding;
use toml_parser::lexer::Token;
use toml_parser::parser::{EventReceiver, parse_document};
use toml_parser::{ErrorSink, ParseError, Raw, Source, Span};

/// The kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum What {
    /// `[`; keys follow, then [`What::HeaderEnd`].
    Header,
    /// `[[`; keys follow, then [`What::HeaderEnd`].
    ArrayHeader,
    HeaderEnd,
    Key,
    Scalar,
    ListBegin,
    ListEnd,
    TableBegin,
    TableEnd,
}

/// One event and its range of bytes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Event {
    pub what: What,
    encoding: Option<Encoding>,
    start: u32,
    end: u32,
}

impl Event {
    pub(super) fn start(&self) -> usize {
        self.start as usize
    }

    pub(super) fn end(&self) -> usize {
        self.end as usize
    }

    /// Returns the text of the event with what its decoding needs.
    pub(super) fn raw<'t>(&self, source: Source<'t>) -> Raw<'t> {
        let text = source.input().get(self.start()..self.end()).unwrap_or_default();
        Raw::new_unchecked(text, self.encoding, Span::new_unchecked(self.start(), self.end()))
    }
}

/// Appends the events of some tokens.
pub(super) fn record(
    source: Source<'_>,
    tokens: &[Token],
    events: &mut Vec<Event>,
) -> Result<(), Fault> {
    let mut first = FirstFault::default();
    parse_document(tokens, &mut Recorder { source, events, depth: 1 }, &mut first);
    first.check()
}

/// Records events, validates comments, and keeps the parser from recursing too deeply.
pub(super) struct Recorder<'e, 't> {
    source: Source<'t>,
    events: &'e mut Vec<Event>,
    depth: usize,
}

impl Recorder<'_, '_> {
    fn push(&mut self, what: What, span: Span, encoding: Option<Encoding>) {
        // MAX_BYTES keeps every offset below 2^32.
        let (start, end) = (span.start() as u32, span.end() as u32);
        self.events.push(Event { what, encoding, start, end });
    }

    fn enter(&mut self, what: What, span: Span, error: &mut dyn ErrorSink) -> bool {
        self.push(what, span, None);
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            error.report_error(ParseError::new(too_deep()).with_unexpected(span));
        }
        self.depth <= MAX_DEPTH
    }

    fn leave(&mut self, what: What, span: Span) {
        self.push(what, span, None);
        self.depth = self.depth.saturating_sub(1);
    }
}

impl EventReceiver for Recorder<'_, '_> {
    fn std_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.push(What::Header, span, None);
    }
    fn std_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.push(What::HeaderEnd, span, None);
    }
    fn array_table_open(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.push(What::ArrayHeader, span, None);
    }
    fn array_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.push(What::HeaderEnd, span, None);
    }
    fn inline_table_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        self.enter(What::TableBegin, span, error)
    }
    fn inline_table_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.leave(What::TableEnd, span);
    }
    fn array_open(&mut self, span: Span, error: &mut dyn ErrorSink) -> bool {
        self.enter(What::ListBegin, span, error)
    }
    fn array_close(&mut self, span: Span, _: &mut dyn ErrorSink) {
        self.leave(What::ListEnd, span);
    }
    fn simple_key(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.push(What::Key, span, encoding);
    }
    fn scalar(&mut self, span: Span, encoding: Option<Encoding>, _: &mut dyn ErrorSink) {
        self.push(What::Scalar, span, encoding);
    }
    fn comment(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(raw) = self.source.get(span) {
            raw.decode_comment(error);
        }
    }
    fn newline(&mut self, span: Span, error: &mut dyn ErrorSink) {
        if let Some(raw) = self.source.get(span) {
            raw.decode_newline(error);
        }
    }
}
