//! `Connection` options (RFC 9110 §7.6.1): persistence, upgrade, and the names that stay on this hop.

use crate::fields::Tag;
use crate::known::Known;

/// Names that `Connection` may list beyond the usual options; a longer list counts as an attack.
const MAX_NOMINATED: usize = 32;

/// The statements of a head about its connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Connection {
    /// True if the peer allows the connection to stay open after this message (HTTP/1.0 and 1.1
    /// rules).
    pub keep_alive: bool,
    /// `Connection: upgrade` with `Upgrade: websocket` and nothing else; see
    /// [`crate::websocket::check_request`] for the rest of the handshake.
    pub upgrade_websocket: bool,
    /// True if the client accepts trailers (`TE: trailers`).
    pub te_trailers: bool,
    /// Number of fields that `Connection` names, which are therefore not forwarded.
    pub nominated: u8,
    /// Number of protected names that `Connection` listed, which are ignored.
    pub ignored: u8,
}

/// The options of all `Connection` lines together.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Options {
    pub close: bool,
    pub keep_alive: bool,
    pub upgrade: bool,
    pub nominated: u8,
    pub ignored: u8,
}

/// The listed options were not tokens, or too many.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BadOptions;

/// Elements of a comma-separated list without surrounding white space; empty ones are skipped
/// (RFC 9110 §5.6.1.2).
pub(crate) fn elements(value: &[u8]) -> impl Iterator<Item = &[u8]> {
    value.split(|&b| b == b',').map(trim).filter(|e| !e.is_empty())
}

/// Returns the value without surrounding spaces and tabs.
pub(crate) fn trim(mut value: &[u8]) -> &[u8] {
    while let [b' ' | b'\t', rest @ ..] = value {
        value = rest;
    }
    while let [rest @ .., b' ' | b'\t'] = value {
        value = rest;
    }
    value
}

/// Reports whether the byte is a `tchar` of RFC 9110 §5.6.2.
pub(crate) const fn is_tchar(b: u8) -> bool {
    matches!(b,
        b'!' | b'#' | b'$' | b'%' | b'&' | b'\'' | b'*' | b'+' | b'-' | b'.' | b'^' | b'_' | b'`'
        | b'|' | b'~' | b'0'..=b'9' | b'a'..=b'z' | b'A'..=b'Z')
}

/// Reports whether the bytes are a `token` of RFC 9110 §5.6.2, such as a method or a field name.
pub fn is_token(bytes: &[u8]) -> bool {
    !bytes.is_empty() && bytes.iter().all(|&b| is_tchar(b))
}

impl Options {
    /// Reads every `Connection` line and marks in `tags` the fields that it names.
    pub(crate) fn read(
        headers: &[httparse::Header<'_>],
        tags: &mut [Tag],
    ) -> Result<Options, BadOptions> {
        let mut options = Options::default();
        let mut names = 0;
        for at in 0..headers.len() {
            if tags.get(at).is_none_or(|t| t.known != Known::Connection) {
                continue;
            }
            let Some(line) = headers.get(at) else {
                continue;
            };
            // Nearly every line is exactly one of the usual words.
            if options.known(line.value) {
                continue;
            }
            for element in elements(line.value) {
                if !options.known(element) {
                    names += 1;
                    if names > MAX_NOMINATED || !is_token(element) {
                        return Err(BadOptions);
                    }
                    options.nominate(element, headers, tags);
                }
            }
        }
        Ok(options)
    }

    #[inline]
    fn known(&mut self, element: &[u8]) -> bool {
        if element.eq_ignore_ascii_case(b"close") {
            self.close = true;
        } else if element.eq_ignore_ascii_case(b"keep-alive") {
            self.keep_alive = true;
        } else if element.eq_ignore_ascii_case(b"upgrade") {
            self.upgrade = true;
        } else {
            return false;
        }
        true
    }

    fn nominate(&mut self, name: &[u8], headers: &[httparse::Header<'_>], tags: &mut [Tag]) {
        if Known::of(name).is_protected() {
            self.ignored = self.ignored.saturating_add(1);
            return;
        }
        for (header, tag) in headers.iter().zip(tags) {
            if !tag.hop && header.name.as_bytes().eq_ignore_ascii_case(name) {
                tag.hop = true;
                self.nominated = self.nominated.saturating_add(1);
            }
        }
    }
}
