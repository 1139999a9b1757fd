//! The parts of a compact token (RFC 7515 §7.1).

use super::algorithm::Algorithm;
use super::object::Object;
use super::policy::Refusal;
use crate::encoding;
use serde_json::Value;

/// Longest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A token whose signature was not verified yet.
pub(crate) struct Token<'a> {
    pub(crate) algorithm: Algorithm,
    pub(crate) kid: Option<String>,
    /// Header and payload as they were signed, with the dot between them.
    pub(crate) signed: &'a [u8],
    pub(crate) payload: Vec<u8>,
    pub(crate) signature: Vec<u8>,
}

impl<'a> Token<'a> {
    /// Takes a token apart.
    pub(crate) fn parse(text: &'a [u8]) -> Result<Self, Refusal> {
        if text.len() > MAX_TOKEN_BYTES {
            return Err(Refusal::TooLong);
        }
        let mut parts = text.split(|b| *b == b'.');
        let (Some(header), Some(payload), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err(Refusal::Malformed);
        };
        let signed = text.get(..header.len() + 1 + payload.len()).ok_or(Refusal::Malformed)?;
        let decoded = |part| encoding::url(part).ok_or(Refusal::Malformed);
        let (algorithm, kid) = header_of(&decoded(header)?)?;
        Ok(Self {
            algorithm,
            kid,
            signed,
            payload: decoded(payload)?,
            signature: decoded(signature)?,
        })
    }
}

fn header_of(text: &[u8]) -> Result<(Algorithm, Option<String>), Refusal> {
    let mut header = Object::parse(text).ok_or(Refusal::Malformed)?;
    if header.contains_key("crit") || header.get("b64") == Some(&Value::Bool(false)) {
        return Err(Refusal::Critical);
    }
    let kid = match header.remove("kid") {
        None => None,
        Some(Value::String(kid)) => Some(kid),
        Some(_) => return Err(Refusal::Malformed),
    };
    let named = header.get("alg").and_then(Value::as_str).ok_or(Refusal::Malformed)?;
    Ok((Algorithm::named(named).ok_or(Refusal::Algorithm)?, kid))
}
