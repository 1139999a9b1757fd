//! Lines that the config lays out: chosen fields as JSON, or a text with variables.

mod key;
mod requests;
mod streams;
#[cfg(test)]
mod tests;
mod value;

pub(crate) use key::Key;
pub(crate) use value::{Value, Values};

use crate::clock::TimeCache;
use hg_plan::AccessLog;

/// How the lines of one configuration are laid out, where none of the fixed formats is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Layout {
    /// A JSON object of these fields, in this order; one without a value is left out.
    Fields(Box<[Key]>),
    /// Text and variables, one after the other.
    Template(Box<[Piece]>),
}

/// A piece of a template.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Piece {
    Text(Box<[u8]>),
    Variable(Key),
}

impl Layout {
    /// Returns the layout of a configuration; `None` if it has a fixed format.
    ///
    /// # Errors
    /// Names the field or variable that there is not.
    pub(crate) fn of(plan: &AccessLog) -> Result<Option<Self>, String> {
        if let Some(template) = &plan.template {
            return pieces(template).map(|pieces| Some(Self::Template(pieces)));
        }
        if plan.fields.is_empty() {
            return Ok(None);
        }
        let keys = plan.fields.iter().map(|name| key(name));
        keys.collect::<Result<_, _>>().map(|keys| Some(Self::Fields(keys)))
    }

    /// Returns the keys that its lines have, each once.
    pub(crate) fn keys(&self) -> Box<[Key]> {
        let mut found = Vec::new();
        match self {
            Self::Fields(keys) => found.extend_from_slice(keys),
            Self::Template(pieces) => {
                for piece in pieces {
                    if let Piece::Variable(key) = piece
                        && !found.contains(key)
                    {
                        found.push(*key);
                    }
                }
            }
        }
        found.into()
    }

    /// Appends the line of a record, and a line feed. Allocates only to grow `out`.
    pub(crate) fn push(&self, record: &impl Values, time: &mut TimeCache, out: &mut Vec<u8>) {
        match self {
            Self::Fields(keys) => {
                out.push(b'{');
                let mut between: &[u8] = b"\"";
                for key in keys {
                    let value = record.value(*key);
                    if value.is_known() {
                        out.extend_from_slice(between);
                        out.extend_from_slice(key.name().as_bytes());
                        out.extend_from_slice(b"\":");
                        value.push_json(time, out);
                        between = b",\"";
                    }
                }
                out.extend_from_slice(b"}\n");
            }
            Self::Template(pieces) => {
                for piece in pieces {
                    match piece {
                        Piece::Text(text) => out.extend_from_slice(text),
                        Piece::Variable(key) => record.value(*key).push_plain(time, out),
                    }
                }
                out.push(b'\n');
            }
        }
    }
}

fn key(name: &str) -> Result<Key, String> {
    Key::parse(name).ok_or_else(|| format!("the access log has no field {name}"))
}

/// Parses `${name}` and `$$`.
fn pieces(template: &str) -> Result<Box<[Piece]>, String> {
    let mut found = Vec::new();
    let mut text = Vec::new();
    let mut rest = template;
    while let Some((before, after)) = rest.split_once('$') {
        text.extend_from_slice(before.as_bytes());
        if let Some(after) = after.strip_prefix('$') {
            text.push(b'$');
            rest = after;
            continue;
        }
        let variable = after.strip_prefix('{').and_then(|after| after.split_once('}'));
        let (name, after) = variable.ok_or("a dollar sign has no variable after it")?;
        found.push(Piece::Text(std::mem::take(&mut text).into()));
        found.push(Piece::Variable(key(name)?));
        rest = after;
    }
    text.extend_from_slice(rest.as_bytes());
    found.push(Piece::Text(text.into()));
    Ok(found.into())
}
