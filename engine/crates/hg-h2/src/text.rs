//! The fields of one decoded block, in one buffer that is used again.

use crate::common::Common;
use crate::octets::Classes;
use hg_proto::Known;

/// The decoder's findings about one field, made once per entry of the table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The known name that it has.
    pub known: Known,
    /// Its name is a field name.
    pub name: bool,
    /// The classes of its value.
    pub value: Classes,
    /// Its name has letters, digits and hyphens only.
    pub usual: bool,
    /// The pseudo field that it is.
    pub pseudo: Pseudo,
    /// Its name, if it is a common one.
    pub common: Common,
    /// It is sound, and means nothing to frames and to the hop: most fields.
    pub plain: bool,
}

/// The pseudo fields of requests and responses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pseudo {
    /// An ordinary field.
    No,
    Method,
    Scheme,
    Authority,
    Path,
    Protocol,
    Status,
    Unknown,
}

impl Pseudo {
    pub(crate) const fn of(name: &[u8]) -> Pseudo {
        match name {
            b":method" => Pseudo::Method,
            b":scheme" => Pseudo::Scheme,
            b":authority" => Pseudo::Authority,
            b":path" => Pseudo::Path,
            b":protocol" => Pseudo::Protocol,
            b":status" => Pseudo::Status,
            [b':', ..] => Pseudo::Unknown,
            _ => Pseudo::No,
        }
    }
}

impl Mark {
    /// Completes what is known of a name by whether its value is sound.
    #[inline]
    pub(crate) fn with_value(&self, value: Classes) -> Mark {
        Mark { value, plain: self.plain && value.is_value(), ..*self }
    }
}

/// Reports whether a sound field with this name may be [`Mark::plain`].
pub(crate) const fn is_plain(known: Known, pseudo: Pseudo) -> bool {
    let special = matches!(
        known,
        Known::Host
            | Known::Cookie
            | Known::Expect
            | Known::Trailer
            | Known::ContentType
            | Known::ContentLength
            | Known::SecWebSocketKey
    );
    matches!(pseudo, Pseudo::No) && !special && !known.is_hop() && !known.is_client_claim()
}

/// The place of octets in a [`Text`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Span {
    pub at: u32,
    pub len: u32,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct Placed {
    at: u32,
    /// 0 if the name is a common one, which is not in the buffer.
    name_len: u32,
    value_len: u32,
    pub mark: Mark,
    pub never_indexed: bool,
}

/// One field of a decoded block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name as it came.
    pub name: &'a [u8],
    /// The value as it came.
    pub value: &'a [u8],
    /// The known name that it has.
    pub known: Known,
    /// True if the sender forbids to put it into a table (RFC 7541 §6.2.3); a proxy forwards it so.
    pub never_indexed: bool,
}

/// The fields of the block that was decoded last.
#[derive(Debug, Default)]
pub struct Text {
    bytes: Vec<u8>,
    fields: Vec<Placed>,
    /// True if one of them must not enter a table.
    never_indexed: bool,
}

impl Text {
    /// Makes an empty one.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the number of fields, pseudo fields and every crumb of a cookie included.
    pub fn len(&self) -> usize {
        self.fields.len()
    }

    /// Reports whether there is no field.
    pub fn is_empty(&self) -> bool {
        self.fields.is_empty()
    }

    /// Reports whether a field must not enter a table.
    #[inline]
    pub(crate) fn has_never_indexed(&self) -> bool {
        self.never_indexed
    }

