//! `Authorization: Basic` (RFC 7617).

use crate::encoding;
use crate::password::MAX_PASSWORD_BYTES;

/// Longest value of an Authorization header with a name and a password, in bytes.
pub const MAX_BASIC_BYTES: usize = 4096;

const MAX_NAME_BYTES: usize = 256;

/// A name and a password as a client sent them.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// 1 to 256 bytes without colon and control characters.
    pub user: String,
    /// At most [`MAX_PASSWORD_BYTES`], without control characters.
    pub password: String,
}

/// Reads the value of an Authorization header; None for another scheme, for a value that is too
/// long, and for one that RFC 7617 does not allow.
pub fn basic_credentials(value: &[u8]) -> Option<Credentials> {
    if value.len() > MAX_BASIC_BYTES {
        return None;
    }
    let text = std::str::from_utf8(value).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return None;
    }
    let decoded = String::from_utf8(encoding::basic(encoded.trim_matches(' ').as_bytes())?).ok()?;
    let (user, password) = decoded.split_once(':')?;
    let is_sound = |text: &str| !text.chars().any(char::is_control);
    let fits = (1..=MAX_NAME_BYTES).contains(&user.len()) && password.len() <= MAX_PASSWORD_BYTES;
    (fits && is_sound(user) && is_sound(password))
        .then(|| Credentials { user: user.into(), password: password.into() })
}

#[cfg(test)]
#[path = "basic_tests.rs"]
mod tests;
