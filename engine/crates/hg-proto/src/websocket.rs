//! The WebSocket opening handshake (RFC 6455 §4): both sides are checked before the proxy tunnels
//! bytes.

use crate::known::Known;
use crate::reject::{Reject, rejects};
use crate::request::RequestHead;
use crate::response::ResponseHead;
use crate::types::{Framing, Method, Version};
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

/// Checks a request that came as extended CONNECT (RFC 8441 §4), which has no key.
///
/// # Errors
/// 400 when the version is not 13 or a body length is declared.
pub fn check_extended(head: &RequestHead<'_, '_>) -> Result<(), Reject> {
    let version = only(head.fields.each(Known::SecWebSocketVersion));
    let plain = head.framing == Framing::None && head.connection.upgrade_websocket;
    if plain && version == Some(b"13") { Ok(()) } else { Err(rejects::UPGRADE) }
}

/// Returns the key of a handshake that we begin ourselves; `random` must not repeat.
pub fn key(random: [u8; 16]) -> [u8; KEY_BYTES] {
    base64(&random)
}

/// Checks the upstream's 101 against what its key asks for; extended CONNECT has no key.
///
/// # Errors
/// 502 when it is not a valid answer; the proxy must not tunnel anything.
pub fn check_response(head: &ResponseHead<'_, '_>, expected: &Accept) -> Result<(), Reject> {
    let accept = only(head.fields.each(Known::SecWebSocketAccept));
    let answers = match head.version {
        Version::H10 => false,
        Version::H11 => accept == Some(&expected[..]),
        Version::H2 => true,
    };
    let valid = head.status == 101 && head.upgrade_websocket && answers;
    if valid { Ok(()) } else { Err(rejects::R_UPGRADE) }
}

/// RFC 6455 §1.3.
const GUID: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// Returns the value with which a server answers `key`: base64 of the SHA-1 of key and the fixed
/// GUID.
pub fn accept(key: &[u8]) -> Accept {
    base64(&Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

/// Returns `bytes` in base64; the array is as long as the text.
fn base64<const LEN: usize>(bytes: &[u8]) -> [u8; LEN] {
    let mut text = [b'='; LEN];
    for (group, out) in bytes.chunks(3).zip(text.chunks_mut(4)) {
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
