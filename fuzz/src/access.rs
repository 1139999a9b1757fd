//! What clients send to say who they are.

use hg_access::{KeySet, PasswordHash, Policy, basic_credentials};
use std::sync::OnceLock;

/// An Authorization header, or a line of a password file: read, or refused.
pub fn credentials(data: &[u8]) {
    if let Some(found) = basic_credentials(data) {
        assert!(!found.user.is_empty() && !found.user.contains(':'));
        assert!(!found.user.chars().chain(found.password.chars()).any(char::is_control));
    }
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = PasswordHash::parse(text);
    }
}

/// A token or a key set: no token passes that was not signed.
pub fn token(data: &[u8]) {
    if let Ok(text) = std::str::from_utf8(data) {
        let _ = KeySet::parse(text);
    }
    static KEYS: OnceLock<KeySet> = OnceLock::new();
    let keys = KEYS.get_or_init(|| {
        let key = r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#;
        KeySet::parse(key).unwrap_or_else(|wrong| panic!("{wrong:?}"))
    });
    assert!(Policy::default().verify(data, keys, 0).is_err());
}
