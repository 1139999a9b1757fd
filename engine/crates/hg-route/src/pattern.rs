//! Regexes of a config: the syntax that Rust's `regex` and PCRE read the same way.
//!
//! Text is bytes (no Unicode classes): paths are ASCII once normalised, and nginx matches bytes,
//! too. A pattern that the two would read differently is refused.

use regex_automata::nfa::thompson::{self, NFA, WhichCaptures};
use regex_syntax::ast::{self, AssertionKind, Ast, ClassSetItem, FlagsItemKind, GroupKind};
use regex_syntax::hir::{Hir, HirKind, Look, translate::TranslatorBuilder};

/// Most bytes that one pattern's automaton may take before it becomes deterministic; a repetition
/// such as `(a{1000}){1000}` exceeds it.
const PATTERN_BYTES: usize = 256 * 1024;

/// Most bytes that the patterns of one automaton may take together.
const PATTERNS_BYTES: usize = 64 * 1024 * 1024;

/// Parses and checks one pattern, which will be matched against a whole text.
///
/// # Errors
/// Returns what is wrong, where (counted in characters from 1), and what is allowed.
pub(crate) fn parse(text: &str) -> Result<Hir, String> {
    let hir = read(text)?;
    compile(std::slice::from_ref(&hir), PATTERN_BYTES).map_err(|_| {
        format!(
            "the pattern needs more than {} KiB compiled; write a shorter one",
            PATTERN_BYTES / 1024
        )
    })?;
    Ok(hir)
}

/// Parses a pattern without checking its size.
///
/// # Errors
/// As [`parse`].
pub(crate) fn read(text: &str) -> Result<Hir, String> {
    let tree = ast::parse::Parser::new()
        .parse(text)
        .map_err(|e| at(text, e.span(), &e.kind().to_string()))?;
    ast::visit(&tree, Shared { text })?;
    TranslatorBuilder::new()
        .unicode(false)
        .utf8(false)
        .build()
        .translate(text, &tree)
        .map_err(|e| at(text, e.span(), &e.kind().to_string()))
}

/// Builds the automaton of several patterns, not yet deterministic.
///
/// # Errors
/// If the patterns are together too large.
pub(crate) fn compile_all(patterns: &[Hir]) -> Result<NFA, String> {
    compile(patterns, PATTERNS_BYTES)
}

fn compile(patterns: &[Hir], limit: usize) -> Result<NFA, String> {
    let config = thompson::Config::new()
        .utf8(false)
        .which_captures(WhichCaptures::None)
        .nfa_size_limit(Some(limit));
    thompson::Compiler::new().configure(config).build_many_from_hir(patterns).map_err(|_| {
        "the regexes of this host are too large together; write fewer or shorter ones".to_owned()
    })
}

/// Splits off the bytes with which every match of a pattern begins; the rest matches what follows
/// them. For patterns that are matched from the start of a text.
pub(crate) fn split_literal(pattern: &Hir) -> (Vec<u8>, Hir) {
    split(pattern, true)
}

/// Splits off the literal. With `is_first` the pattern begins here, so that a `^` has no effect.
fn split(pattern: &Hir, is_first: bool) -> (Vec<u8>, Hir) {
    match pattern.kind() {
        HirKind::Literal(literal) => (literal.0.to_vec(), Hir::empty()),
        HirKind::Look(Look::Start) if is_first => (Vec::new(), Hir::empty()),
        HirKind::Capture(capture) => split(&capture.sub, is_first),
        HirKind::Concat(parts) => split_sequence(parts, is_first),
        HirKind::Alternation(choices) => split_choices(choices, is_first),
        _ => (Vec::new(), pattern.clone()),
    }
}

fn split_sequence(parts: &[Hir], is_first: bool) -> (Vec<u8>, Hir) {
    let mut literal = Vec::new();
    let mut parts = parts.iter();
    while let Some(part) = parts.next() {
        let (more, rest) = split(part, is_first && literal.is_empty());
        literal.extend(more);
        if !matches!(rest.kind(), HirKind::Empty) {
            let all = std::iter::once(rest).chain(parts.cloned());
            return (literal, Hir::concat(all.collect()));
        }
    }
    (literal, Hir::empty())
}

fn split_choices(choices: &[Hir], is_first: bool) -> (Vec<u8>, Hir) {
    let mut split: Vec<_> = choices.iter().map(|c| split(c, is_first)).collect();
    let mut common = split.first().map(|(literal, _)| literal.clone()).unwrap_or_default();
    for (literal, _) in &split {
        let same = common.iter().zip(literal).take_while(|(a, b)| a == b).count();
        common.truncate(same);
    }
    let rest = |(literal, rest): (Vec<u8>, Hir)| {
        let own = literal.get(common.len()..).unwrap_or_default();
        Hir::concat(vec![Hir::literal(own.to_vec()), rest])
    };
    let rests = split.drain(..).map(rest).collect();
    (common, Hir::alternation(rests))
}

fn at(text: &str, span: &ast::Span, what: &str) -> String {
    let character = text.get(..span.start.offset).map_or(0, |t| t.chars().count()) + 1;
    format!("invalid regex at character {character}: {what}")
}

