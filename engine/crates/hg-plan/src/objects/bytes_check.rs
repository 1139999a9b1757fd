//! A check that sends bytes of its own, over TCP or UDP, and compares the answer.

use serde::de::Error;
use serde::{Deserialize, Deserializer};

/// The bytes that a check sends, and the answer that passes.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct BytesCheck {
    /// True if it is a datagram of UDP, which may be empty; else bytes of a connection.
    pub is_datagram: bool,
    /// The bytes that are sent; empty on a connection = nothing.
    pub send: Bytes,
    /// True if these are secret, so that an answer, which may repeat them, is not reported.
    pub is_secret: bool,
    /// The condition on the answer; absent = any answer passes.
    pub expect: Option<Expect>,
}

/// A condition on an answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Expect {
    /// The answer is equal to these bytes.
    Exact(Bytes),
    /// The answer begins with these bytes.
    Prefix(Bytes),
    /// These bytes are somewhere in the answer.
    Contains(Bytes),
    /// The pattern matches the whole answer, anchored on both sides.
    Regex(String),
}

/// Any bytes; in the plan hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Default)]
pub struct Bytes(pub Vec<u8>);

impl<'de> Deserialize<'de> for Bytes {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        hex::decode(text).map(Self).map_err(D::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_digits_in_pairs() {
        let read = |text: &str| serde_json::from_str::<BytesCheck>(text).map_err(|e| e.to_string());
        let made = read(r#"{"send":"50494e470d0a","expect":{"prefix":"2b"}}"#).unwrap();
        assert_eq!((made.send.0.as_slice(), made.is_datagram), (&b"PING\r\n"[..], false));
        assert_eq!(made.expect, Some(Expect::Prefix(Bytes(b"+".to_vec()))));
        assert!(read(r#"{"send":"5"}"#).is_err());
        assert!(read(r#"{"send":"zz"}"#).is_err());
        assert!(read(r#"{"expect":{"any":"00"}}"#).is_err());
    }
}
