//! API keys by their SHA-256: the list holds no key.

use aws_lc_rs::digest::{SHA256, digest};
use std::collections::HashMap;
use std::sync::Arc;

/// Longest key that is looked up, in bytes.
pub const MAX_API_KEY_BYTES: usize = 512;

/// The names of clients by the SHA-256 of their keys.
///
/// A key is looked up by its sum, so that how long it takes says nothing about the keys that are
/// in the list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ApiKeys(HashMap<[u8; 32], Arc<str>>);

impl ApiKeys {
    /// Makes a list of sums and names; a client may have several keys.
    ///
    /// # Errors
    /// Returns the two names that have one key.
    pub fn new(
        keys: impl IntoIterator<Item = ([u8; 32], Arc<str>)>,
    ) -> Result<Self, (Arc<str>, Arc<str>)> {
        let mut all = HashMap::new();
        for (sum, name) in keys {
            if let Some(before) = all.insert(sum, name.clone())
                && before != name
            {
                return Err((before, name));
            }
        }
        Ok(Self(all))
    }

    /// Returns the name of the client whose key this is.
    pub fn client(&self, key: &[u8]) -> Option<&Arc<str>> {
        if key.is_empty() || key.len() > MAX_API_KEY_BYTES {
            return None;
        }
        let sum: [u8; 32] = digest(&SHA256, key).as_ref().try_into().ok()?;
        self.0.get(&sum)
    }
}

#[cfg(test)]
#[path = "api_key_tests.rs"]
mod tests;
