//! The policy that picks an endpoint.

use serde::de::{DeserializeOwned, Error, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::fmt;

/// The policy of an upstream that names none. A plan leaves it out, so it never changes.
const DEFAULT: &str = "round_robin";
/// The options of a policy that is written as a word.
const NO_OPTIONS: &str = "{}";

/// A balance policy, opaque to the plan: its kind and its options. Canonical JSON: the kind, or
/// `{kind: options}` if an option is written. `hg-policy` knows the kinds and what their options
/// mean.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    kind: Box<str>,
    /// Canonical JSON.
    options: Box<str>,
}

impl Balance {
    /// Returns the word of its kind, which may be one that nobody knows.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// Reads its options.
    ///
    /// # Errors
    /// Returns what is wrong with them, without a position.
    pub fn options<T: DeserializeOwned>(&self) -> Result<T, String> {
        super::opaque::read(&self.options)
    }
}

impl Default for Balance {
    fn default() -> Self {
        Self { kind: DEFAULT.into(), options: NO_OPTIONS.into() }
    }
}

impl<'de> Deserialize<'de> for Balance {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(WordOrTable)
    }
}

/// Reads a word, or a table of exactly one key.
struct WordOrTable;

impl<'de> Visitor<'de> for WordOrTable {
    type Value = Balance;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the word of a balance policy, or a table with that word as its one key")
    }

    fn visit_str<E: Error>(self, kind: &str) -> Result<Balance, E> {
        Ok(Balance { kind: kind.into(), options: NO_OPTIONS.into() })
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Balance, A::Error> {
        let Some(kind) = map.next_key::<String>()? else {
            return Err(A::Error::custom("the balance policy is empty"));
        };
        let options: Box<RawValue> = map.next_value()?;
        match map.next_key::<String>()? {
            Some(other) => {
                Err(A::Error::custom(format!("there is one balance policy; `{other}` is a second")))
            }
            None => Ok(Balance { kind: kind.into(), options: options.into() }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Balance, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn a_word_is_a_policy_without_options() {
        let word = read(r#""p2c""#).unwrap();
        assert_eq!((word.kind(), &*word.options), ("p2c", "{}"));
        assert_eq!(read(r#"{"p2c":{}}"#), Ok(word));
        assert_eq!(read(r#""round_robin""#), Ok(Balance::default()));
    }

    #[test]
    fn options_are_kept_as_they_are_written() {
        let table = read(r#"{"maglev":{"key":"path"}}"#).unwrap();
        assert_eq!((table.kind(), &*table.options), ("maglev", r#"{"key":"path"}"#));
        assert!(table.options::<u8>().unwrap_err().starts_with("invalid type"));
    }

    #[test]
    fn what_is_no_policy_is_refused() {
        for wrong in ["{}", "5", "[]", "null", r#"{"p2c":{},"random":{}}"#] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
