//! The errors of this crate: mistakes in a text.

use crate::position::{Lines, Position, Unit};
use std::borrow::Cow;
use std::fmt;

/// A mistake in a text: its place and a plain message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TextError {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
    /// A sentence that says what is wrong, and what to write instead.
    pub message: String,
    /// The first place of a duplicate key.
    pub first: Option<Position>,
}

impl TextError {
    pub(crate) fn at_start(message: String) -> Self {
        TextError { line: 1, column: 1, message, first: None }
    }

    pub(crate) fn not_utf8(bytes: &[u8], valid: usize) -> Self {
        let good = String::from_utf8_lossy(bytes.get(..valid).unwrap_or_default());
        let good = good.strip_prefix('\u{feff}').unwrap_or(&good);
        let at = Lines::new(good).position(good, good.len());
        let byte = bytes.get(valid).copied().unwrap_or_default();
        TextError {
            line: at.line,
            column: at.column,
            message: format!("byte 0x{byte:02x} is not UTF-8; save the file as UTF-8"),
            first: None,
        }
    }
}

impl fmt::Display for TextError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.line, self.column, self.message)
    }
}

impl std::error::Error for TextError {}

/// A mistake found by a parser, with an offset in the format's own unit.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    at: usize,
    kind: Kind,
}

#[derive(Clone, Debug)]
enum Kind {
    Syntax(Cow<'static, str>),
    Duplicate { key: Box<str>, first: Option<usize> },
}

/// Returns what is wrong with a value that is nested too deep.
pub(crate) fn too_deep() -> String {
    format!("the value is nested deeper than {} levels; write it flatter", crate::MAX_DEPTH)
}

impl Fault {
    pub(crate) fn new(at: usize, message: impl Into<Cow<'static, str>>) -> Self {
        Fault { at, kind: Kind::Syntax(message.into()) }
    }

    pub(crate) fn duplicate(key: &str, at: usize, first: Option<usize>) -> Self {
        Fault { at, kind: Kind::Duplicate { key: key.into(), first } }
    }

    pub(crate) fn too_deep(at: usize) -> Self {
        Fault::new(at, too_deep())
    }

    pub(crate) fn is_duplicate(&self) -> bool {
        matches!(self.kind, Kind::Duplicate { .. })
    }

    pub(crate) fn into_error(self, text: &str, unit: Unit) -> TextError {
        let lines = Lines::new(text);
        let place = |at| lines.position(text, unit.byte(text, at));
        let (message, first) = match self.kind {
            Kind::Syntax(message) => (message.into_owned(), None),
            Kind::Duplicate { key, first } => {
                let first = first.map(place);
                let name = shown(&key);
                let message = match first {
                    Some(p) => format!(
                        "{name} is given twice, first at line {}, column {}; remove one of the two",
                        p.line, p.column
                    ),
                    None => format!("{name} is given twice; remove one of the two"),
                };
                (message, first)
            }
        };
        let at = place(self.at);
        TextError { line: at.line, column: at.column, message, first }
    }
}

/// Quotes and escapes a user's text for a message, and cuts it at 60 characters.
pub(crate) fn shown(text: &str) -> String {
    let cut: String = text.chars().take(60).flat_map(char::escape_debug).collect();
    match text.chars().nth(60) {
        Some(_) => format!("`{cut}…`"),
        None => format!("`{cut}`"),
    }
}
