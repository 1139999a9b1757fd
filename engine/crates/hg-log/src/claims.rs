//! The claims of verified tokens that lines have.

use crate::layout::Field;
use crate::notes;
use crate::record::MAX_VALUE_BYTES;
use crate::veil::Veil;

/// The claims that lines of one configuration have; each once.
#[derive(Debug, Default)]
pub struct LoggedClaims(Box<[Box<str>]>);

impl LoggedClaims {
    /// Returns those among the fields of a configuration.
    pub(crate) fn new(fields: &[Field]) -> Self {
        let claims = fields.iter().filter_map(|field| match field {
            Field::Claim(name) => Some(name.clone()),
            Field::Key(_) | Field::Header(_) => None,
        });
        Self(claims.collect())
    }

    /// Returns the names, in their order: what chains are to keep of tokens.
    pub fn names(&self) -> &[Box<str>] {
        &self.0
    }

    /// Appends the values, in the order of the names.
    pub(crate) fn note<'v>(&self, value: impl Fn(&str) -> &'v str, veil: &Veil, out: &mut Vec<u8>) {
        for name in &self.0 {
            let value = value(name).as_bytes();
            let cut = value.get(..MAX_VALUE_BYTES).unwrap_or(value);
            notes::push(out, |out| veil.push_target(cut, out));
        }
    }
}
