//! What of the client's head goes along to the service.

use super::{MARK, OURS};
use crate::headers::{is_spelling, push_line};
use hg_proto::Known;
use hg_route::Headers;

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
    pub(super) fn append(&self, headers: &dyn Headers, out: &mut Vec<u8>) {
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

    fn push(&self, out: &mut Vec<u8>, name: &str, value: &[u8]) {
        if self.cookies.is_empty() || !name.eq_ignore_ascii_case("cookie") {
            return push_line(out, name, value);
        }
        let wanted = |pair: &&[u8]| {
            let name = pair.split(|b| *b == b'=').next().unwrap_or_default();
            self.cookies.iter().any(|one| one.as_bytes() == name)
        };
        let pairs = value.split(|b| *b == b';').map(<[u8]>::trim_ascii).filter(wanted);
        let kept = pairs.collect::<Vec<_>>().join(&b"; "[..]);
        if !kept.is_empty() {
            push_line(out, "cookie", &kept);
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
