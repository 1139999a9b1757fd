//! Objects that differ only in a few plain values: what is true of one of them is true of all.
//!
//! The caller says which values may differ ([`Openings`]): places in an object, and what is plain
//! at each. Everything else (keys, their order, types, other values) must be equal.

use crate::{Document, Plain, Value};
use foldhash::{HashMap, HashMapExt as _};
use std::borrow::Cow;
use std::collections::BTreeMap;

/// Places in an object at which values may differ.
#[derive(Clone, Debug, Default)]
pub struct Openings {
    here: Option<Plain>,
    /// Openings below a map, by key.
    keys: BTreeMap<String, Openings>,
    /// Openings below every other key of a map, and every item of a list.
    each: Option<Box<Openings>>,
    /// Openings below the item of a list that has only one.
    only: Option<Box<Openings>>,
}

impl Openings {
    /// Adds a place: keys from the object down, joined by dots; `*` means every key and every item,
    /// `!` the only item of a list.
    pub fn add(&mut self, path: &str, plain: Plain) {
        let mut at = self;
        for step in path.split('.') {
            at = match step {
                "*" => at.each.get_or_insert_default(),
                "!" => at.only.get_or_insert_default(),
                key => at.below(key),
            };
        }
        at.here = Some(plain);
    }

    fn below(&mut self, key: &str) -> &mut Openings {
        self.keys.entry(key.to_owned()).or_default()
    }

    fn key(&self, key: &str) -> Option<&Openings> {
        self.keys.get(key).or(self.each.as_deref())
    }

    fn item(&self, count: usize) -> Option<&Openings> {
        self.only.as_deref().filter(|_| count == 1).or(self.each.as_deref())
    }
}

/// A group of objects that are alike.
#[derive(Debug)]
pub struct Alike<'d> {
    /// Indices of the members in the list of names given, in its order.
    pub members: Vec<usize>,
    /// The members' values as text: those of the first member, as many as [`Alike::markers`], then
    /// those of the second …
    pub texts: Vec<Cow<'d, str>>,
    /// The kind of value at each opening, and whether the values there differ.
    openings: Vec<(Plain, bool)>,
    /// The first member.
    first: &'d Value,
}

impl Alike<'_> {
    /// Returns what replaces in [`Alike::pattern`] the values that differ.
    pub fn markers(&self) -> Vec<String> {
        let open = self.openings.iter().filter(|(_, differs)| *differs);
        open.enumerate().map(|(at, (plain, _))| plain.marker(at)).collect()
    }

    /// Returns the object that all members are, with [`Alike::markers`] in place of what differs.
    pub fn pattern(&self, openings: &Openings) -> Value {
        let mut pattern = self.first.clone();
        let mut markers = self.markers().into_iter();
        let open = self.openings.iter().map(|(_, differs)| *differs);
        let mut marks = open.map(|differs| if differs { markers.next() } else { None });
        mark(&mut pattern, Some(openings), &mut marks);
        pattern
    }

    /// Closes the openings at which every member has the same value.
    fn close(&mut self) {
        let every = self.openings.len().max(1);
        for (at, (_, differs)) in self.openings.iter_mut().enumerate() {
            let mut texts = self.texts.iter().skip(at).step_by(every);
            let first = texts.next();
            *differs = texts.any(|text| Some(text) != first);
        }
        let mut open = self.openings.iter().map(|(_, differs)| *differs).cycle();
        self.texts.retain(|_| open.next().unwrap_or_default());
    }
}

