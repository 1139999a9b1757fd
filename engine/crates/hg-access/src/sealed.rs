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

    /// Makes a key at random; None if the system has no randomness.
    pub fn random() -> Option<Self> {
        let mut key = [0; 32];
        aws_lc_rs::rand::fill(&mut key).ok()?;
        Some(Self::new(&key))
    }

    /// Returns the fingerprint of a credential under rules: `rules` is the sum of what it is verified
    /// by, so that other rules know nothing of it.
    pub fn seal(&self, rules: &[u8; 32], credential: &[u8]) -> Fingerprint {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(rules);
        context.update(credential);
        let mut out = [0; 32];
        out.iter_mut().zip(context.sign().as_ref()).for_each(|(to, from)| *to = *from);
        Fingerprint(out)
    }
}

#[cfg(test)]
mod tests {
    use super::Sealer;

    #[test]
    fn a_fingerprint_depends_on_key_rules_and_credential() {
        let (one, two) = (Sealer::new(&[1; 32]), Sealer::new(&[2; 32]));
        let rules = [0; 32];
        assert_eq!(one.seal(&rules, b"a"), one.seal(&rules, b"a"));
        assert_ne!(one.seal(&rules, b"a"), one.seal(&rules, b"b"));
        assert_ne!(one.seal(&rules, b"a"), two.seal(&rules, b"a"));
        assert_ne!(one.seal(&rules, b"a"), one.seal(&[1; 32], b"a"));
        let random = [Sealer::random(), Sealer::random()].map(|s| s.unwrap().seal(&rules, b"a"));
        assert_ne!(random[0], random[1]);
    }
}
