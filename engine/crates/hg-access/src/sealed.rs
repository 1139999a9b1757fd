//! Fingerprints of credentials under a random key: what caches keep instead of the credentials.

use aws_lc_rs::hmac;
use std::fmt;

/// The fingerprint of a credential; without the key it says nothing about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub(crate) [u8; 32]);

/// Makes fingerprints (HMAC-SHA256) under one key.
pub struct Sealer(hmac::Key);

impl fmt::Debug for Sealer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Sealer(…)")
    }
}

impl Sealer {
    /// Takes a key that was made at random and is used for nothing else.
    pub fn new(key: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, key))
    }

    /// Returns the fingerprint of a credential.
    pub fn seal(&self, credential: &[u8]) -> Fingerprint {
        let mut out = [0; 32];
        let tag = hmac::sign(&self.0, credential);
        out.iter_mut().zip(tag.as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    #[test]
    fn a_fingerprint_depends_on_key_and_credential() {
        let (one, two) = (Sealer::new(&[1; 32]), Sealer::new(&[2; 32]));
        assert_eq!(one.seal(b"a"), one.seal(b"a"));
        assert_ne!(one.seal(b"a"), one.seal(b"b"));
        assert_ne!(one.seal(b"a"), two.seal(b"a"));
    }
}
