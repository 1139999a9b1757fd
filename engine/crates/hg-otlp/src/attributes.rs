//! The attributes of an item.

use crate::wire;

/// Most bytes of a text in an attribute.
const TEXT_BYTES: usize = 2048;

/// Writes attributes as a field of an item (`KeyValue` of `common.proto`). Allocates only to grow the
/// buffer, and for texts that are not UTF-8.
pub struct Attributes<'a> {
    out: &'a mut Vec<u8>,
    field: u32,
}

impl<'a> Attributes<'a> {
    /// Appends to an item, whose field for attributes this is.
    pub fn new(out: &'a mut Vec<u8>, field: u32) -> Self {
        Self { out, field }
    }

    /// Writes a text, cut at 2 KiB; an empty one is left out.
    pub fn text(&mut self, key: &str, value: &[u8]) -> &mut Self {
        self.long_text(key, value, TEXT_BYTES)
    }

    /// Writes a text, cut at so many bytes; an empty one is left out.
    pub fn long_text(&mut self, key: &str, value: &[u8], most: usize) -> &mut Self {
        if !value.is_empty() {
            self.write(key, |out| wire::text(out, 1, value, most));
        }
        self
    }

    /// Writes a number.
    pub fn number(&mut self, key: &str, value: u64) -> &mut Self {
        self.write(key, |out| wire::number(out, 3, value));
        self
    }

    /// Writes true or false.
    pub fn flag(&mut self, key: &str, value: bool) -> &mut Self {
        self.write(key, |out| wire::number(out, 2, value.into()));
        self
    }

    /// Writes what `value` makes of an `AnyValue`.
    pub fn write(&mut self, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        wire::nested(self.out, self.field, |out| attribute(out, key, value));
    }
}

/// Writes the fields of a `KeyValue`.
pub(crate) fn attribute(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    wire::bytes(out, 1, key.as_bytes());
    wire::nested(out, 2, value);
}
