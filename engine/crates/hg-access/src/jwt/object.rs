//! JSON objects whose names come once: what two parsers read differently is refused.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::{Map, Value};
use std::fmt;

/// An object without a name that comes twice, at its top.
pub(crate) struct Object(pub(crate) Map<String, Value>);

impl Object {
    /// Parses a whole text; None if it is no object, or has a name twice.
    pub(crate) fn parse(text: &[u8]) -> Option<Map<String, Value>> {
        serde_json::from_slice::<Self>(text).ok().map(|object| object.0)
    }
}

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(Names)
    }
}

struct Names;

impl<'de> Visitor<'de> for Names {
    type Value = Object;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
        let mut out = Map::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if out.insert(name, value).is_some() {
                return Err(A::Error::custom("a name comes twice"));
            }
        }
        Ok(Object(out))
    }
}
