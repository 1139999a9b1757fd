//! The hash of keys and of points on rings and tables. Its values decide to which endpoint a client
//! sticks, so they never change: XXH64 with seed 0, as published (xxHash specification 0.1.1, Yann
//! Collet), the same on every machine and in every version.

use std::net::IpAddr;
use twox_hash::XxHash64;

/// Returns the XXH64 of a key's bytes, seed 0.
pub fn hash_key(bytes: &[u8]) -> u64 {
    hash_seeded(bytes, 0)
}

/// Returns the key of a client address: its 4 or 16 bytes in network order. An IPv4-mapped IPv6
/// address counts as the IPv4 address in it.
pub fn hash_client(address: IpAddr) -> u64 {
    match address.to_canonical() {
        IpAddr::V4(a) => hash_key(&a.octets()),
        IpAddr::V6(a) => hash_key(&a.octets()),
    }
}

/// Returns the XXH64 of some bytes with a seed.
pub(crate) fn hash_seeded(bytes: &[u8], seed: u64) -> u64 {
    XxHash64::oneshot(seed, bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn published_values_hold() {
        assert_eq!(hash_key(b""), 0xEF46_DB37_51D8_E999);
        assert_eq!(hash_key(b"a"), 0xD24E_C4F1_A98C_6E5B);
        assert_eq!(hash_key(b"abc"), 0x44BC_2CF5_AD77_0999);
        let long = b"Nobody inspects the spammish repetition";
        assert_eq!(hash_key(long), 0xFBCE_A83C_8A37_8BF1);
    }

    #[test]
    fn a_mapped_address_hashes_like_the_address_it_holds() {
        let v4: IpAddr = "192.0.2.7".parse().unwrap();
        let mapped: IpAddr = "::ffff:192.0.2.7".parse().unwrap();
        assert_eq!(hash_client(v4), hash_client(mapped));
        assert_ne!(hash_client(v4), hash_client("192.0.2.8".parse().unwrap()));
    }
}
