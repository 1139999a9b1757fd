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

    /// Writes the name or address of a server, and its port if there is one. An IPv6 address has no
    /// brackets there, as the conventions want it.
    pub fn server(&mut self, host: &[u8]) -> &mut Self {
        let (name, port) = parts_of(host);
        self.text("server.address", name);
        if let Some(port) = port {
            self.number("server.port", port.into());
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

    /// Does the same under a key of two parts, one after the other.
    pub fn write_under(&mut self, lead: &str, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
        wire::nested(self.out, self.field, |out| {
            wire::head(out, 1, lead.len() + key.len());
            out.extend_from_slice(lead.as_bytes());
            out.extend_from_slice(key.as_bytes());
            wire::nested(out, 2, value);
        });
    }
}

/// Writes the fields of a `KeyValue`.
pub(crate) fn attribute(out: &mut Vec<u8>, key: &str, value: impl FnOnce(&mut Vec<u8>)) {
    wire::bytes(out, 1, key.as_bytes());
    wire::nested(out, 2, value);
}

/// Returns a host without its port and without brackets, and the port if there is one.
fn parts_of(host: &[u8]) -> (&[u8], Option<u16>) {
    let bracketed = host.strip_prefix(b"[").and_then(|rest| {
        let end = rest.iter().position(|b| *b == b']')?;
        Some((rest.get(..end)?, rest.get(end + 1..)?))
    });
    let (name, rest) = bracketed.unwrap_or_else(|| {
        let end = host.iter().position(|b| *b == b':').unwrap_or(host.len());
        host.split_at_checked(end).unwrap_or((host, b""))
    });
    let digits = rest.strip_prefix(b":").and_then(|port| std::str::from_utf8(port).ok());
    (name, digits.and_then(|port| port.parse().ok()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_has_a_name_without_brackets_and_a_port() {
        for (host, wanted) in [
            (&b"a.example"[..], (&b"a.example"[..], None)),
            (b"a.example:80", (b"a.example", Some(80))),
            (b"[::1]:8080", (b"::1", Some(8080))),
            (b"[::1]", (b"::1", None)),
            (b"[::1", (b"[", None)),
            (b"a:", (b"a", None)),
            (b"a:99999", (b"a", None)),
            (b"", (b"", None)),
        ] {
            assert_eq!(parts_of(host), wanted, "{}", host.escape_ascii());
        }
    }
}
