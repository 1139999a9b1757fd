//! A head's fields: borrowed names and values with a tag each.

use crate::admission::{Admission, Withheld};
use crate::known::Known;
use smallvec::SmallVec;
use std::mem::MaybeUninit;

/// Most header lines that a head can have, whatever the configured limit.
pub const MAX_HEADERS: usize = 256;

/// The parser's findings about one field: which [`Known`] name it has, and whether it stays on this
/// hop.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Its name.
    pub known: Known,
    /// Not forwarded: hop-by-hop by its name, or because `Connection` names it.
    pub hop: bool,
    /// Must not enter a table of header compression, here and behind (RFC 7541 §6.2.3).
    pub secret: bool,
}

impl Tag {
    pub(crate) const NONE: Tag = Tag { known: Known::Other, hop: false, secret: false };

    /// Makes the tag of a line with this name.
    #[inline]
    pub fn of(known: Known) -> Tag {
        Tag { known, hop: known.is_hop(), secret: false }
    }
}

/// Room for one head's fields, on the caller's stack. Make a new one for every parse; it costs
/// nothing.
pub struct HeaderSlots<'b> {
    pub(crate) raw: [MaybeUninit<httparse::Header<'b>>; MAX_HEADERS],
    pub(crate) tags: [Tag; MAX_HEADERS],
}

impl HeaderSlots<'_> {
    /// Makes empty slots.
    #[inline]
    pub fn new() -> Self {
        Self { raw: [const { MaybeUninit::uninit() }; MAX_HEADERS], tags: [Tag::NONE; MAX_HEADERS] }
    }
}

impl Default for HeaderSlots<'_> {
    fn default() -> Self {
        Self::new()
    }
}

/// Lines that are kept on the stack; a head with more allocates.
const FEW: usize = 64;

/// Room for the fields of a head that did not come as HTTP/1 text, on the caller's stack.
#[derive(Default)]
pub struct Lines<'b> {
    headers: SmallVec<[httparse::Header<'b>; FEW]>,
    tags: SmallVec<[Tag; FEW]>,
    withheld: Withheld,
}

impl<'b> Lines<'b> {
    /// Makes empty room.
    #[inline]
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a line. The name is a token; the value has no control character but tab.
    #[inline]
    pub fn push(&mut self, name: &'b str, value: &'b [u8], tag: Tag) {
        self.headers.push(httparse::Header { name, value });
        self.tags.push(tag);
    }

    /// Appends a line of a client's head, or drops and counts it if `admission` does not accept it.
    pub fn admit(&mut self, admission: Admission, name: &'b str, value: &'b [u8], tag: Tag) {
        if self.withheld.note(admission, tag.known, name.as_bytes()) {
            self.push(name, value, tag);
        }
    }

    /// Returns how many lines were dropped.
    pub fn withheld(&self) -> Withheld {
        self.withheld
    }

    /// Returns the lines that were appended.
    #[inline]
    pub fn fields(&self) -> Fields<'_, 'b> {
        Fields { headers: &self.headers, tags: &self.tags }
    }
}

/// One field of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'b> {
    /// The name as sent; a token.
    pub name: &'b str,
    /// The value without surrounding white space; may hold bytes ≥ 0x80 and no control character
    /// but tab.
    pub value: &'b [u8],
    /// The known name that it has.
    pub known: Known,
    /// True if the field is not forwarded (hop-by-hop or named in `Connection`).
    pub hop: bool,
    /// True if the field must not enter a table of header compression.
    pub secret: bool,
}

/// The fields of a head, in the order they came.
#[derive(Clone, Copy, Debug)]
pub struct Fields<'s, 'b> {
    headers: &'s [httparse::Header<'b>],
    tags: &'s [Tag],
}

impl<'s, 'b> Fields<'s, 'b> {
    pub(crate) fn new(headers: &'s [httparse::Header<'b>], tags: &'s [Tag]) -> Self {
        Self { headers, tags }
    }

    /// Returns the number of lines.
    pub fn len(&self) -> usize {
        self.headers.len()
    }

    /// Reports whether there is no line.
    pub fn is_empty(&self) -> bool {
        self.headers.is_empty()
    }

    /// Returns all lines, in order.
    #[inline]
    pub fn iter(&self) -> impl Iterator<Item = Field<'b>> + use<'s, 'b> {
        self.headers.iter().zip(self.tags).map(|(h, t)| Field {
            name: h.name,
            value: h.value,
            known: t.known,
            hop: t.hop,
            secret: t.secret,
        })
    }

    /// Returns the value of the first line of a known name.
    #[inline]
    pub fn get(&self, known: Known) -> Option<&'b [u8]> {
        let at = self.tags.iter().position(|t| t.known == known)?;
        self.headers.get(at).map(|h| h.value)
    }

    /// Values of every line of a known name, in order.
    pub fn each(&self, known: Known) -> impl DoubleEndedIterator<Item = &'b [u8]> + use<'s, 'b> {
        self.headers
            .iter()
            .zip(self.tags)
            .filter(move |(_, t)| t.known == known)
            .map(|(h, _)| h.value)
    }

    /// Values of every line of this name in any case, in order.
    pub fn named<'n>(&self, name: &'n str) -> impl Iterator<Item = &'b [u8]> + use<'s, 'b, 'n> {
        self.headers.iter().filter(move |h| h.name.eq_ignore_ascii_case(name)).map(|h| h.value)
    }
}
