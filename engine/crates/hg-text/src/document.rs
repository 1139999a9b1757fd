//! A text as the objects it defines, so that an edit of one object costs only that one.

use crate::digest::Hasher;
use crate::edit;
use crate::toml::Header;
use crate::{Format, SubtreeHash, TextError, Value, decode, explain, read, toml};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A parsed text. Copies share what they have in common.
#[derive(Clone, Debug)]
pub struct Document {
    format: Format,
    /// A map parsed from a whole text.
    base: Arc<Value>,
    /// Values that edits put in place of entries of the base, by positions of section and name.
    edited: BTreeMap<(usize, usize), Value>,
    /// The headers of a TOML text.
    headers: Vec<Header>,
}

/// One object of a document: `routes.api` is section `routes`, name `api`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Entry<'d> {
    /// The top-level key.
    pub section: &'d str,
    /// The key below it; empty if the section is not a map, or is an empty one.
    pub name: &'d str,
    /// The object's value.
    pub value: &'d Value,
}

/// Objects by (section, name).
pub type Names<'d> = Vec<(&'d str, &'d str)>;

impl Document {
    /// Reads a text.
    ///
    /// # Errors
    /// As [`crate::parse`]; also if the text is anything but a map.
    pub fn read(text: &[u8], format: Format) -> Result<Document, TextError> {
        let text = decode(text)?;
        let mut headers = Vec::new();
        let value = match format {
            Format::Toml => toml::read_with_headers(text, &mut headers),
            _ => read(text, format),
        };
        match value.map_err(|fault| explain(fault, text, format))? {
            value @ Value::Map(_) => {
                Ok(Document { format, base: Arc::new(value), edited: BTreeMap::new(), headers })
            }
            _ => Err(TextError::at_start("the text must be a map of sections".into())),
        }
    }

    /// Reads `text` by its difference from `old_text`, the text of this document.
    ///
    /// If the difference is within whole `[section.name]` tables of a TOML text, reads only those
    /// and shares the rest; otherwise does the same as [`Document::read`].
    ///
    /// # Errors
    /// As [`Document::read`].
    pub fn reread(&self, old_text: &[u8], text: &[u8]) -> Result<Document, TextError> {
        match edit::apply(self, old_text, text) {
            Some(document) => Ok(document),
            None => Document::read(text, self.format),
        }
    }

    /// Returns the text's format.
    pub fn format(&self) -> Format {
        self.format
    }

    /// Returns the whole tree; always a map.
    pub fn value(&self) -> Cow<'_, Value> {
        let mut whole = Cow::Borrowed(&*self.base);
        for (&(section, name), value) in &self.edited {
            if let Some(place) = whole.to_mut().child_mut(section).and_then(|s| s.child_mut(name)) {
                place.clone_from(value);
            }
        }
        whole
    }

    /// Returns the objects in the order of the text.
    pub fn entries(&self) -> impl Iterator<Item = Entry<'_>> {
        self.placed().map(|(_, entry)| entry)
    }

    /// Returns the objects with the positions of section and name.
    fn placed(&self) -> impl Iterator<Item = ((usize, usize), Entry<'_>)> {
        let sections = self.base.named().iter().enumerate();
        sections.flat_map(move |(at, section)| {
            let named = section.value.named();
            let whole = named.is_empty().then_some(((at, 0), "", &section.value));
            let named = named.iter().enumerate().map(move |(name_at, e)| {
                let place = (at, name_at);
                (place, &*e.key, self.edited.get(&place).unwrap_or(&e.value))
            });
            let section = &*section.key;
            let all = whole.into_iter().chain(named);
            all.map(move |(place, name, value)| (place, Entry { section, name, value }))
        })
    }

    /// Returns the objects with the hashes of their values.
    pub fn hashes(&self) -> impl Iterator<Item = (Entry<'_>, SubtreeHash)> {
        let mut hasher = Hasher::default();
        self.entries().map(move |entry| (entry, hasher.hash(entry.value)))
    }

    /// Returns one object. With an empty name it returns the section, as [`Document::entries`]
    /// does: only if that is not a map, or is an empty one.
    pub fn entry(&self, section: &str, name: &str) -> Option<&Value> {
        let Value::Map(root) = &*self.base else {
            return None;
        };
        let at = root.find(section)?;
        match (&root.entries().get(at)?.value, name) {
            (Value::Map(map), name) if !map.entries().is_empty() => {
                let name_at = map.find(name)?;
                let written = &map.entries().get(name_at)?.value;
                Some(self.edited.get(&(at, name_at)).unwrap_or(written))
            }
            (value, "") => Some(value),
            _ => None,
        }
    }

    /// Returns the same as [`Document::entry`], faster if the object is at that position.
    fn entry_near(&self, (at, name_at): (usize, usize), entry: &Entry<'_>) -> Option<&Value> {
        let section = self.base.named().get(at).filter(|s| *s.key == *entry.section);
        match section.and_then(|s| s.value.named().get(name_at)) {
            Some(e) if *e.key == *entry.name => {
                Some(self.edited.get(&(at, name_at)).unwrap_or(&e.value))
            }
            _ => self.entry(entry.section, entry.name),
        }
    }

    /// Returns the objects that differ from those in `old` as (section, name): those of `self` in
    /// the first list, those that only `old` has in the second.
    ///
    /// Cost: the edited objects if one document was reread from the other or both from a third;
    /// otherwise one comparison per object, without hashing.
    pub fn changes<'d>(&'d self, old: &'d Document) -> (Names<'d>, Names<'d>) {
        if Arc::ptr_eq(&self.base, &old.base) {
            return (self.edits_since(old), Vec::new());
        }
        let new = self.placed().filter(|(at, e)| old.entry_near(*at, e) != Some(e.value));
        let gone = old.placed().filter(|(at, e)| self.entry_near(*at, e).is_none());
        let name = |(_, e): (_, Entry<'d>)| (e.section, e.name);
        (new.map(name).collect(), gone.map(name).collect())
    }

    fn edits_since<'d>(&'d self, old: &Document) -> Names<'d> {
        let mut places: Vec<_> = self.edited.keys().chain(old.edited.keys()).collect();
        places.sort_unstable();
        places.dedup();
        let changed = places.into_iter().filter_map(|&(at, name_at)| {
            let section = self.base.named().get(at)?;
            let entry = section.value.named().get(name_at)?;
            let value = |d: &'d Document| d.edited.get(&(at, name_at)).unwrap_or(&entry.value);
            let before = old.edited.get(&(at, name_at)).unwrap_or(&entry.value);
            (value(self) != before).then_some((&*section.key, &*entry.key))
        });
        changed.collect()
    }

    pub(crate) fn base(&self) -> &Value {
        &self.base
    }

    pub(crate) fn headers(&self) -> &[Header] {
        &self.headers
    }

    pub(crate) fn edited_count(&self) -> usize {
        self.edited.len()
    }

    /// Returns a copy with these entries and headers in place.
    pub(crate) fn with(
        &self,
        values: impl IntoIterator<Item = ((usize, usize), Value)>,
        headers: Vec<Header>,
    ) -> Document {
        let (format, base) = (self.format, Arc::clone(&self.base));
        let mut edited = self.edited.clone();
        edited.extend(values);
        Document { format, base, edited, headers }
    }
}

impl PartialEq for Document {
    fn eq(&self, other: &Self) -> bool {
        self.format == other.format && self.value() == other.value()
    }
}
