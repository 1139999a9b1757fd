//! TOML: `toml_parser` reads the syntax, this module builds the tables.
//!
//! The module reads a text in pieces that end before a `[header]`, so that the working memory
//! depends on the size of a piece and not on the size of the text.

mod build;
mod record;

use crate::fault::Fault;
use crate::value::{Map, Mark, Origin, Value};
use build::Build;
use record::Event;
use toml_parser::lexer::{Token, TokenKind};
use toml_parser::{ErrorSink, Expected, ParseError, Source};

/// A piece ends at the first header after this many tokens.
const PIECE_TOKENS: usize = 8 * 1024;

/// The position of a header and the object that its table belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    start: u32,
    /// A hash of the section and the name, equal in every text of this process. A header with one
    /// part has the hash of the section alone.
    pub object: u64,
}

impl Header {
    /// Returns the offset of its first bracket.
    pub(crate) fn start(&self) -> usize {
        self.start as usize
    }

    /// Returns the same header, moved by this many bytes.
    pub(crate) fn moved(self, by: isize) -> Header {
        // MAX_BYTES keeps every offset below 2^32, in the text before and in the one after.
        Header { start: (self.start as isize + by) as u32, ..self }
    }
}

/// Reads a whole text; offsets are in bytes.
pub(crate) fn read<M: Mark>(text: &str) -> Result<Value<M>, Fault> {
    read_with_headers(text, &mut Vec::new())
}

/// Reads a whole text and appends its headers in order.
pub(crate) fn read_with_headers<M: Mark>(
    text: &str,
    headers: &mut Vec<Header>,
) -> Result<Value<M>, Fault> {
    let source = Source::new(text);
    let mut root = Map::new(Origin::Header);
    let (mut tokens, mut events) = (Vec::new(), Vec::new());
    let mut pieces = Pieces::new(source, &mut tokens);
    while let Some(tokens) = pieces.next_piece() {
        read_piece(source, tokens, &mut events, headers, &mut root)?;
    }
    Ok(Value::Map(root))
}

/// Adds the tables of some tokens to the root; reuses the memory of `events`.
fn read_piece<M: Mark>(
    source: Source<'_>,
    tokens: &[Token],
    events: &mut Vec<Event>,
    headers: &mut Vec<Header>,
    root: &mut Map<M>,
) -> Result<(), Fault> {
    events.clear();
    record::record(source, tokens, events)?;
    Build::new(source, events, headers).document(root)
}

/// Splits a text's tokens at headers.
struct Pieces<'t, 'r> {
    lexer: toml_parser::lexer::Lexer<'t>,
    /// Memory for tokens, reused.
    tokens: &'r mut Vec<Token>,
    /// The bracket of the header before which the last piece ended.
    ahead: Option<Token>,
}

impl<'t, 'r> Pieces<'t, 'r> {
    fn new(source: Source<'t>, tokens: &'r mut Vec<Token>) -> Self {
        Pieces { lexer: source.lex(), tokens, ahead: None }
    }

    /// Returns the next piece, up to the first header after [`PIECE_TOKENS`]; none at the end. A
    /// piece never ends within brackets, so an array's lines that begin with `[` do not look like
    /// headers.
    fn next_piece(&mut self) -> Option<&[Token]> {
        self.tokens.clear();
        self.tokens.extend(self.ahead.take());
        let mut open = self.tokens.len() as i64;
        let mut line_begins = false;
        for token in self.lexer.by_ref() {
            let kind = token.kind();
            let header = kind == TokenKind::LeftSquareBracket && line_begins && open <= 0;
            if header && self.tokens.len() >= PIECE_TOKENS {
                self.ahead = Some(token);
                break;
            }
            match kind {
                TokenKind::LeftSquareBracket | TokenKind::LeftCurlyBracket => open += 1,
                TokenKind::RightSquareBracket | TokenKind::RightCurlyBracket => open -= 1,
                _ => {}
            }
            line_begins = kind == TokenKind::Newline;
            self.tokens.push(token);
        }
        (!self.tokens.is_empty()).then_some(self.tokens.as_slice())
    }
}

