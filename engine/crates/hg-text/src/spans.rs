//! The second pass: the places of keys and values.

use crate::position::{Lines, Span, Unit};
use crate::value::{Place, Value};
use crate::{Format, TextError, decode, explain, read};

/// One step of a path.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Seg {
    /// A step into a map.
    Key(String),
    /// A step into a list, from 0.
    Index(usize),
}

/// The part of an entry to locate.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Which {
    /// The key; for a list's item, the item.
    Key,
    /// The value; for a TOML table with a header, the header.
    Value,
}

/// Returns the unit of a format's offsets.
pub(crate) fn unit_of(format: Format) -> Unit {
    match format {
        Format::Yaml => Unit::Chars,
        Format::Toml | Format::Json => Unit::Bytes,
    }
}

/// The places of everything in one text, for reports of several mistakes at once.
pub struct Spans {
    text: String,
    unit: Unit,
    tree: Value<Place>,
    lines: Lines,
}

impl Spans {
    /// Reads a text with positions. Cost: somewhat more than [`crate::parse`].
    ///
    /// # Errors
    /// As [`crate::parse`].
    pub fn of(text: &[u8], format: Format) -> Result<Spans, TextError> {
        let text = decode(text)?.to_owned();
        let tree = read::<Place>(&text, format).map_err(|f| explain(f, &text, format))?;
        let lines = Lines::new(&text);
        Ok(Spans { text, unit: unit_of(format), tree, lines })
    }

    /// Returns the place of a path's key or value; none if there is no such path. The empty path is
    /// the whole text.
    pub fn locate(&self, path: &[Seg], which: Which) -> Option<Span> {
        let Some((last, inner)) = path.split_last() else {
            return Some(self.span(0, self.text.len()));
        };
        let mut value = &self.tree;
        for seg in inner {
            value = step(value, seg)?.0;
        }
        let (_, place) = step(value, last)?;
        let (start, end) = match which {
            Which::Key => place.key,
            Which::Value => place.value,
        };
        let byte = |at: u32| self.unit.byte(&self.text, at as usize);
        Some(self.span(byte(start), byte(end)))
    }

    /// Reports whether a value is the one read here. [`crate::parse`], which reads the same text in
    /// another way, must return an equal one.
    pub fn are_of(&self, value: &Value) -> bool {
        is_same(&self.tree, value)
    }

    fn span(&self, start: usize, end: usize) -> Span {
        Span {
            start: self.lines.position(&self.text, start),
            end: self.lines.position(&self.text, end),
            bytes: start..end,
        }
    }
}

fn is_same(placed: &Value<Place>, value: &Value) -> bool {
    match (placed, value) {
        (Value::Null, Value::Null) => true,
        (Value::Bool(a), Value::Bool(b)) => a == b,
        (Value::Int(a), Value::Int(b)) => a == b,
        (Value::Float(a), Value::Float(b)) => a == b,
        (Value::Str(a), Value::Str(b)) => a == b,
        (Value::List(a), Value::List(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same(&a.value, &b.value))
        }
        (Value::Map(a), Value::Map(b)) => {
            let (a, b) = (a.entries(), b.entries());
            let mut pairs = a.iter().zip(b);
            a.len() == b.len() && pairs.all(|(a, b)| a.key == b.key && is_same(&a.value, &b.value))
        }
        _ => false,
    }
}

fn step<'v>(value: &'v Value<Place>, seg: &Seg) -> Option<(&'v Value<Place>, &'v Place)> {
    match (value, seg) {
        (Value::Map(map), Seg::Key(key)) => map.get(key).map(|e| (&e.value, &e.mark)),
        (Value::List(items), Seg::Index(i)) => items.get(*i).map(|i| (&i.value, &i.mark)),
        _ => None,
    }
}

/// Returns the place of one path's key or value; none if there is no such path or the text has
/// mistakes.
///
/// Reads the text again: keep a [`Spans`] for more than one call.
pub fn locate(text: &[u8], format: Format, path: &[Seg], which: Which) -> Option<Span> {
    Spans::of(text, format).ok()?.locate(path, which)
}
