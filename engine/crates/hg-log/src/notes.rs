//! The parts of a request that the log keeps until its line is written: headers of its head, and
//! claims of the token that let it in.

use crate::claims::LoggedClaims;
use crate::headers::LoggedHeaders;
use crate::layout::Layout;
use crate::record::MAX_VALUE_BYTES;
use crate::veil::Veil;
use hg_plan::{AccessLog, Redaction};
use hg_proto::Fields;

/// The choice of what the log keeps of requests while one plan is served.
#[derive(Debug, Default)]
pub struct Kept {
    /// The parts that it hides.
    pub veil: Veil,
    headers: LoggedHeaders,
    /// The claims that its lines have.
    pub claims: LoggedClaims,
}

impl Kept {
    /// Returns what a plan asks for.
    pub fn new(log: Option<&AccessLog>, redaction: &Redaction) -> Self {
        // A log that cannot be laid out was refused by the check.
        let layout = log.and_then(|log| Layout::of(log).ok().flatten());
        let fields = layout.map(|layout| layout.fields()).unwrap_or_default();
        Self {
            veil: Veil::new(redaction),
            headers: LoggedHeaders::new(&fields, redaction),
            claims: LoggedClaims::new(&fields),
        }
    }
}

/// The values kept of one request, in buffers that the next one uses again.
#[derive(Debug, Default)]
pub struct Notes {
    headers: Vec<u8>,
    claims: Vec<u8>,
}

impl Notes {
    /// Keeps the headers of a head that lines have: of each the first 1 KiB, its lines joined by
    /// `, `, without credentials. Allocates only to grow the buffer.
    pub fn note_headers(&mut self, kept: &Kept, fields: Fields<'_, '_>) {
        kept.headers.note(fields, &kept.veil, &mut self.headers);
    }

    /// Keeps the claims that lines have, in place of those kept before: of each the first 1 KiB of
    /// what `value` returns for its name (empty for one that there is not), without credentials.
    /// Allocates only to grow the buffer.
    pub fn note_claims<'v>(&mut self, kept: &Kept, value: impl Fn(&str) -> &'v str) {
        self.claims.clear();
        kept.claims.note(value, &kept.veil, &mut self.claims);
    }

    /// Forgets all, and keeps so many bytes of room in each buffer at most.
    pub fn clear(&mut self, most: usize) {
        for buffer in [&mut self.headers, &mut self.claims] {
            buffer.clear();
            buffer.shrink_to(most);
        }
    }

    /// Reads what was kept, by what the log kept when the request began.
    pub fn read<'a>(&'a self, kept: &'a Kept) -> Noted<'a> {
        Noted(Some((kept, self)))
    }
}

/// The headers and the claims of a request, as lines show them.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noted<'a>(Option<(&'a Kept, &'a Notes)>);

impl<'a> Noted<'a> {
    /// Returns the value of a header; empty if the request had none, or nobody looked for it.
    pub(crate) fn header(&self, name: &str) -> &'a [u8] {
        let Some((kept, notes)) = self.0 else { return b"" };
        find(kept.headers.names(), name, &notes.headers)
    }

    /// Returns the value of a claim; empty if no token was verified, if the token did not have it, or
    /// if nobody looked for it.
    pub(crate) fn claim(&self, name: &str) -> &'a [u8] {
        let Some((kept, notes)) = self.0 else { return b"" };
        find(kept.claims.names().iter().map(|one| &**one), name, &notes.claims)
    }
}

/// Appends a value, for [`find`]: its length in two bytes, and the first 1 KiB of what `write` makes.
pub(crate) fn push(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let length_at = out.len();
    out.extend_from_slice(&[0; 2]);
    let start = out.len();
    write(out);
    out.truncate(start + MAX_VALUE_BYTES);
    let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
    if let Some(place) = out.get_mut(length_at..start) {
        place.copy_from_slice(&length.to_le_bytes());
    }
}

/// Returns the value of a name among those that were pushed for these names, one after the other;
/// empty if it is not there.
fn find<'n, 'v>(names: impl Iterator<Item = &'n str>, name: &str, values: &'v [u8]) -> &'v [u8] {
    let mut rest = values;
    for one in names {
        let Some((length, after)) = rest.split_first_chunk::<2>() else {
            return b"";
        };
        let length = usize::from(u16::from_le_bytes(*length));
        let (value, after) = after.split_at_checked(length).unwrap_or_default();
        if one == name {
            return value;
        }
        rest = after;
    }
    b""
}

#[cfg(test)]
#[path = "notes_tests.rs"]
mod tests;
