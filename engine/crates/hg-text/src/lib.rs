//! Config text to values: TOML, YAML and JSON read into one [`Value`] tree.
//!
//! Owns syntax and positions; never touches a file, and does not know what the keys mean. The first
//! pass ([`parse`], [`Document`]) keeps no positions; every reload pays for it. The second
//! ([`Spans`], [`locate`]) reads the text again with positions, only when there is something to
//! report.
//!
//! The formats say the same things:
//! - TOML: version 1.0, and what 1.1 adds to inline tables and escapes. Dates are refused.
//! - YAML: 1.2 core schema, one document, no tags beyond the core schema, no merge keys; aliases
//!   expand to at most [`MAX_ALIASED_VALUES`] values. A key is its text (`404:` is `"404"`).
//! - JSON: RFC 8259.
//!
//! In all three a duplicate key in one map is an error that names both places, integers must fit 64
//! bits with sign, and `nan` and `inf` are refused.

mod alike;
mod digest;
mod document;
mod edit;
mod fault;
mod json;
mod position;
mod spans;
mod toml;
mod value;
mod yaml;

pub use alike::{Alike, Difference, Openings};
pub use digest::SubtreeHash;
pub use document::{Document, Entry as DocumentEntry, Names};
pub use fault::TextError;
pub use position::{Position, Span};
pub use spans::{Seg, Spans, Which, locate};
pub use value::{Entry, Item, Map, Value};

use fault::Fault;
use value::Mark;

/// Longest text accepted, in bytes.
pub const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Deepest nesting of maps and lists; the root counts as one.
pub const MAX_DEPTH: usize = 64;

/// Most values that all the aliases of one YAML text may add to it.
pub const MAX_ALIASED_VALUES: usize = 100_000;

/// The three notations.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Format {
    /// TOML 1.0.
    Toml,
    /// YAML 1.2, the safe part.
    Yaml,
    /// JSON (RFC 8259).
    Json,
}

impl Format {
    /// Every format, in the order of preference.
    pub const ALL: [Format; 3] = [Format::Toml, Format::Yaml, Format::Json];

    /// Returns `toml`, `yaml` or `json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Format::Toml => "toml",
            Format::Yaml => "yaml",
            Format::Json => "json",
        }
    }

    /// Returns the format of a word from [`Format::as_str`], or of `yml`.
    pub fn from_word(word: &str) -> Option<Format> {
        match word {
            "yml" => Some(Format::Yaml),
            _ => Format::ALL.into_iter().find(|f| f.as_str() == word),
        }
    }
}

/// Reads a whole text.
///
/// An empty TOML or YAML text is an empty map. At most [`MAX_BYTES`] and [`MAX_DEPTH`].
///
/// # Errors
/// Returns the first mistake in the text, with its place.
pub fn parse(text: &[u8], format: Format) -> Result<Value, TextError> {
    let text = decode(text)?;
    read::<()>(text, format).map_err(|fault| explain(fault, text, format))
}

/// Checks size and encoding, and drops a byte order mark.
fn decode(text: &[u8]) -> Result<&str, TextError> {
    if text.len() > MAX_BYTES {
        return Err(TextError::at_start(format!(
            "the text is longer than {} MiB",
            MAX_BYTES / (1024 * 1024)
        )));
    }
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text.strip_prefix('\u{feff}').unwrap_or(text)),
        Err(e) => Err(TextError::not_utf8(text, e.valid_up_to())),
    }
}

/// Reads decoded text, with or without positions.
fn read<M: Mark>(text: &str, format: Format) -> Result<Value<M>, Fault> {
    match format {
        Format::Toml => toml::read(text),
        Format::Yaml => yaml::read(text),
        Format::Json => json::read(text),
    }
}

/// Gives a fault its position; searches for a duplicate key again, with positions.
fn explain(fault: Fault, text: &str, format: Format) -> TextError {
    let fault = match fault.is_duplicate() {
        true => read::<value::Place>(text, format).err().unwrap_or(fault),
        false => fault,
    };
    fault.into_error(text, spans::unit_of(format))
}

#[cfg(test)]
#[allow(clippy::string_slice, reason = "tests")]
mod tests;
