//! The names of fields that no table may hold.

use crate::encode::Sensitivity;

/// The names of those fields of a message that its sender forbids to put into a table, at every hop
/// (RFC 7541 §6.2.3): for messages that pass as text of HTTP/1, which has no word for it. Every field
/// with such a name counts, so that nothing slips through that was rewritten on its way.
#[derive(Clone, Debug, Default)]
pub struct NeverIndexed(Vec<u8>);

impl NeverIndexed {
    /// No names.
    pub const NONE: &'static NeverIndexed = &NeverIndexed(Vec::new());

    /// Adds a name; it has no line feed.
    pub(crate) fn add(&mut self, name: &[u8]) {
        if !self.has(name) {
            self.0.extend_from_slice(name);
            self.0.push(b'\n');
        }
    }

    /// Adds those of another message, parts of which go into this one.
    pub fn absorb(&mut self, other: &Self) {
        other.0.split(|b| *b == b'\n').filter(|name| !name.is_empty()).for_each(|n| self.add(n));
    }

    /// Adds a field that tells what another one does, if that one is among these.
    pub fn derive(&mut self, told: &str, of: &str) {
        if self.has(of.as_bytes()) {
            self.add(told.as_bytes());
        }
    }

    /// Returns how a field with this name, in any case, is sent.
    #[inline]
    pub fn sensitivity(&self, name: &[u8]) -> Sensitivity {
        if !self.0.is_empty() && self.has(name) { Sensitivity::Secret } else { Sensitivity::Normal }
    }

    fn has(&self, name: &[u8]) -> bool {
        self.0.split(|b| *b == b'\n').any(|known| known.eq_ignore_ascii_case(name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_come_from_other_messages_and_from_what_fields_tell() {
        let mut never = NeverIndexed::default();
        never.absorb(NeverIndexed::NONE);
        never.derive("x-path", ":path");
        assert!(never.0.is_empty());
        let mut other = NeverIndexed::default();
        other.add(b":path");
        other.add(b"x-key");
        never.add(b"x-key");
        never.absorb(&other);
        never.derive("x-path", ":path");
        assert_eq!(never.0, b"x-key\n:path\nx-path\n");
    }

    #[test]
    fn names_are_known_in_any_case_and_only_whole() {
        assert_eq!(NeverIndexed::NONE.sensitivity(b"x"), Sensitivity::Normal);
        let mut never = NeverIndexed::default();
        for name in [&b"x-key"[..], b":path", b"x-key"] {
            never.add(name);
        }
        assert_eq!(never.0, b"x-key\n:path\n");
        for name in [&b"x-key"[..], b"X-Key", b":path"] {
            assert_eq!(never.sensitivity(name), Sensitivity::Secret);
        }
        for name in [&b"x-ke"[..], b"x-key2", b"key", b"path"] {
            assert_eq!(never.sensitivity(name), Sensitivity::Normal);
        }
    }
}
