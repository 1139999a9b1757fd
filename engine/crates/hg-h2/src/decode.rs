//! The HPACK decoder (RFC 7541): whole blocks into a [`Text`], bounded by fields and octets.

use crate::close::{Close, Reason};
use crate::common::{self, Common};
use crate::octets::{self, Classes};
use crate::static_table::{MARKS, STATIC};
use crate::table::{OVERHEAD, Table};
use crate::text::{Mark, Pseudo, Text, is_plain};
use crate::{huffman, integer};
use hg_proto::Known;

/// Table size updates that may begin a block (RFC 7541 §4.2).
const MOST_UPDATES: u32 = 2;

/// The limits of one block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BlockLimits {
    /// Fields, every crumb of a cookie counted.
    pub fields: usize,
    /// Octets of names and values, with 32 for each field.
    pub bytes: usize,
}

/// The size of the block, compared with the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Size {
    /// All fields are in the text.
    Within,
    /// The block is larger than a limit but at most twice as large. The text holds what fitted; the
    /// table is in step.
    Above,
}

/// Decodes the blocks of one connection, in order.
#[derive(Debug)]
pub struct Decoder {
    table: Table<Mark>,
    /// The greatest size that we announced.
    most: usize,
}

/// Returns what is known of a name; its field has no value yet.
pub(crate) fn named_of(bytes: &[u8]) -> Mark {
    let (name, usual) = octets::name(bytes);
    let common = if name { common::find(bytes) } else { Common::NONE };
    let (known, pseudo) = (Known::of(bytes), Pseudo::of(bytes));
    // The session reads `priority`.
    let plain = name && usual && is_plain(known, pseudo) && bytes != b"priority";
    Mark { known, pseudo, name, value: Classes::of(b""), usual, common, plain }
}

/// The amounts that one block may still hold before it is twice as large as a limit.
struct Count {
    limits: BlockLimits,
    fields: usize,
    bytes: usize,
}

impl Count {
    /// Adds a field; returns whether all are within the limits.
    fn add(&mut self, name: usize, value: usize) -> Result<bool, Close> {
        let fields = self.fields.checked_sub(1);
        let bytes = self.bytes.checked_sub(name + value + OVERHEAD);
        let (Some(fields), Some(bytes)) = (fields, bytes) else {
            return Err(Close::calm(Reason::HeadSize));
        };
        (self.fields, self.bytes) = (fields, bytes);
        Ok(self.fits())
    }

    fn fits(&self) -> bool {
        self.fields >= self.limits.fields && self.bytes >= self.limits.bytes
    }
}

impl Decoder {
    /// Makes a decoder whose table holds at most `most` bytes, the size announced in SETTINGS.
    pub fn new(most: usize) -> Self {
        Self { table: Table::new(most), most }
    }

    /// Gives back the memory that no entry uses.
    pub(crate) fn rest(&mut self) {
        self.table.shrink();
    }

    /// Decodes one whole block into `text`, which is emptied first.
    ///
    /// # Errors
    /// The block is malformed, or more than twice as large as a limit; the connection must be
    /// closed, as the table is out of step.
    pub fn block(
        &mut self,
        mut input: &[u8],
        text: &mut Text,
        limits: BlockLimits,
    ) -> Result<Size, Close> {
        text.clear();
        let mut count = Count { limits, fields: 2 * limits.fields, bytes: 2 * limits.bytes };
        self.size_updates(&mut input)?;
        while let Some((first, rest)) = input.split_first() {
            input = rest;
            if first & 0x80 != 0 {
                let index = index(*first, 7, &mut input)?;
                self.indexed(index, text, &mut count)?;
            } else if first & 0x40 != 0 {
                self.literal(*first, 6, &mut input, text, &mut count)?;
            } else if first & 0x20 != 0 {
                return Err(Close::compression(Reason::HpackSizeUpdate));
            } else {
                self.literal(*first, 4, &mut input, text, &mut count)?;
            }
        }
        Ok(if count.fits() { Size::Within } else { Size::Above })
    }

