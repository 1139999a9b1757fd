//! The request headers that lines have.

use crate::layout::Field;
use crate::notes;
use crate::record::MAX_VALUE_BYTES;
use crate::veil::{HIDDEN, Veil};
use hg_plan::Redaction;
use hg_proto::Fields;

/// The request headers that lines of one configuration have, in lower case; each once.
#[derive(Debug, Default)]
pub(crate) struct LoggedHeaders(Box<[Logged]>);

#[derive(Debug)]
struct Logged {
    name: Box<str>,
    /// True if a middleware takes credentials there, so that nothing of it is shown.
    is_hidden: bool,
}

impl LoggedHeaders {
    /// Returns those among the fields of a configuration.
    pub(crate) fn new(fields: &[Field], redaction: &Redaction) -> Self {
        let headers = fields.iter().filter_map(|field| match field {
            Field::Header(name) => {
                let is_hidden = redaction.headers.iter().any(|one| *one == **name);
                Some(Logged { name: name.clone(), is_hidden })
            }
            Field::Key(_) | Field::Claim(_) => None,
        });
        Self(headers.collect())
    }

    /// Returns the names, in their order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(|one| &*one.name)
    }

    /// Appends the values that a head has, in the order of the names.
    pub(crate) fn note(&self, fields: Fields<'_, '_>, veil: &Veil, out: &mut Vec<u8>) {
        for Logged { name, is_hidden } in &self.0 {
            notes::push(out, |out| {
                let start = out.len();
                for value in fields.named(name) {
                    let shown = if *is_hidden { HIDDEN } else { value };
                    push_line(shown, start, veil, out);
                }
            });
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