impl Document {
    /// Returns groups of objects among `names` that are alike, `least` of them or more. An object
    /// whose name is not a [`Plain::Word`] is like no other.
    ///
    /// Cost: visits each value once.
    pub fn alike(
        &self,
        section: &str,
        names: &[&str],
        openings: &Openings,
        least: usize,
    ) -> Vec<Alike<'_>> {
        let mut groups: Vec<Alike<'_>> = Vec::new();
        let mut known: HashMap<Vec<u8>, usize> = HashMap::new();
        let mut look = Look::default();
        for (at, name) in names.iter().enumerate() {
            let Some(value) = self.entry(section, name).filter(|_| Plain::Word.admits(name)) else {
                continue;
            };
            look.begin();
            look.write(value, Some(openings));
            let group = known.get(&look.shape).copied().unwrap_or_else(|| {
                known.insert(look.shape.clone(), groups.len());
                let openings = look.openings.iter().map(|plain| (*plain, true)).collect();
                groups.push(Alike {
                    members: Vec::new(),
                    openings,
                    texts: Vec::new(),
                    first: value,
                });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(group) {
                group.members.push(at);
                group.texts.append(&mut look.texts);
            }
        }
        groups.retain(|group| group.members.len() >= least);
        groups.iter_mut().for_each(Alike::close);
        groups
    }
}

/// A value as bytes that are equal exactly for values that are alike, and what is at its openings.
#[derive(Default)]
struct Look<'d> {
    shape: Vec<u8>,
    openings: Vec<Plain>,
    texts: Vec<Cow<'d, str>>,
}

impl<'d> Look<'d> {
    fn begin(&mut self) {
        self.shape.clear();
        self.openings.clear();
        self.texts.clear();
    }

    /// Writes each value as a letter, then its content; lengths come first, so that no two shapes
    /// have the same bytes.
    fn write(&mut self, value: &'d Value, openings: Option<&Openings>) {
        if let Some((plain, text)) = opened(value, openings) {
            self.shape.push(b'o');
            self.openings.push(plain);
            self.texts.push(text);
            return;
        }
        match value {
            Value::Null => self.shape.push(b'n'),
            Value::Bool(truth) => self.shape.push(if *truth { b't' } else { b'f' }),
            Value::Int(number) => self.tagged(b'i', number.to_le_bytes()),
            Value::Float(number) => self.tagged(b'd', number.to_le_bytes()),
            Value::Str(text) => self.text(text),
            Value::List(items) => {
                self.tagged(b'l', (items.len() as u64).to_le_bytes());
                let below = openings.and_then(|o| o.item(items.len()));
                items.iter().for_each(|item| self.write(&item.value, below));
            }
            Value::Map(map) => {
                self.tagged(b'm', (map.entries().len() as u64).to_le_bytes());
                for entry in map.entries() {
                    self.text(&entry.key);
                    self.write(&entry.value, openings.and_then(|o| o.key(&entry.key)));
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.tagged(b's', (text.len() as u64).to_le_bytes());
        self.shape.extend_from_slice(text.as_bytes());
    }

    fn tagged(&mut self, tag: u8, bytes: [u8; 8]) {
        self.shape.push(tag);
        self.shape.extend_from_slice(&bytes);
    }
}

fn opened<'d>(value: &'d Value, openings: Option<&Openings>) -> Option<(Plain, Cow<'d, str>)> {
    let plain = openings?.here?;
    Some((plain, plain.text(value)?))
}

/// Puts marks at the openings that [`Look::write`] finds, in the same order; none = it stays.
fn mark(
    value: &mut Value,
    openings: Option<&Openings>,
    marks: &mut impl Iterator<Item = Option<String>>,
) {
    if opened(value, openings).is_some() {
        if let Some(Some(marker)) = marks.next() {
            *value = match value {
                Value::Int(_) => Value::Int(marker.parse().unwrap_or_default()),
                _ => Value::Str(marker.into()),
            };
        }
        return;
    }
    match value {
        Value::List(items) => {
            let below = openings.and_then(|o| o.item(items.len()));
            items.iter_mut().for_each(|item| mark(&mut item.value, below, marks));
        }
        Value::Map(map) => {
            for entry in map.entries_mut() {
                mark(&mut entry.value, openings.and_then(|o| o.key(&entry.key)), marks);
            }
        }
        _ => {}
    }
}
