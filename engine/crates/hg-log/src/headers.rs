//! The request headers that lines have: which ones, and their values until the line is written.

use crate::layout::{Field, Layout};
use crate::record::MAX_VALUE_BYTES;
use crate::veil::{HIDDEN, Veil};
use hg_plan::{AccessLog, Redaction};
use hg_proto::Fields;

/// What the log keeps of requests while one plan is served.
#[derive(Debug, Default)]
pub struct Kept {
    /// What it hides.
    pub veil: Veil,
    /// The headers that its lines have.
    pub headers: LoggedHeaders,
}

impl Kept {
    /// Returns what a plan asks for.
    pub fn new(log: Option<&AccessLog>, redaction: &Redaction) -> Self {
        Self { veil: Veil::new(redaction), headers: LoggedHeaders::new(log, redaction) }
    }
}

/// The request headers that lines of one configuration have, in lower case; each once.
#[derive(Debug, Default)]
pub struct LoggedHeaders(Box<[Logged]>);

#[derive(Debug)]
struct Logged {
    name: Box<str>,
    /// Whether a middleware takes credentials there, so that nothing of it is shown.
    is_hidden: bool,
}

impl LoggedHeaders {
    /// Returns those of a configuration; none where it names none.
    pub fn new(log: Option<&AccessLog>, redaction: &Redaction) -> Self {
        // A log that cannot be laid out was refused by the check.
        let layout = log.and_then(|log| Layout::of(log).ok().flatten());
        let fields = layout.map(|layout| layout.fields()).unwrap_or_default();
        let headers = fields.into_iter().filter_map(|field| match field {
            Field::Header(name) => {
                let is_hidden = redaction.headers.iter().any(|one| **one == *name);
                Some(Logged { name, is_hidden })
            }
            Field::Key(_) => None,
        });
        Self(headers.collect())
    }

    /// Reports whether there is none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Appends the values that a head has, for [`Noted`]: of each header the first 1 KiB, its lines
    /// joined by `, `, without credentials. Allocates only to grow `out`.
    pub fn note(&self, fields: Fields<'_, '_>, veil: &Veil, out: &mut Vec<u8>) {
        for Logged { name, is_hidden } in &self.0 {
            let length_at = out.len();
            out.extend_from_slice(&[0; 2]);
            let start = out.len();
            for value in fields.named(name) {
                let shown = if *is_hidden { HIDDEN } else { value };
                push_line(shown, start, veil, out);
            }
            out.truncate(start + MAX_VALUE_BYTES);
            let length = u16::try_from(out.len() - start).unwrap_or(u16::MAX);
            if let Some(place) = out.get_mut(length_at..start) {
                place.copy_from_slice(&length.to_le_bytes());
            }
        }
    }
}

/// Appends one line of a header whose value begins at `start`.
fn push_line(value: &[u8], start: usize, veil: &Veil, out: &mut Vec<u8>) {
    if out.len() - start >= MAX_VALUE_BYTES {
        return;
    }
    if out.len() > start {
        out.extend_from_slice(b", ");
    }
    veil.push_target(value.get(..MAX_VALUE_BYTES).unwrap_or(value), out);
}

/// The values that [`LoggedHeaders::note`] kept of a request.
#[derive(Clone, Copy, Debug, Default)]
pub struct Noted<'a> {
    /// The headers that were looked for.
    headers: &'a [Logged],
    values: &'a [u8],
}

impl<'a> Noted<'a> {
    /// Reads what these headers kept.
    pub fn new(headers: &'a LoggedHeaders, values: &'a [u8]) -> Self {
        Self { headers: &headers.0, values }
    }

    /// Returns the value of a header; empty if the request had none, or nobody looked for it.
    pub(crate) fn value(&self, name: &str) -> &'a [u8] {
        let mut rest = self.values;
        for one in self.headers {
            let Some((length, after)) = rest.split_first_chunk::<2>() else {
                return b"";
            };
            let length = usize::from(u16::from_le_bytes(*length));
            let (value, after) = after.split_at_checked(length).unwrap_or_default();
            if *one.name == *name {
                return value;
            }
            rest = after;
        }
        b""
    }
}

#[cfg(test)]
#[path = "headers_tests.rs"]
mod tests;
