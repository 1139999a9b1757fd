//! The claims of a verified token.

use super::object::Object;
use super::policy::Refusal;
use serde_json::{Map, Value};

/// Longest value of a claim in a header, in bytes.
const MAX_VALUE_BYTES: usize = 4096;

/// The claims of a token whose signature is right.
#[derive(Clone, Debug, PartialEq)]
pub struct Claims(Map<String, Value>);

impl Claims {
    pub(crate) fn parse(payload: &[u8]) -> Option<Self> {
        Object::parse(payload).map(Self)
    }

    /// Returns a claim by its name, or by the path to it if the name begins with a slash (a JSON
    /// pointer, RFC 6901: `/realm_access/roles`). One that is null is not there.
    pub fn get(&self, name: &str) -> Option<&Value> {
        let found = match name.strip_prefix('/') {
            None => self.0.get(name),
            Some(path) => {
                let (first, rest) =
                    path.find('/').and_then(|at| path.split_at_checked(at)).unwrap_or((path, ""));
                self.0.get(&first.replace("~1", "/").replace("~0", "~"))?.pointer(rest)
            }
        };
        found.filter(|value| !value.is_null())
    }

    /// Returns a claim as one line of text: numbers and truth values as JSON writes them, lists
    /// joined by commas. None if it is not there.
    ///
    /// # Errors
    /// For objects, for control characters, for a comma inside a list's item, and beyond 4 KiB.
    pub fn line(&self, name: &str) -> Result<Option<String>, Refusal> {
        let line = match self.get(name) {
            None => return Ok(None),
            Some(Value::Array(items)) => {
                let mut words = Vec::with_capacity(items.len());
                for item in items {
                    words
                        .push(word(item).filter(|w| !w.contains(',')).ok_or(Refusal::Unprintable)?);
                }
                words.join(",")
            }
            Some(value) => word(value).ok_or(Refusal::Unprintable)?,
        };
        let fits = line.len() <= MAX_VALUE_BYTES && !line.chars().any(char::is_control);
        if fits { Ok(Some(line)) } else { Err(Refusal::Unprintable) }
    }

    /// Returns the moment after which it does not count, in whole seconds since 1970, without
    /// leeway.
    #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)] // saturates
    pub fn expires_s(&self) -> Option<u64> {
        self.0.get("exp").and_then(Value::as_f64).map(|exp| exp as u64)
    }

    pub(crate) fn time(&self, name: &str) -> Result<Option<f64>, Refusal> {
        match self.0.get(name) {
            None => Ok(None),
            Some(value) => value.as_f64().map(Some).ok_or(Refusal::Claim),
        }
    }

    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// Reports whether `aud`, a text or a list of texts, has one of these.
    pub(crate) fn is_for(&self, audiences: &[String]) -> bool {
        let is_one =
            |value: &Value| value.as_str().is_some_and(|v| audiences.iter().any(|a| a == v));
        match self.0.get("aud") {
            Some(Value::Array(all)) => all.iter().any(is_one),
            Some(one) => is_one(one),
            None => false,
        }
    }

    /// Reports whether a claim is one of these values, or a list with one of them. `scope` and
    /// `scp` are words with spaces between them (RFC 8693 §4.2).
    pub(crate) fn has_one(&self, name: &str, values: &[String]) -> bool {
        let is_one = |text: &str| values.iter().any(|v| v == text);
        match self.get(name) {
            None => false,
            Some(Value::Array(all)) => all.iter().filter_map(word).any(|w| is_one(&w)),
            Some(Value::String(text)) if matches!(name, "scope" | "scp") => {
                text.split(' ').any(is_one)
            }
            Some(value) => word(value).is_some_and(|w| is_one(&w)),
        }
    }
}

fn word(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(_) | Value::Bool(_) => Some(value.to_string()),
        _ => None,
    }
}

#[cfg(test)]
#[path = "claims_tests.rs"]
mod tests;
