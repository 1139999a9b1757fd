//! The WebSocket opening handshake (RFC 6455 §4): both sides are checked before the proxy tunnels
//! bytes.

use crate::known::Known;
use crate::reject::{Reject, rejects};
use crate::request::RequestHead;
use crate::response::ResponseHead;
use crate::types::{Method, Version};
use sha1::{Digest as _, Sha1};

/// Text of a key: 16 bytes in base64.
const KEY_BYTES: usize = 24;

/// Text of the answer to a key: 20 bytes in base64.
pub type Accept = [u8; 28];

/// Checks a request whose [`crate::Connection::upgrade_websocket`] is set; returns what the
/// upstream must answer to its key.
///
/// # Errors
/// 400 when it is not GET without a body, or key or version 13 is missing, repeated or malformed.
pub fn check_request(head: &RequestHead<'_, '_>) -> Result<Accept, Reject> {
    let plain = head.method == Method::Get && head.framing.is_empty();
    let version = only(head.fields.each(Known::SecWebSocketVersion));
    let key = only(head.fields.each(Known::SecWebSocketKey)).filter(|k| is_key(k));
    match key {
        Some(key) if plain && head.connection.upgrade_websocket && version == Some(b"13") => {
            Ok(accept(key))
        }
        _ => Err(rejects::UPGRADE),
    }
}

/// Checks the upstream's 101 against what its key asks for.
///
/// # Errors
/// 502 when it is not a valid answer; the proxy must not tunnel anything.
pub fn check_response(head: &ResponseHead<'_, '_>, expected: &Accept) -> Result<(), Reject> {
    let accept = only(head.fields.each(Known::SecWebSocketAccept));
    let valid = head.status == 101
        && head.version == Version::H11
        && head.upgrade_websocket
        && accept == Some(&expected[..]);
    if valid { Ok(()) } else { Err(rejects::R_UPGRADE) }
}

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns the value with which a server answers `key`: base64 of the SHA-1 of key and the fixed
/// GUID.
pub fn accept(key: &[u8]) -> Accept {
    let digest = Sha1::new().chain_update(key).chain_update(GUID).finalize();
    let mut text = [b'='; 28];
    for (group, out) in digest.chunks(3).zip(text.chunks_mut(4)) {
        let three =
            group.iter().fold(0u32, |n, &b| n << 8 | u32::from(b)) << (8 * (3 - group.len()));
        for (at, byte) in out.iter_mut().enumerate().take(group.len() + 1) {
            *byte = digit(three >> (18 - 6 * at));
        }
    }
    text
}

fn digit(value: u32) -> u8 {
    const BASE64: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    BASE64.get((value & 63) as usize).copied().unwrap_or(b'A')
}

fn only<'b>(mut values: impl Iterator<Item = &'b [u8]>) -> Option<&'b [u8]> {
    let first = values.next();
    if values.next().is_some() { None } else { first }
}

fn is_key(key: &[u8]) -> bool {
    let digits = key.strip_suffix(b"==").unwrap_or_default();
    key.len() == KEY_BYTES
        && digits.len() == KEY_BYTES - 2
        && digits.iter().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'+' | b'/'))
}

#[cfg(test)]
mod tests;