    fn size_updates(&mut self, input: &mut &[u8]) -> Result<(), Close> {
        let mut updates = 0;
        while let Some((first, rest)) = input.split_first()
            && first & 0xe0 == 0x20
        {
            *input = rest;
            updates += 1;
            let size = index(*first, 5, input)?;
            if size > self.most || updates > MOST_UPDATES {
                return Err(Close::compression(Reason::HpackSizeUpdate));
            }
            self.table.resize(size);
        }
        Ok(())
    }

    #[inline]
    fn indexed(&mut self, index: usize, text: &mut Text, count: &mut Count) -> Result<(), Close> {
        let at = index.wrapping_sub(1);
        if let (Some((name, value)), Some(mark)) = (STATIC.get(at), MARKS.get(at)) {
            if count.add(name.len(), value.len())? {
                text.push(name.as_bytes(), value.as_bytes(), *mark, false);
            }
            return Ok(());
        }
        let found = index.checked_sub(STATIC.len() + 1);
        let Some(found) = found.and_then(|distance| self.table.get(distance)) else {
            return Err(Close::compression(Reason::HpackIndex));
        };
        if count.add(found.name.len(), found.value.len())? {
            text.push(found.name, found.value, found.note, false);
        }
        Ok(())
    }

    /// Decodes a literal; the prefix of 6 bits is the form that enters the table.
    fn literal(
        &mut self,
        first: u8,
        bits: u32,
        input: &mut &[u8],
        text: &mut Text,
        count: &mut Count,
    ) -> Result<(), Close> {
        let index = index(first, bits, input)?;
        let start = text.end();
        let other;
        // By reference: a copy in parts, read as a whole soon after, makes the processor wait.
        let named = match MARKS.get(index.wrapping_sub(1)) {
            Some(mark) => mark,
            None => {
                other = self.name(index, input, text)?;
                &other
            }
        };
        let middle = text.end();
        string(input, text.room())?;
        let value = text.since(middle);
        let name = named.common.name().map_or(text.between(start, middle), str::as_bytes);
        let mark = named.with_value(Classes::of(value));
        if bits == 6 {
            self.table.insert(name, value, mark);
        }
        if count.add(name.len(), value.len())? {
            text.place(start, middle, mark, bits == 4 && first & 0x10 != 0);
        } else {
            text.cut(start);
        }
        Ok(())
    }

    /// Puts the name of a literal into the text, unless it is a common one; returns what is known of
    /// it. The static table does not have it.
    fn name(&mut self, index: usize, input: &mut &[u8], text: &mut Text) -> Result<Mark, Close> {
        if index == 0 {
            let start = text.end();
            string(input, text.room())?;
            let mark = named_of(text.since(start));
            if !mark.common.is_none() {
                text.cut(start);
            }
            return Ok(mark);
        }
        let found = self.table.get(index.saturating_sub(STATIC.len() + 1));
        let found = found.ok_or(Close::compression(Reason::HpackIndex))?;
        if found.note.common.is_none() {
            text.room().extend_from_slice(found.name);
        }
        Ok(found.note)
    }
}

#[inline]
fn index(first: u8, bits: u32, input: &mut &[u8]) -> Result<usize, Close> {
    integer::read(first, bits, input).ok_or(Close::compression(Reason::HpackInteger))
}

/// Appends a string literal (RFC 7541 §5.2).
#[inline]
fn string(input: &mut &[u8], out: &mut Vec<u8>) -> Result<(), Close> {
    let fault = Close::compression(Reason::HpackString);
    let (first, rest) = input.split_first().ok_or(fault)?;
    *input = rest;
    let len = index(*first, 7, input)?;
    let (octets, rest) = input.split_at_checked(len).ok_or(fault)?;
    *input = rest;
    if first & 0x80 == 0 {
        out.extend_from_slice(octets);
        return Ok(());
    }
    huffman::decode(octets, out).map_err(|_| fault)
}

#[cfg(test)]
mod tests;
