//! Opens Initial packets: takes off header protection, then decrypts (RFC 9001 §5).

use super::packet::ConnectionId;
use rustls::Side;
use rustls::crypto::aws_lc_rs::cipher_suite::TLS13_AES_128_GCM_SHA256;
use rustls::quic::{DirectionalKeys, Keys, Version};

/// Bytes that the mask of a header is made of, and where they begin behind its packet number's place.
const SAMPLE: usize = 16;
const LONGEST_NUMBER: usize = 4;

/// Keys for the Initial packets of one client.
pub(super) struct Opener {
    version: Version,
    keys: DirectionalKeys,
    /// The packet number after the largest one that was opened.
    next: u64,
    has_opened: bool,
}

impl Opener {
    /// Makes the keys; `None` only if the library lacks them.
    pub(super) fn new(version: Version, id: &ConnectionId) -> Option<Self> {
        let suite = TLS13_AES_128_GCM_SHA256.tls13()?.quic_suite()?;
        let Keys { remote, .. } = suite.keys(id.as_bytes(), Side::Server, version);
        Some(Self { version, keys: remote, next: 0, has_opened: false })
    }

    /// Reports whether it is for packets of this version.
    pub(super) fn is_of(&self, version: Version) -> bool {
        std::mem::discriminant(&self.version) == std::mem::discriminant(&version)
    }

    /// Reports whether a packet was opened, so that the client has the keys.
    pub(super) fn has_opened(&self) -> bool {
        self.has_opened
    }

    /// Opens a packet in place; returns its frames, or nothing if somebody else made it.
    pub(super) fn open<'p>(&mut self, packet: &'p mut [u8], number_at: usize) -> Option<&'p [u8]> {
        let (header, rest) = packet.split_at_mut_checked(number_at)?;
        let (number, sealed) = rest.split_at_mut_checked(LONGEST_NUMBER)?;
        let sample = sealed.get(..SAMPLE)?;
        self.keys.header.decrypt_in_place(sample, header.first_mut()?, number).ok()?;
        let len = usize::from(header.first()? & 3) + 1;
        let truncated = number.get(..len)?.iter().fold(0, |n, b| (n << 8) | u64::from(*b));
        let number = decoded(self.next, truncated, 8 * len as u32);
        let (header, payload) = packet.split_at_mut_checked(number_at + len)?;
        let opened = self.keys.packet.decrypt_in_place(number, header, payload).ok()?;
        self.next = self.next.max(number.saturating_add(1));
        self.has_opened = true;
        Some(opened)
    }
}

/// Returns the packet number that is nearest to the next one and ends in these bits (RFC 9000 A.3).
fn decoded(next: u64, truncated: u64, bits: u32) -> u64 {
    let window = 1u64 << bits;
    let candidate = (next & !(window - 1)) | truncated;
    if candidate + window / 2 <= next && candidate < (1 << 62) - window {
        candidate + window
    } else if candidate > next + window / 2 && candidate >= window {
        candidate - window
    } else {
        candidate
    }
}

#[cfg(test)]
mod tests {
    use super::decoded;

    #[test]
    fn packet_numbers_are_the_nearest() {
        // The example of RFC 9000 A.3.
        assert_eq!(decoded(0xa82f_30eb, 0x9b32, 16), 0xa82f_9b32);
        assert_eq!([decoded(0, 0, 8), decoded(0, 255, 8), decoded(1, 2, 32)], [0, 255, 2]);
        assert_eq!([decoded(256, 255, 8), decoded(255, 0, 8), decoded(250, 2, 8)], [255, 256, 258]);
    }
}