/// Keeps the first mistake that the parser reports.
#[derive(Default)]
struct FirstFault(Option<Fault>);

impl ErrorSink for FirstFault {
    fn report_error(&mut self, error: ParseError) {
        self.0.get_or_insert_with(|| fault(&error));
    }
}

impl FirstFault {
    fn check(self) -> Result<(), Fault> {
        self.0.map_or(Ok(()), Err)
    }
}

/// Converts a parser's error to plain words: what is wrong; what to write instead.
fn fault(error: &ParseError) -> Fault {
    let place = error.unexpected().or(error.context());
    let expected = error.expected().unwrap_or_default();
    let known = words(error.description()).or_else(|| string_words(error.description(), expected));
    let message = known.map_or_else(|| with_expected(error.description(), expected), str::to_owned);
    Fault::new(place.map_or(0, |s| s.start()), message)
}

/// Returns the whole message for the most frequent mistakes.
fn words(description: &str) -> Option<&'static str> {
    Some(match description {
        "string values must be quoted" => "the text has no quotes; write it in double quotes",
        "invalid float" | "invalid integer number" => {
            "the number is invalid; write digits, or quotes around a text"
        }
        "invalid unquoted key" => {
            "the key has a character that needs quotes; write the key in double quotes"
        }
        "unclosed table" => "the header is not closed; write `]` after its name",
        "unclosed array table" => "the header is not closed; write `]]` after its name",
        "unclosed array" => "the list is not closed; write `]` at its end",
        "unclosed inline table" => "the table is not closed; write `}` at its end",
        "missing value" | "missing value for key" | "key with no value" => {
            "the key has no value; write one after `=`"
        }
        "missing assignment between key-value pairs" => {
            "there is no `=` after the key; write `key = value`"
        }
        "missing comma between array elements" => {
            "two items of a list are not separated; write a comma between them"
        }
        "missing comma between key-value pairs" => {
            "two keys of a table are not separated; write a comma between them"
        }
        "unexpected key or value" => {
            "something follows a complete value; write the next key on a line of its own"
        }
        "unexpected leading zero" => "a number begins with 0; write it without, or in quotes",
        "`_` may only go between digits" => "`_` is not between digits; remove it",
        "radix must be lowercase" => "the prefix is in upper case; write `0x`, `0o` or `0b`",
        "invalid comment character" => {
            "the comment has a control character; write printable text only"
        }
        "carriage return must be followed by newline" => {
            "a carriage return stands alone; end lines with a line feed"
        }
        _ => return None,
    })
}

/// Returns the whole message for a mistake in a quoted text.
fn string_words(description: &str, expected: &[Expected]) -> Option<&'static str> {
    let is_open = matches!(expected, [Expected::Literal("'" | "\"")]);
    Some(match description {
        "invalid basic string" if is_open => "the text has no closing `\"`; write one at its end",
        "invalid literal string" if is_open => "the text has no closing `'`; write one at its end",
        "invalid multi-line basic string" if is_open => {
            "the text has no closing `\"\"\"`; write three quotes at its end"
        }
        "invalid multi-line literal string" if is_open => {
            "the text has no closing `'''`; write three quotes at its end"
        }
        "invalid basic string" | "invalid multi-line basic string" => {
            "the text has a control character; write an escape such as `\\t` or `\\u0007`"
        }
        "invalid literal string" | "invalid multi-line literal string" => {
            "the text has a control character; write it in double quotes, with an escape"
        }
        _ => return None,
    })
}

/// Returns the parser's own words and what it expected.
fn with_expected(description: &str, expected: &[Expected]) -> String {
    let mut message = description.to_owned();
    for (i, word) in expected.iter().enumerate() {
        message.push_str(match i {
            0 => "; write ",
            _ if i + 1 == expected.len() => " or ",
            _ => ", ",
        });
        match word {
            Expected::Literal("\n") => message.push_str("a line end"),
            Expected::Literal(text) => message.push_str(&format!("`{text}`")),
            Expected::Description(text) => message.push_str(text),
            _ => message.push_str("something else"),
        }
    }
    message
}
