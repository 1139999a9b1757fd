//! Objects that differ only in a few values: what is true of one of them is true of all.
//!
//! The caller says at which places values may differ ([`Openings`]). Everything else (keys, their
//! order, types, other values) must be equal.

use crate::{Document, Seg, Value};
use foldhash::{HashMap, HashMapExt as _};
use std::collections::BTreeMap;

/// Places in an object at which texts and whole numbers may differ.
#[derive(Clone, Debug, Default)]
pub struct Openings {
    /// The number of the place, if it is one.
    here: Option<usize>,
    /// Openings below a map, by key.
    keys: BTreeMap<String, Openings>,
    /// Openings below every other key of a map, and every item of a list.
    each: Option<Box<Openings>>,
    /// Openings below the item of a list that has only one.
    only: Option<Box<Openings>>,
}

impl Openings {
    /// Adds a place by a number of the caller's: keys from the object down, joined by dots; `*`
    /// means every key and every item, `!` the only item of a list.
    pub fn add(&mut self, path: &str, opening: usize) {
        let mut at = self;
        for step in path.split('.') {
            at = match step {
                "*" => at.each.get_or_insert_default(),
                "!" => at.only.get_or_insert_default(),
                key => at.keys.entry(key.to_owned()).or_default(),
            };
        }
        at.here = Some(opening);
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
    /// The places where not all members have the same value.
    pub differences: Vec<Difference<'d>>,
}

/// A place at which objects that are alike differ.
#[derive(Debug)]
pub struct Difference<'d> {
    /// The number of the opening.
    pub opening: usize,
    /// The place, from the object down.
    pub path: Vec<Seg>,
    /// Each member's text or whole number.
    pub values: Vec<&'d Value>,
}

impl Document {
    /// Returns groups of objects among `names` that are alike, `least` of them or more.
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
            let Some(value) = self.entry(section, name) else { continue };
            look.begin();
            look.write(value, Some(openings));
            let group = known.get(&look.shape).copied().unwrap_or_else(|| {
                known.insert(look.shape.clone(), groups.len());
                let differences = look.opened.iter().map(Opened::difference).collect();
                groups.push(Alike { members: Vec::new(), differences });
                groups.len() - 1
            });
            if let Some(group) = groups.get_mut(group) {
                group.members.push(at);
                for (place, opened) in group.differences.iter_mut().zip(&look.opened) {
                    place.values.push(opened.value);
                }
            }
        }
        groups.retain(|group| group.members.len() >= least);
        for group in &mut groups {
            group.differences.retain(|place| {
                place.values.iter().any(|value| Some(value) != place.values.first())
            });
        }
        groups
    }
}

/// A value as bytes that are equal exactly for values that are alike, and what is at its openings.
#[derive(Default)]
struct Look<'d> {
    shape: Vec<u8>,
    opened: Vec<Opened<'d>>,
    /// The place that the walk has reached.
    path: Vec<Step<'d>>,
}

struct Opened<'d> {
    opening: usize,
    path: Vec<Step<'d>>,
    value: &'d Value,
}

#[derive(Clone, Copy)]
enum Step<'d> {
    Key(&'d str),
    Index(usize),
}

impl<'d> Opened<'d> {
    fn difference(&self) -> Difference<'d> {
        let seg = |step: &Step<'_>| match *step {
            Step::Key(key) => Seg::Key(key.to_owned()),
            Step::Index(at) => Seg::Index(at),
        };
        let path = self.path.iter().map(seg).collect();
        Difference { opening: self.opening, path, values: Vec::new() }
    }
}

impl<'d> Look<'d> {
    fn begin(&mut self) {
        self.shape.clear();
        self.opened.clear();
    }

    /// Writes each value as a letter, then its content; lengths come first, so that no two shapes
    /// have the same bytes.
    fn write(&mut self, value: &'d Value, openings: Option<&Openings>) {
        let opening = openings.and_then(|o| o.here);
        match (value, opening) {
            (Value::Str(_), Some(opening)) => self.open(b'S', opening, value),
            (Value::Int(_), Some(opening)) => self.open(b'I', opening, value),
            (Value::Null, _) => self.shape.push(b'n'),
            (Value::Bool(truth), _) => self.shape.push(if *truth { b't' } else { b'f' }),
            (Value::Int(number), _) => self.tagged(b'i', number.to_le_bytes()),
            (Value::Float(number), _) => self.tagged(b'd', number.to_le_bytes()),
            (Value::Str(text), _) => self.text(text),
            (Value::List(items), _) => {
                self.tagged(b'l', (items.len() as u64).to_le_bytes());
                let below = openings.and_then(|o| o.item(items.len()));
                for (at, item) in items.iter().enumerate() {
                    self.below(Step::Index(at), &item.value, below);
                }
            }
            (Value::Map(map), _) => {
                self.tagged(b'm', (map.entries().len() as u64).to_le_bytes());
                for entry in map.entries() {
                    self.text(&entry.key);
                    let below = openings.and_then(|o| o.key(&entry.key));
                    self.below(Step::Key(&entry.key), &entry.value, below);
                }
            }
        }
    }

    fn below(&mut self, step: Step<'d>, value: &'d Value, openings: Option<&Openings>) {
        self.path.push(step);
        self.write(value, openings);
        self.path.pop();
    }

    fn open(&mut self, tag: u8, opening: usize, value: &'d Value) {
        self.shape.push(tag);
        self.opened.push(Opened { opening, path: self.path.clone(), value });
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
