//! The HPACK encoder (RFC 7541): static and dynamic table, Huffman where it is shorter, no
//! allocation once the table has grown.

use crate::static_table::{self, MARKS, STATIC, hash};
use crate::table::{OVERHEAD, Table};
use crate::{huffman, integer, octets};
use hg_proto::Known;

/// The table is never larger, whatever the peer allows: it costs memory per connection.
const MOST_TABLE_BYTES: usize = 4096;
/// Slots of the look-up by hash, in groups; a full group only costs compression.
const SLOTS: usize = 128;
/// Slots of one group.
const GROUP: usize = 4;
/// A cookie below this is never indexed: it could be guessed octet by octet (RFC 7541 §7.1.3).
const SHORT_COOKIE_BYTES: usize = 20;
/// The static index of `cookie`.
const COOKIE: u8 = 32;

/// The rule for whether a field may enter a table, here and at every hop behind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sensitivity {
    /// The encoder decides.
    Normal,
    /// Never indexed (RFC 7541 §6.2.3): the sender said so, or the route configures a secret.
    Secret,
}

/// The encoder's treatment of a field that no table holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Form {
    Insert,
    /// Differs with each message; it would only push others out.
    Plain,
    Never,
}

/// Finds entries of the dynamic table by a hash; without slots until the first entry.
#[derive(Debug, Default)]
struct Index(Vec<[Slot; GROUP]>);

/// An entry: the upper half of its hash, and the lower half of its number, which counts from 1.
#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    tag: u16,
    number: u16,
}

impl Index {
    #[inline]
    fn group(&self, hash: u32) -> &[Slot] {
        self.0.get(hash as usize % (SLOTS / GROUP)).map_or(&[], <[_; GROUP]>::as_slice)
    }

    /// Adds an entry, in place of the oldest of its group, or of the one that it repeats.
    fn add(&mut self, hash: u32, inserted: u64) {
        if self.0.is_empty() {
            self.0.resize(SLOTS / GROUP, [Slot::default(); GROUP]);
        }
        let (tag, number) = ((hash >> 16) as u16, inserted as u16);
        let Some(group) = self.0.get_mut(hash as usize % (SLOTS / GROUP)) else { return };
        let age = |slot: &&mut Slot| match slot.tag == tag {
            true => u16::MAX,
            false => number.wrapping_sub(slot.number),
        };
        if let Some(slot) = group.iter_mut().max_by_key(age) {
            *slot = Slot { tag, number };
        }
    }
}

/// A name in lower case, and what the static table says of it.
pub(crate) struct Name<'n> {
    pub(crate) text: &'n [u8],
    /// Differs from that of other names, nearly always.
    hash: u32,
    /// The first index of the static table with this name; 0 without one.
    index: u8,
}

impl<'n> Name<'n> {
    #[inline]
    pub(crate) fn new(text: &'n [u8]) -> Self {
        match static_table::find_name(text) {
            Some(index) => {
                Self { text, hash: (index as u32).wrapping_mul(0x9e37_79b1), index: index as u8 }
            }
            None => Self { text, hash: hash(text), index: 0 },
        }
    }

    /// Reports whether the static table has it.
    #[inline]
    pub(crate) fn is_static(&self) -> bool {
        self.index != 0
    }

    /// Returns which known name it is.
    #[inline]
    pub(crate) fn known(&self) -> Known {
        let mark = usize::from(self.index).checked_sub(1).and_then(|at| MARKS.get(at));
        mark.map_or_else(|| Known::of(self.text), |mark| mark.known)
    }
}

/// Encodes the blocks of one connection, in order.
#[derive(Debug)]
pub struct Encoder {
    /// Each entry with the static index of its name, 0 without one.
    table: Table<u8>,
    /// The number of the newest entry with each name of the static table, by index; mostly it is the
    /// one that is looked for.
    newest: Vec<u16>,
    /// Entries by the hash of name and value.
    fields: Index,
    /// Entries by the hash of the name alone.
    names: Index,
    /// Sizes to announce at the start of the next block: the smallest since then, and the last.
    pending: Option<(usize, usize)>,
}

impl Default for Encoder {
    fn default() -> Self {
        Self::new()
    }
}

impl Encoder {
    /// Makes an encoder with the table size that every peer begins with.
    pub fn new() -> Self {
        Self {
            table: Table::new(MOST_TABLE_BYTES),
            newest: Vec::new(),
            fields: Index::default(),
            names: Index::default(),
            pending: None,
        }
    }

    /// Obeys the peer's SETTINGS_HEADER_TABLE_SIZE.
    pub fn set_peer_max(&mut self, size: usize) {
        let size = size.min(MOST_TABLE_BYTES);
        if size == self.table.max() && self.pending.is_none() {
            return;
        }
        self.table.resize(size);
        let least = self.pending.map_or(size, |(least, _)| least.min(size));
        self.pending = Some((least, size));
    }

    /// Gives its memory back: the next block tells the peer to empty the table, too.
    pub(crate) fn rest(&mut self) {
        let last = self.table.max();
        if self.table.is_empty() {
            return;
        }
        self.pending = Some((0, last));
        self.table = Table::new(last);
        (self.fields, self.names) = (Index::default(), Index::default());
        self.newest = Vec::new();
    }

    /// Begins a block: announces changes of the table's size.
    #[inline]
    pub fn begin(&mut self, out: &mut Vec<u8>) {
        if let Some((least, last)) = self.pending.take() {
            if least < last {
                integer::write(least, 5, 0x20, out);
            }
            integer::write(last, 5, 0x20, out);
        }
    }

