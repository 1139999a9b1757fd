//! Hashes of values, which show what an edit changed.

use crate::value::Value;
use sha2::{Digest as _, Sha256};

/// The first 128 bits of a sha256 over a value; the same on every machine.
///
/// Equal values have equal hashes; the order of a map's entries counts.
pub type SubtreeHash = [u8; 16];

/// Hashes values one after the other in one buffer.
#[derive(Default)]
pub(crate) struct Hasher {
    buffer: Vec<u8>,
}

impl Hasher {
    pub(crate) fn hash<M>(&mut self, value: &Value<M>) -> SubtreeHash {
        self.buffer.clear();
        self.write(value);
        let full = Sha256::digest(&self.buffer);
        let mut cut = SubtreeHash::default();
        cut.iter_mut().zip(full).for_each(|(to, from)| *to = from);
        cut
    }

    /// Writes each value as a letter, then its content; lengths come first, so that no two values
    /// have the same bytes.
    fn write<M>(&mut self, value: &Value<M>) {
        match value {
            Value::Null => self.buffer.push(b'n'),
            Value::Bool(false) => self.buffer.push(b'f'),
            Value::Bool(true) => self.buffer.push(b't'),
            Value::Int(number) => self.tagged(b'i', number.to_le_bytes()),
            Value::Float(number) => self.tagged(b'd', number.to_le_bytes()),
            Value::Str(text) => self.text(text),
            Value::List(items) => {
                self.tagged(b'l', (items.len() as u64).to_le_bytes());
                items.iter().for_each(|item| self.write(&item.value));
            }
            Value::Map(map) => {
                self.tagged(b'm', (map.entries().len() as u64).to_le_bytes());
                for entry in map.entries() {
                    self.text(&entry.key);
                    self.write(&entry.value);
                }
            }
        }
    }

    fn text(&mut self, text: &str) {
        self.tagged(b's', (text.len() as u64).to_le_bytes());
        self.buffer.extend_from_slice(text.as_bytes());
    }

    fn tagged(&mut self, tag: u8, bytes: [u8; 8]) {
        self.buffer.push(tag);
        self.buffer.extend_from_slice(&bytes);
    }
}