/// Refuses syntax that PCRE reads differently.
struct Shared<'t> {
    text: &'t str,
}

impl Shared<'_> {
    fn refuse(&self, span: &ast::Span, what: &str) -> Result<(), String> {
        Err(at(self.text, span, what))
    }

    fn flags(&self, flags: &ast::Flags) -> Result<(), String> {
        for item in &flags.items {
            if let FlagsItemKind::Flag(
                ast::Flag::Unicode | ast::Flag::CRLF | ast::Flag::IgnoreWhitespace,
            ) = item.kind
            {
                return self
                    .refuse(&item.span, "this flag is not supported; write only i, m, s and U");
            }
        }
        Ok(())
    }

    fn literal(&self, literal: &ast::Literal) -> Result<(), String> {
        use ast::{HexLiteralKind, LiteralKind, SpecialLiteralKind};
        match literal.kind {
            LiteralKind::Special(SpecialLiteralKind::VerticalTab) => {
                self.refuse(&literal.span, "\\v has several meanings; write \\x0B")
            }
            LiteralKind::HexFixed(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong)
            | LiteralKind::HexBrace(HexLiteralKind::UnicodeShort | HexLiteralKind::UnicodeLong) => {
                self.refuse(&literal.span, "\\u is not supported; write \\x and two digits")
            }
            LiteralKind::HexBrace(_) if literal.c > '\x7F' => self.refuse(
                &literal.span,
                "\\x{...} above 7F is not supported; write the bytes of its UTF-8 form",
            ),
            _ => Ok(()),
        }
    }

    fn repetition(&self, repetition: &ast::Repetition) -> Result<(), String> {
        let op = &repetition.op.span;
        if matches!(*repetition.ast, Ast::Repetition(_)) {
            return self.refuse(op, "a repetition is repeated; write a group around the inner one");
        }
        if self.written(op).contains(char::is_whitespace) {
            return self.refuse(op, "a counted repetition with a space; write it without");
        }
        match &*repetition.ast {
            Ast::Literal(l) if l.kind == ast::LiteralKind::Verbatim && l.c > '\x7F' => {
                self.refuse(op, "a character of several bytes is repeated; write a group around it")
            }
            _ => Ok(()),
        }
    }

    /// Refuses the beginnings of a class in which PCRE sees a range.
    fn class(&self, class: &ast::ClassBracketed) -> Result<(), String> {
        let text = self.written(&class.span);
        let text = text.strip_prefix("[^").or_else(|| text.strip_prefix('[')).unwrap_or(text);
        for start in ["--", "]-"] {
            if text.strip_prefix(start).is_some_and(|rest| !rest.starts_with(']')) {
                return self.refuse(
                    &class.span,
                    "a class that begins with ] or - and goes on with -; write - as its last character",
                );
            }
        }
        Ok(())
    }

    fn written(&self, span: &ast::Span) -> &str {
        self.text.get(span.start.offset..span.end.offset).unwrap_or_default()
    }
}

impl ast::Visitor for Shared<'_> {
    type Output = ();
    type Err = String;

    fn finish(self) -> Result<(), String> {
        Ok(())
    }

    fn visit_pre(&mut self, tree: &Ast) -> Result<(), String> {
        match tree {
            Ast::Flags(f) => self.flags(&f.flags),
            Ast::Group(g) => match &g.kind {
                GroupKind::NonCapturing(flags) => self.flags(flags),
                _ => Ok(()),
            },
            Ast::Literal(l) => self.literal(l),
            Ast::Repetition(r) => self.repetition(r),
            Ast::ClassBracketed(c) => self.class(c),
            Ast::ClassUnicode(c) => self.refuse(
                &c.span,
                "\\p classes are not supported; list the characters, as in [A-Za-z]",
            ),
            Ast::Assertion(a) => match a.kind {
                AssertionKind::StartLine
                | AssertionKind::EndLine
                | AssertionKind::StartText
                | AssertionKind::EndText
                | AssertionKind::WordBoundary
                | AssertionKind::NotWordBoundary => Ok(()),
                _ => self.refuse(&a.span, "this word boundary is not supported; write \\b or \\B"),
            },
            _ => Ok(()),
        }
    }

    fn visit_class_set_item_pre(&mut self, item: &ClassSetItem) -> Result<(), String> {
        match item {
            ClassSetItem::Bracketed(c) => self
                .refuse(&c.span, "a class in a class is not supported; escape the bracket as \\["),
            ClassSetItem::Unicode(c) => self.refuse(
                &c.span,
                "\\p classes are not supported; list the characters, as in [A-Za-z]",
            ),
            ClassSetItem::Literal(l) => self.literal(l),
            ClassSetItem::Range(r) => {
                self.literal(&r.start)?;
                self.literal(&r.end)
            }
            _ => Ok(()),
        }
    }

    fn visit_class_set_binary_op_pre(&mut self, op: &ast::ClassSetBinaryOp) -> Result<(), String> {
        self.refuse(
            &op.span,
            "class operations (&&, --, ~~) are not supported; list the characters",
        )
    }
}

#[cfg(test)]
mod tests;