    /// Appends the entry of the static table with this index.
    #[inline]
    pub(crate) fn indexed(&self, index: u8, out: &mut Vec<u8>) {
        out.push(0x80 | index);
    }

    /// Appends one field; `name` is in lower case.
    pub fn field(&mut self, name: &[u8], value: &[u8], secret: Sensitivity, out: &mut Vec<u8>) {
        self.line(&Name::new(name), value, secret, out);
    }

    /// Appends one field.
    pub(crate) fn line(
        &mut self,
        name: &Name<'_>,
        value: &[u8],
        secret: Sensitivity,
        out: &mut Vec<u8>,
    ) {
        let form = match secret {
            Sensitivity::Secret => Form::Never,
            Sensitivity::Normal => form(name, value),
        };
        if form != Form::Never
            && let Some(index) = static_table::find_value(usize::from(name.index), value)
        {
            return integer::write(index, 7, 0x80, out);
        }
        if form == Form::Insert {
            return self.insert(name, value, out);
        }
        let index = self.name_index(name);
        integer::write(index, 4, if form == Form::Never { 0x10 } else { 0 }, out);
        strings(index, name.text, value, out);
    }

    fn insert(&mut self, name: &Name<'_>, value: &[u8], out: &mut Vec<u8>) {
        if name.is_static()
            && let Some(number) = self.newest.get(usize::from(name.index))
            && let Some(index) = self.entry(*number, name, Some(value))
        {
            return integer::write(index, 7, 0x80, out);
        }
        let field_hash = name.hash.rotate_left(7) ^ hash(value);
        if let Some(index) = self.find(&self.fields, field_hash, name, Some(value)) {
            return integer::write(index, 7, 0x80, out);
        }
        let (index, text) = (self.name_index(name), name.text);
        // A field of more than three quarters of the table would push nearly all others out.
        if 4 * (text.len() + value.len() + OVERHEAD) > 3 * self.table.max() {
            integer::write(index, 4, 0, out);
            return strings(index, text, value, out);
        }
        self.table.insert(text, value, name.index);
        let number = self.table.inserted();
        self.fields.add(field_hash, number);
        if name.is_static() {
            self.newest.resize(STATIC.len() + 1, 0);
            if let Some(newest) = self.newest.get_mut(usize::from(name.index)) {
                *newest = number as u16;
            }
        } else {
            self.names.add(name.hash, number);
        }
        integer::write(index, 6, 0x40, out);
        strings(index, text, value, out);
    }

    /// Returns the index of an entry with this name; 0 if no table has it.
    #[inline]
    fn name_index(&self, name: &Name<'_>) -> usize {
        match name.index {
            0 => self.find(&self.names, name.hash, name, None).unwrap_or(0),
            index => usize::from(index),
        }
    }

    /// Returns the index of a dynamic entry with this name, and this value if one is given.
    #[inline]
    fn find(
        &self,
        index: &Index,
        hash: u32,
        name: &Name<'_>,
        value: Option<&[u8]>,
    ) -> Option<usize> {
        let tag = (hash >> 16) as u16;
        let mut slots = index.group(hash).iter().filter(|slot| slot.tag == tag && slot.number != 0);
        slots.find_map(|slot| self.entry(slot.number, name, value))
    }

    /// Returns the index of the dynamic entry with this number, if it has this name, and this value if
    /// one is given.
    #[inline]
    fn entry(&self, number: u16, name: &Name<'_>, value: Option<&[u8]>) -> Option<usize> {
        let distance = usize::from((self.table.inserted() as u16).wrapping_sub(number));
        let found = self.table.get(distance)?;
        let is_name =
            found.note == name.index && (name.is_static() || octets::same(found.name, name.text));
        let is_it = is_name && value.is_none_or(|value| octets::same(found.value, value));
        is_it.then_some(STATIC.len() + 1 + distance)
    }
}

/// The form of a field that no table holds, by the first static index of its name.
static FORMS: [Form; STATIC.len() + 1] = {
    let mut forms = [Form::Insert; STATIC.len() + 1];
    let mut i = 0;
    while i < STATIC.len() {
        forms[i + 1] = form_of(STATIC[i].0.as_bytes());
        i += 1;
    }
    forms
};

/// Returns the form of fields with a name.
const fn form_of(name: &[u8]) -> Form {
    match name {
        b"authorization" | b"proxy-authorization" | b"set-cookie" => Form::Never,
        b":path" | b"content-length" | b"content-range" | b"age" | b"etag"
        | b"if-modified-since" | b"if-none-match" | b"last-modified" | b"location" | b"range"
        | b"x-request-id" | b"traceparent" => Form::Plain,
        _ => Form::Insert,
    }
}

/// Chooses the form of a field that no table holds.
#[inline]
fn form(name: &Name<'_>, value: &[u8]) -> Form {
    match name.index {
        COOKIE if value.len() < SHORT_COOKIE_BYTES => Form::Never,
        0 => form_of(name.text),
        index => FORMS.get(usize::from(index)).copied().unwrap_or(Form::Insert),
    }
}

/// Appends the strings of a literal; the name only if it has no index.
fn strings(index: usize, name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    if index == 0 {
        string(name, out);
    }
    string(value, out);
}

fn string(text: &[u8], out: &mut Vec<u8>) {
    let coded = huffman::encoded_len(text);
    if coded < text.len() {
        integer::write(coded, 7, 0x80, out);
        huffman::encode(text, out);
    } else {
        integer::write(text.len(), 7, 0, out);
        out.extend_from_slice(text);
    }
}

#[cfg(test)]
mod tests;
