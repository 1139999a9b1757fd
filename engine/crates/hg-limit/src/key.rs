//! The key that a limit counts by, as a keyed hash.

use crate::sip::Sip;
use std::net::IpAddr;

/// The key of the hash: random bits that no client knows.
#[derive(Clone, Copy)]
pub struct Seed(pub [u64; 2]);

impl std::fmt::Debug for Seed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seed(..)")
    }
}

/// The hash of one key of a limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Key(pub u64);

/// Makes a [`Key`] of one or more parts of a request. Parts are told apart, so that `a`, `b` is
/// another key than `ab`.
#[derive(Clone, Copy, Debug)]
pub struct KeyHash(Sip);

impl KeyHash {
    /// Begins a key.
    #[inline]
    pub fn new(seed: Seed) -> Self {
        Self(Sip::new(seed.0))
    }

    /// Adds a text: its bytes and how many they are.
    #[inline]
    pub fn text(&mut self, bytes: &[u8]) {
        self.0.bytes(bytes);
        self.0.word(bytes.len() as u64);
    }

    /// Ends a part of any number of texts.
    #[inline]
    pub fn end(&mut self) {
        self.0.word(u64::MAX);
    }

    /// Adds the address of a client: IPv4 whole, IPv6 by its first `prefix` bits, of which a client
    /// usually owns 64. An IPv4 address that is mapped into IPv6 counts as the IPv4 address.
    #[inline]
    pub fn client(&mut self, ip: IpAddr, prefix: u8) {
        match ip.to_canonical() {
            IpAddr::V4(v4) => self.0.word(u64::from(v4.to_bits())),
            IpAddr::V6(v6) => {
                let kept = u128::MAX.checked_shl(128 - u32::from(prefix.min(128))).unwrap_or(0);
                let [high, low] = halves(v6.to_bits() & kept);
                self.0.word(high);
                self.0.word(low);
            }
        }
    }

    /// Ends the key.
    #[inline]
    pub fn finish(self) -> Key {
        Key(self.0.finish())
    }
}

fn halves(bits: u128) -> [u64; 2] {
    // The low halves of both are all that is left of them.
    [(bits >> 64) as u64, bits as u64]
}

#[cfg(test)]
mod tests {
    use super::*;

    const SEED: Seed = Seed([7, 9]);

    fn client(ip: &str, prefix: u8) -> Key {
        let mut hash = KeyHash::new(SEED);
        hash.client(ip.parse().unwrap(), prefix);
        hash.finish()
    }

    fn texts(parts: &[&str]) -> Key {
        let mut hash = KeyHash::new(SEED);
        parts.iter().for_each(|part| hash.text(part.as_bytes()));
        hash.finish()
    }

    #[test]
    fn a_client_is_an_ipv4_address_or_an_ipv6_prefix() {
        assert_eq!(client("192.0.2.1", 64), client("::ffff:192.0.2.1", 64));
        assert_ne!(client("192.0.2.1", 64), client("192.0.2.2", 64));
        assert_eq!(client("2001:db8::1", 64), client("2001:db8::ffff:1", 64));
        assert_ne!(client("2001:db8::1", 64), client("2001:db8:0:1::1", 64));
        assert_eq!(client("2001:db8:0:1::1", 48), client("2001:db8:0:2::1", 48));
        assert_ne!(client("2001:db8::1", 128), client("2001:db8::2", 128));
        assert_eq!(client("2001:db8::1", 0), client("fe80::2", 0));
    }

    #[test]
    fn parts_of_a_key_are_told_apart() {
        assert_eq!(texts(&["a", "b"]), texts(&["a", "b"]));
        let all =
            [texts(&[]), texts(&[""]), texts(&["ab"]), texts(&["a", "b"]), texts(&["", "ab"])];
        for (i, one) in all.iter().enumerate() {
            assert!(!all[..i].contains(one), "{i}");
        }
    }

    #[test]
    fn lists_of_texts_are_told_apart() {
        let lists = |lists: &[&[&str]]| {
            let mut hash = KeyHash::new(SEED);
            for list in lists {
                list.iter().for_each(|part| hash.text(part.as_bytes()));
                hash.end();
            }
            hash.finish()
        };
        assert_ne!(lists(&[&["a"], &[]]), lists(&[&[], &["a"]]));
        assert_eq!(lists(&[&[], &["a"]]), lists(&[&[], &["a"]]));
    }

    #[test]
    fn the_seed_shows_in_no_text() {
        assert_eq!(format!("{SEED:?}"), "Seed(..)");
    }
}
