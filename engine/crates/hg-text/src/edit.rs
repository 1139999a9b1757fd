//! Reads an edited TOML text by its difference from the text before.

use crate::toml::Header;
use crate::value::{Map, Origin};
use crate::{Document, Format, Value, decode, toml};
use std::ops::Range;

/// A document with more edited entries than this is read whole again.
const MAX_EDITED: usize = 256;

/// Returns the document of `text` if it differs from `old_text` only within whole tables that
/// nothing outside the difference adds to, and defines the same objects there. Returns None
/// otherwise, or if there is a mistake to report.
///
/// This gives the same as reading the whole text: the tables begin at a header, where nothing is
/// open; they are read without a mistake and end at a line's end, so that nothing is open where the
/// unchanged rest begins; and only these tables define their objects.
pub(crate) fn apply(old: &Document, old_text: &[u8], text: &[u8]) -> Option<Document> {
    if old.format() != Format::Toml {
        return None;
    }
    let (old_text, text) = (decode(old_text).ok()?, decode(text).ok()?);
    let window = Window::of(old.headers(), old_text, text)?;
    if window.headers.len() > MAX_EDITED || old.edited_count() > MAX_EDITED {
        return None; // before it is read twice
    }
    let mut fresh = Vec::new();
    let read: Value = toml::read_with_headers(text.get(window.new.clone())?, &mut fresh).ok()?;
    let outside = old.headers().iter().enumerate().filter(|(i, _)| !window.headers.contains(i));
    let inside = old.headers().get(window.headers.clone())?;
    let same = objects(inside).eq(objects(&fresh));
    let shared = outside.clone().any(|(_, o)| inside.iter().any(|h| h.object == o.object));
    if !same || shared {
        return None;
    }
    let values = placed(old.base(), read)?;
    Some(old.with(values, window.moved(old.headers(), &fresh)))
}

/// Returns the objects that headers belong to, each as often as it begins again.
fn objects(headers: &[Header]) -> impl Iterator<Item = u64> {
    let before = std::iter::once(None).chain(headers.iter().map(|h| Some(h.object)));
    let each = headers.iter().zip(before);
    each.filter(|(h, before)| Some(h.object) != *before).map(|(h, _)| h.object)
}

/// The tables that contain a difference.
struct Window {
    /// Their headers, by position in the old document.
    headers: Range<usize>,
    /// Their bytes in the new text.
    new: Range<usize>,
    /// The number of bytes by which the new text is longer.
    grown: isize,
}

impl Window {
    /// Returns the tables around the difference. They begin at a header whose bracket did not
    /// change and end before one; neighbours that belong to the same object are included.
    fn of(headers: &[Header], old: &str, new: &str) -> Option<Window> {
        let (prefix, suffix) = common(old.as_bytes(), new.as_bytes());
        let mut first = headers.partition_point(|h| h.start() < prefix).checked_sub(1)?;
        let after = headers.partition_point(|h| h.start() < old.len() - suffix);
        let mut after = after.max(first + 1);
        let object = |i: usize| headers.get(i).map(|h| h.object);
        while first > 0 && object(first - 1) == object(first) {
            first -= 1;
        }
        while object(after).is_some() && object(after) == object(after - 1) {
            after += 1;
        }
        let start = headers.get(first)?.start();
        let old_end = headers.get(after).map_or(old.len(), Header::start);
        let grown = new.len() as isize - old.len() as isize;
        let end = old_end.checked_add_signed(grown).filter(|end| *end >= start)?;
        let window = Window { headers: first..after, new: start..end, grown };
        window.ends_a_line(new.as_bytes()).then_some(window)
    }

    /// Reports whether a line ends before the rest, so that no comment or value runs into it.
    fn ends_a_line(&self, text: &[u8]) -> bool {
        let Some(window) = text.get(self.new.clone()) else {
            return false;
        };
        let last = window.iter().rev().find(|b| !matches!(b, b' ' | b'\t'));
        self.new.end == text.len() || last == Some(&b'\n')
    }

    /// Returns the headers of the new text.
    fn moved(&self, old: &[Header], fresh: &[Header]) -> Vec<Header> {
        let before = old.get(..self.headers.start).unwrap_or_default().iter().copied();
        let fresh = fresh.iter().map(|h| h.moved(self.new.start as isize));
        let after = old.get(self.headers.end..).unwrap_or_default().iter();
        before.chain(fresh).chain(after.map(|h| h.moved(self.grown))).collect()
    }
}

/// Returns how many bytes two texts share at their beginnings, and then at their ends.
fn common(old: &[u8], new: &[u8]) -> (usize, usize) {
    const CHUNK: usize = 256;
    let same_chunks = old.chunks(CHUNK).zip(new.chunks(CHUNK)).take_while(|(a, b)| a == b);
    let skipped: usize = same_chunks.map(|(a, _)| a.len()).sum();
    let (old, new) = (old.split_at(skipped).1, new.split_at(skipped).1);
    let prefix = old.iter().zip(new).take_while(|(a, b)| a == b).count();
    let (old, new) = (old.split_at(prefix).1, new.split_at(prefix).1);
    let same_chunks = old.rchunks(CHUNK).zip(new.rchunks(CHUNK)).take_while(|(a, b)| a == b);
    let suffix: usize = same_chunks.map(|(a, _)| a.len()).sum();
    let rest = old.iter().rev().skip(suffix).zip(new.iter().rev().skip(suffix));
    (skipped + prefix, suffix + rest.take_while(|(a, b)| a == b).count())
}

/// Returns the values with their positions in the base; none if one has no position there, or if
/// its section is more than the sum of its tables.
fn placed(base: &Value, read: Value) -> Option<Vec<((usize, usize), Value)>> {
    let (Value::Map(base), Value::Map(read)) = (base, read) else {
        return None;
    };
    let mut values = Vec::new();
    for section in read.into_entries() {
        let at = base.find(&section.key)?;
        let names = implied(&base.entries().get(at)?.value)?;
        implied(&section.value)?;
        let Value::Map(read) = section.value else {
            return None;
        };
        for entry in read.into_entries() {
            values.push(((at, names.find(&entry.key)?), entry.value));
        }
    }
    Some(values)
}

/// Returns the map of a section that only headers of its tables made.
fn implied(section: &Value) -> Option<&Map> {
    match section {
        Value::Map(map) if map.origin == Origin::Implied => Some(map),
        _ => None,
    }
}
