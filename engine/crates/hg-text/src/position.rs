//! Converts offsets in a text to lines and columns.

/// A place in a text, as editors count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// Line, from 1.
    pub line: u32,
    /// Column in characters, from 1.
    pub column: u32,
}

/// A range of a text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Span {
    /// Its first character.
    pub start: Position,
    /// The place after its last character.
    pub end: Position,
    /// The same range in bytes of the text without its byte order mark.
    pub bytes: std::ops::Range<usize>,
}

/// The unit in which a format's parser counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes,
    Chars,
}

impl Unit {
    /// Returns the byte offset of `at`, moved to a character's beginning within the text.
    pub(crate) fn byte(self, text: &str, at: usize) -> usize {
        match self {
            Unit::Chars if !text.is_ascii() => {
                text.char_indices().nth(at).map_or(text.len(), |(byte, _)| byte)
            }
            _ => (0..=at.min(text.len())).rev().find(|&i| text.is_char_boundary(i)).unwrap_or(0),
        }
    }
}

/// The beginnings of the lines of a text, in bytes.
pub(crate) struct Lines(Vec<usize>);

impl Lines {
    /// Makes the table; reads the whole text once.
    pub(crate) fn new(text: &str) -> Self {
        let newlines = text.bytes().enumerate().filter(|(_, b)| *b == b'\n');
        Lines(std::iter::once(0).chain(newlines.map(|(i, _)| i + 1)).collect())
    }

    /// Returns the position of a byte offset that is a character's beginning. Cost: the length of
    /// the line.
    pub(crate) fn position(&self, text: &str, byte: usize) -> Position {
        let line = self.0.partition_point(|&start| start <= byte).max(1);
        let start = self.0.get(line - 1).copied().unwrap_or(0);
        let column = text.get(start..byte).map_or(0, |before| before.chars().count()) + 1;
        Position { line: line as u32, column: column as u32 }
    }
}
