//! The parts of the client's head that go along to the service.

use super::{MARK, OURS};
use crate::headers::{is_spelling, push_line};
use hg_proto::Known;
use hg_route::Headers;

/// The most header lines of a question, bytes.
pub(super) const MOST_QUESTION: usize = 64 * 1024;
/// The same where a failure of the service opens the route: what common servers read at least, so that
/// no client makes the service fail by the length of what it sends.
pub(super) const MOST_OPEN: usize = 8 * 1024 - 512;

/// The header lines of a question, as far as there is room.
pub(super) struct Question {
    lines: Vec<u8>,
    most: usize,
    is_over: bool,
}

impl Question {
    /// Makes one that may have so many bytes.
    pub(super) fn new(most: usize) -> Self {
        Self { lines: Vec::with_capacity(512), most, is_over: false }
    }

    /// Appends a line `name: value\r\n`; once one has no room, none has.
    pub(super) fn push(&mut self, name: &str, value: &[u8]) {
        let more = name.len().saturating_add(value.len()).saturating_add(4);
        self.is_over |= self.lines.len().saturating_add(more) > self.most;
        if !self.is_over {
            push_line(&mut self.lines, name, value);
        }
    }

    /// Returns the lines; nothing if they are too many.
    pub(super) fn finish(self) -> Option<Vec<u8>> {
        (!self.is_over).then_some(self.lines)
    }
}

/// The lines of the client that the service gets.
#[derive(Debug)]
pub(super) struct Chosen {
    /// Names in lower case; `None` = all that are for both ends and that we do not write.
    pub(super) names: Option<Box<[Box<str>]>>,
    /// The cookies that go along; none = all.
    pub(super) cookies: Box<[Box<str>]>,
}

impl Chosen {
    /// Appends the lines, each `name: value\r\n`.
    pub(super) fn append(&self, headers: &dyn Headers, out: &mut Question) {
        match &self.names {
            Some(names) => names.iter().for_each(|name| {
                headers.each(name, &mut |value| self.push(out, name, value));
            }),
            None => headers.end_to_end(&mut |name, value| {
                if is_clients(name) {
                    self.push(out, name, value);
                }
            }),
        }
    }

    fn push(&self, out: &mut Question, name: &str, value: &[u8]) {
        if self.cookies.is_empty() || !name.eq_ignore_ascii_case("cookie") {
            return out.push(name, value);
        }
        let wanted = |pair: &&[u8]| {
            let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
            self.cookies.iter().any(|one| one.as_bytes() == name)
        };
        let pairs = value.split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(wanted);
        let kept = pairs.collect::<Vec<_>>().join(&b"; "[..]);
        if !kept.is_empty() {
            out.push("cookie", &kept);
        }
    }
}

/// Reports whether a name is neither of the connection, nor of a body that is not sent, nor one by
/// which the node says who the client is and what it asks for, in any spelling that a service may
/// take for it.
fn is_clients(name: &str) -> bool {
    let known = Known::folded(name.as_bytes());
    let is_framing =
        known.is_hop() || known.is_ours() || matches!(known, Known::Expect | Known::Trailer);
    let is_written =
        || OURS.iter().chain(&[MARK]).any(|one| is_spelling(one.as_bytes(), name.as_bytes()));
    !is_framing && !known.is_client_claim() && !is_written()
}
