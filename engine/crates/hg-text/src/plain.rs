//! Values so plain that no validator changes them.

use crate::Value;
use std::borrow::Cow;

/// What a text or a number at an opening is made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Plain {
    /// A host name in lower case: labels of letters, digits, `_` and inner `-`, up to 253 bytes.
    Host,
    /// A path of segments of letters, digits, `_` and `-`, without a slash at its end.
    Path,
    /// 1 to 200 letters, digits, `.`, `_` and `-`.
    Word,
    /// A whole number from 2 to 999999: no default, which a plan leaves out, is among them.
    Number,
}

impl Plain {
    /// Returns the kind named `host`, `path`, `word` or `number`.
    pub fn from_name(name: &str) -> Option<Plain> {
        match name {
            "host" => Some(Plain::Host),
            "path" => Some(Plain::Path),
            "word" => Some(Plain::Word),
            "number" => Some(Plain::Number),
            _ => None,
        }
    }

    /// Returns a value as the plan writes it, if it is of this kind.
    pub(crate) fn text(self, value: &Value) -> Option<Cow<'_, str>> {
        match value {
            Value::Str(text) => self.admits(text).then_some(Cow::Borrowed(text)),
            Value::Int(number @ 2..=999_999) if self == Plain::Number => {
                Some(Cow::Owned(number.to_string()))
            }
            _ => None,
        }
    }

    /// Reports whether a text is of this kind.
    pub fn admits(self, text: &str) -> bool {
        match self {
            Plain::Host => text.len() <= 253 && text.split('.').all(is_label),
            Plain::Path => text.strip_prefix('/').is_some_and(|rest| {
                rest.split('/').all(|segment| !segment.is_empty() && segment.bytes().all(is_inner))
            }),
            Plain::Word => {
                (1..=200).contains(&text.len()) && text.bytes().all(|b| b == b'.' || is_inner(b))
            }
            Plain::Number => false,
        }
    }

    /// Returns what identifies an opening, as the plan writes it, with capitals if the kind allows
    /// them.
    pub(crate) fn marker(self, opening: usize) -> String {
        match self {
            Plain::Host => format!("opening-{opening}.invalid"),
            Plain::Path => format!("/Opening-{opening}-here"),
            Plain::Word => format!("Opening-{opening}-word"),
            Plain::Number => (914_177 + opening).to_string(),
        }
    }
}

fn is_inner(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

fn is_label(label: &str) -> bool {
    (1..=63).contains(&label.len())
        && label.bytes().all(|b| is_inner(b) && !b.is_ascii_uppercase())
        && !label.starts_with('-')
        && !label.ends_with('-')
}
