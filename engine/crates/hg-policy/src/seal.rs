//! Tokens that a client keeps and cannot make: HMAC-SHA256 (RFC 2104, FIPS 180-4), of which 128 bits
//! are kept.

use crate::Token;
use crate::cookie::digits;
use aws_lc_rs::constant_time::verify_slices_are_equal;
use aws_lc_rs::hmac;
use std::fmt;

/// Bytes of a sealed token: 16 digits of the token, `.`, 10 of the second at which it ends, `.`, and
/// 32 of the signature.
pub(crate) const SEALED: usize = 16 + 1 + 10 + 1 + 32;

/// The end of times that are written with ten hexadecimal digits, in seconds.
const LAST_S: u64 = (1 << 40) - 1;

/// Keys, and what their signatures are about.
#[derive(Clone)]
pub(crate) struct Seal {
    /// The first one signs, each of them verifies.
    keys: Box<[hmac::Key]>,
    about: Box<[u8]>,
}

impl fmt::Debug for Seal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Seal").field("keys", &self.keys.len()).finish_non_exhaustive()
    }
}

impl Seal {
    /// Makes it from the texts of keys, never none, and the words that a signature is bound to.
    pub(crate) fn new(keys: &[String], about: &[&str]) -> Self {
        let key = |text: &String| hmac::Key::new(hmac::HMAC_SHA256, text.as_bytes());
        let mut bound = Vec::new();
        for word in about {
            // With its length, so that no two lists of words are one text.
            bound.extend_from_slice(&(word.len() as u64).to_be_bytes());
            bound.extend_from_slice(word.as_bytes());
        }
        Self { keys: keys.iter().map(key).collect(), about: bound.into() }
    }

    /// Returns the text of a token that holds until a second of Unix time; 0 = for ever.
    pub(crate) fn close(&self, token: Token, until_s: u64) -> Vec<u8> {
        let mut text = format!("{token:016x}.{:010x}", until_s.min(LAST_S)).into_bytes();
        if let Some(key) = self.keys.first() {
            let signature = self.signature(key, &text);
            text.push(b'.');
            text.extend_from_slice(&signature);
        }
        text
    }

    /// Returns the token and the second at which it ends; `None` if no key of ours made the text.
    /// It takes bounded time for a text of any length.
    pub(crate) fn open(&self, text: &[u8]) -> Option<(Token, u64)> {
        if text.len() != SEALED {
            return None;
        }
        let (signed, signature) = text.split_at_checked(27)?;
        let (token, until) = signed.split_at_checked(16)?;
        let signature = signature.strip_prefix(b".")?;
        let is_ours =
            |key| verify_slices_are_equal(&self.signature(key, signed), signature).is_ok();
        if !self.keys.iter().any(is_ours) {
            return None;
        }
        Some((digits(token)?, digits(until.strip_prefix(b".")?)?))
    }

    fn signature(&self, key: &hmac::Key, signed: &[u8]) -> [u8; 32] {
        let mut context = hmac::Context::with_key(key);
        context.update(&self.about);
        context.update(signed);
        let tag = context.sign();
        let mut text = [0; 32];
        for (pair, byte) in text.chunks_exact_mut(2).zip(tag.as_ref()) {
            for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
                *digit = b"0123456789abcdef".get(usize::from(nibble)).copied().unwrap_or(b'0');
            }
        }
        text
    }
}

#[cfg(test)]
#[path = "seal_tests.rs"]
mod tests;