    /// Returns all fields in order, pseudo fields included.
    pub fn iter(&self) -> impl Iterator<Item = Field<'_>> {
        self.marked().map(|(field, _, _)| field)
    }

    /// Returns all fields with what is known of their octets and where the value stands.
    #[inline]
    pub(crate) fn marked(&self) -> impl Iterator<Item = (Field<'_>, &Mark, Span)> {
        self.fields.iter().filter_map(|placed| self.field(placed))
    }

    /// Returns where the fields stand, in order.
    pub(crate) fn placed(&self) -> &[Placed] {
        &self.fields
    }

    /// Returns a field that [`Text::placed`] has.
    #[inline]
    pub(crate) fn field<'t>(&'t self, placed: &'t Placed) -> Option<(Field<'t>, &'t Mark, Span)> {
        let (name, value) = placed.spans();
        let field = Field {
            name: match placed.mark.common.name() {
                Some(name) => name.as_bytes(),
                None => self.bytes(name)?,
            },
            value: self.bytes(value)?,
            known: placed.mark.known,
            never_indexed: placed.never_indexed,
        };
        Some((field, &placed.mark, value))
    }

    /// Returns a name that is sound.
    #[inline]
    pub(crate) fn name(&self, placed: &Placed) -> &str {
        match placed.mark.common.name() {
            Some(name) => name,
            None => {
                let bytes = self.bytes(placed.spans().0).unwrap_or_default();
                std::str::from_utf8(bytes).unwrap_or_default()
            }
        }
    }

    /// Returns octets that are checked or will be: those of a pseudo field out of `head`, which is
    /// [`Text::head`]. Empty if they are not text.
    #[inline]
    pub(crate) fn str<'t>(&'t self, head: &'t str, span: Span) -> &'t str {
        match head.get(span.at as usize..(span.at + span.len) as usize) {
            Some(text) => text,
            None => std::str::from_utf8(self.bytes(span).unwrap_or_default()).unwrap_or_default(),
        }
    }

    /// Returns the first octets as text, those of the pseudo fields, so that each need not be
    /// looked at again. Empty if one of them is not text.
    #[inline]
    pub(crate) fn head(&self, end: u32) -> &str {
        let bytes = self.bytes.get(..end as usize).unwrap_or_default();
        std::str::from_utf8(bytes).unwrap_or_default()
    }

    pub(crate) fn bytes(&self, span: Span) -> Option<&[u8]> {
        self.bytes.get(span.at as usize..(span.at + span.len) as usize)
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.fields.clear();
        self.never_indexed = false;
    }

    /// Makes one field of all with this name, their values joined with `; `; it has the place of the
    /// first.
    pub(crate) fn join(&mut self, known: Known) {
        let start = self.bytes.len();
        let (mut first, mut never_indexed) = (None, false);
        for (at, placed) in self.fields.iter().enumerate() {
            if placed.mark.known != known {
                continue;
            }
            let value = placed.spans().1;
            // An empty one would leave a blank at the end.
            if value.len > 0 && self.bytes.len() > start {
                self.bytes.extend_from_slice(b"; ");
            }
            self.bytes.extend_from_within(value.at as usize..(value.at + value.len) as usize);
            first = first.or(Some(at));
            never_indexed |= placed.never_indexed;
        }
        let value_len = self.bytes.len() - start;
        let Some(first) = first else { return };
        if let Some(placed) = self.fields.get_mut(first) {
            placed.at = start as u32;
            (placed.name_len, placed.value_len) = (0, value_len as u32);
            placed.mark.common = crate::common::find(known.as_str().as_bytes());
            placed.never_indexed = never_indexed;
        }
        let mut at = 0;
        self.fields.retain(|placed| {
            at += 1;
            at == first + 1 || placed.mark.known != known
        });
    }

    /// Returns where the next octets go.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.bytes.len()
    }

    /// Returns the buffer, to be appended to.
    #[inline]
    pub(crate) fn room(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    pub(crate) fn since(&self, start: usize) -> &[u8] {
        self.bytes.get(start..).unwrap_or_default()
    }

    pub(crate) fn between(&self, start: usize, end: usize) -> &[u8] {
        self.bytes.get(start..end).unwrap_or_default()
    }

    /// Drops what was appended from a place on.
    pub(crate) fn cut(&mut self, start: usize) {
        self.bytes.truncate(start);
    }

    /// Makes a field of octets that were appended: the name up to `middle`, then the value.
    #[inline]
    pub(crate) fn place(&mut self, start: usize, middle: usize, mark: Mark, never_indexed: bool) {
        self.never_indexed |= never_indexed;
        let (name_len, value_len) = ((middle - start) as u32, (self.bytes.len() - middle) as u32);
        self.fields.push(Placed { at: start as u32, name_len, value_len, mark, never_indexed });
    }

    #[inline]
    pub(crate) fn push(&mut self, name: &[u8], value: &[u8], mark: Mark, never_indexed: bool) {
        self.never_indexed |= never_indexed;
        let at = self.bytes.len() as u32;
        let name = if mark.common.is_none() { name } else { &[] };
        self.bytes.extend_from_slice(name);
        self.bytes.extend_from_slice(value);
        let (name_len, value_len) = (name.len() as u32, value.len() as u32);
        self.fields.push(Placed { at, name_len, value_len, mark, never_indexed });
    }
}

impl Placed {
    pub(crate) fn spans(&self) -> (Span, Span) {
        let name = Span { at: self.at, len: self.name_len };
        (name, Span { at: self.at + self.name_len, len: self.value_len })
    }
}
