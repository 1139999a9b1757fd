//! Keys and sets of keys (RFC 7517, RFC 7518 §6, RFC 8037 §2).

use super::algorithm::Algorithm;
use super::object::Object;
use super::policy::Refusal;
use super::token::Token;
use crate::encoding;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ECDSA_P521_SHA512_FIXED, ED25519,
    ParsedPublicKey, RsaParameters, RsaPublicKeyComponents,
};
use serde_json::{Map, Value};
use std::fmt;

/// Most keys of a set.
pub const MAX_KEYS: usize = 100;
/// Longest text of a set, in bytes.
const MAX_SET_BYTES: usize = 256 * 1024;
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// A key and the one algorithm that it is for.
pub struct Key {
    id: Option<Box<str>>,
    algorithm: Algorithm,
    material: Material,
}

enum Material {
    Secret(Box<hmac::Key>),
    Public(ParsedPublicKey),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Key({:?}, {})", self.id, self.algorithm)
    }
}

/// The keys that tokens may be signed with.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

impl KeySet {
    /// Parses a JWK set. Keys for encryption and of unknown types are passed over, as RFC 7517 §5
    /// wants; one that is wrong is an error.
    ///
    /// # Errors
    /// Returns the path in the set (empty for the whole), and a sentence that says what is wrong
    /// and what is allowed, without any part of a key.
    pub fn parse(text: &str) -> Result<Self, (String, String)> {
        let whole = |message: &str| (String::new(), message.to_owned());
        if text.len() > MAX_SET_BYTES {
            return Err(whole("the key set is longer than 256 KiB; write fewer keys"));
        }
        let keys = Object::parse(text.as_bytes())
            .and_then(|mut set| set.remove("keys"))
            .and_then(|keys| if let Value::Array(keys) = keys { Some(keys) } else { None })
            .ok_or_else(|| whole("this is no JWK set; write {\"keys\": [{\"kty\": …}, …]}"))?;
        if keys.len() > MAX_KEYS {
            return Err(whole("the key set has more than 100 keys; write fewer"));
        }
        let mut out: Vec<Key> = Vec::new();
        for (index, key) in keys.iter().enumerate() {
            let at = |(member, message): (&str, String)| {
                let dot = if member.is_empty() { "" } else { "." };
                (format!("keys[{index}]{dot}{member}"), message)
            };
            let found = key
                .as_object()
                .ok_or_else(|| ("", "a key is an object".to_owned()))
                .and_then(Key::parse)
                .map_err(at)?;
            let Some(key) = found else { continue };
            if out.iter().any(|other| other.id == key.id && other.algorithm == key.algorithm) {
                let message = "two keys have one `kid` (or none) and one algorithm; give each a `kid` \
                               of its own";
                return Err(at(("kid", message.to_owned())));
            }
            out.push(key);
        }
        if out.is_empty() {
            return Err(whole(
                "the key set has no key that verifies signatures; write one of `kty` RSA, EC, OKP \
                 or oct",
            ));
        }
        Ok(Self(out))
    }

    /// Returns the keys.
    pub fn keys(&self) -> &[Key] {
        &self.0
    }

    /// Finds the key of a token and verifies its signature. A token without `kid` needs a set with
    /// exactly one key for its algorithm.
    pub(crate) fn verify(&self, token: &Token<'_>) -> Result<(), Refusal> {
        let fitting = |key: &&Key| key.algorithm == token.algorithm;
        let key = match &token.kid {
            Some(kid) => {
                let mut named =
                    self.0.iter().filter(|key| key.id.as_deref() == Some(kid)).peekable();
                named.peek().ok_or(Refusal::UnknownKey)?;
                named.find(fitting).ok_or(Refusal::Algorithm)?
            }
            None => {
                let mut fit = self.0.iter().filter(fitting);
                let key = fit.next().ok_or(Refusal::Algorithm)?;
                if fit.next().is_some() {
                    return Err(Refusal::UnknownKey);
                }
                key
            }
        };
        key.verify(token.signed, &token.signature)
    }
}

type Wrong = (&'static str, String);

impl Key {
    /// Returns the key's `kid`.
    pub fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// Returns the one algorithm that it verifies.
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    fn verify(&self, signed: &[u8], signature: &[u8]) -> Result<(), Refusal> {
        let result = match &self.material {
            Material::Secret(key) => hmac::verify(key, signed, signature),
            Material::Public(key) => key.verify_sig(signed, signature),
        };
        result.map_err(|_| Refusal::Signature)
    }

    /// Parses a JWK; None for one that is not for signatures, or of a type that is not known.
    fn parse(jwk: &Map<String, Value>) -> Result<Option<Self>, Wrong> {
        let is_for_signatures = text(jwk, "use")?.is_none_or(|usage| usage == "sig")
            && jwk
                .get("key_ops")
                .and_then(Value::as_array)
                .is_none_or(|ops| ops.iter().any(|op| op == "verify" || op == "sign"));
        let kty = text(jwk, "kty")?
            .ok_or_else(|| wrong("kty", "is missing; write RSA, EC, OKP or oct"))?;
        if !is_for_signatures {
            return Ok(None);
        }
        if kty != "oct" && jwk.contains_key("d") {
            return Err(wrong("d", "is the private half; leave it out"));
        }
        let named = match text(jwk, "alg")? {
            None => None,
            Some(name) => match Algorithm::named(name) {
                Some(algorithm) => Some(algorithm),
                None => return Ok(None),
            },
        };
        let made = match kty {
            "oct" => secret(jwk, named)?,
            "RSA" => rsa(jwk, named)?,
            "EC" => curve(jwk, named)?,
            "OKP" => edwards(jwk, named)?,
            _ => None,
        };
        let id = text(jwk, "kid")?.map(Into::into);
        Ok(made.map(|(algorithm, material)| Self { id, algorithm, material }))
    }
}

type Made = Result<Option<(Algorithm, Material)>, Wrong>;

fn secret(jwk: &Map<String, Value>, named: Option<Algorithm>) -> Made {
    let (algorithm, kind, least) = match named {
        Some(Algorithm::Hs256) => (Algorithm::Hs256, hmac::HMAC_SHA256, 32),
        Some(Algorithm::Hs384) => (Algorithm::Hs384, hmac::HMAC_SHA384, 48),
        Some(Algorithm::Hs512) => (Algorithm::Hs512, hmac::HMAC_SHA512, 64),
        _ => return Err(wrong("alg", "of a secret is HS256, HS384 or HS512; write one")),
    };
    let bytes = member(jwk, "k")?;
    if bytes.len() < least {
        // RFC 7518 §3.2.
        return Err(wrong("k", format!("has {} bytes; {algorithm} needs {least}", bytes.len())));
    }
    Ok(Some((algorithm, Material::Secret(Box::new(hmac::Key::new(kind, &bytes))))))
}

fn rsa(jwk: &Map<String, Value>, named: Option<Algorithm>) -> Made {
    let algorithm = named.unwrap_or(Algorithm::Rs256);
    let params: &'static RsaParameters = match algorithm {
        Algorithm::Rs256 => &signature::RSA_PKCS1_2048_8192_SHA256,
        Algorithm::Rs384 => &signature::RSA_PKCS1_2048_8192_SHA384,
        Algorithm::Rs512 => &signature::RSA_PKCS1_2048_8192_SHA512,
        Algorithm::Ps256 => &signature::RSA_PSS_2048_8192_SHA256,
        Algorithm::Ps384 => &signature::RSA_PSS_2048_8192_SHA384,
        Algorithm::Ps512 => &signature::RSA_PSS_2048_8192_SHA512,
        _ => return Err(mismatch("RS256, RS384, RS512, PS256, PS384 or PS512", "RSA")),
    };
    let (n, e) = (number(member(jwk, "n")?), number(member(jwk, "e")?));
    let bits = n.first().map_or(0, |first| n.len() * 8 - first.leading_zeros() as usize);
    if !RSA_BITS.contains(&bits) {
        return Err(wrong("n", format!("has {bits} bits; a key has 2048 to 8192")));
    }
    if e.len() > 8 || e.last().is_none_or(|last| last % 2 == 0) || e == [1] {
        return Err(wrong("e", "is no exponent; 65537 is usual (AQAB)"));
    }
    let key = RsaPublicKeyComponents { n, e }
        .to_parsed_public_key(params)
        .map_err(|_| wrong("n", "is no modulus of a key"))?;
    Ok(Some((algorithm, Material::Public(key))))
}

fn curve(jwk: &Map<String, Value>, named: Option<Algorithm>) -> Made {
    let (algorithm, kind, bytes) = match text(jwk, "crv")? {
        Some("P-256") => (Algorithm::Es256, &ECDSA_P256_SHA256_FIXED, 32),
        Some("P-384") => (Algorithm::Es384, &ECDSA_P384_SHA384_FIXED, 48),
        Some("P-521") => (Algorithm::Es512, &ECDSA_P521_SHA512_FIXED, 66),
        Some(_) => return Ok(None),
        None => return Err(wrong("crv", "is missing; write P-256, P-384 or P-521")),
    };
    if named.is_some_and(|named| named != algorithm) {
        return Err(mismatch(&algorithm.to_string(), "this curve"));
    }
    let (x, y) = (member(jwk, "x")?, member(jwk, "y")?);
    if x.len() != bytes || y.len() != bytes {
        return Err(wrong("x", format!("and `y` have {bytes} bytes each on this curve")));
    }
    let point = [&[4][..], &x, &y].concat();
    let key = ParsedPublicKey::new(kind, point)
        .map_err(|_| wrong("x", "and `y` are no point of the curve"))?;
    Ok(Some((algorithm, Material::Public(key))))
}

fn edwards(jwk: &Map<String, Value>, named: Option<Algorithm>) -> Made {
    match text(jwk, "crv")? {
        Some("Ed25519") => {}
        Some(_) => return Ok(None),
        None => return Err(wrong("crv", "is missing; write Ed25519")),
    }
    if named.is_some_and(|named| named != Algorithm::EdDsa) {
        return Err(mismatch("EdDSA", "this curve"));
    }
    let key = ParsedPublicKey::new(&ED25519, member(jwk, "x")?)
        .map_err(|_| wrong("x", "is no key of Ed25519"))?;
    Ok(Some((Algorithm::EdDsa, Material::Public(key))))
}

fn text<'a>(jwk: &'a Map<String, Value>, name: &'static str) -> Result<Option<&'a str>, Wrong> {
    match jwk.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(_) => Err(wrong(name, "is no text")),
    }
}

fn member(jwk: &Map<String, Value>, name: &'static str) -> Result<Vec<u8>, Wrong> {
    let text = text(jwk, name)?.ok_or_else(|| wrong(name, "is missing"))?;
    encoding::url(text.as_bytes()).ok_or_else(|| wrong(name, "is not base64url without padding"))
}

/// Drops the zeros before a number: some write one so that it does not look negative.
fn number(bytes: Vec<u8>) -> Vec<u8> {
    bytes.into_iter().skip_while(|b| *b == 0).collect()
}

fn wrong(name: &'static str, message: impl fmt::Display) -> Wrong {
    (name, format!("`{name}` {message}"))
}

fn mismatch(allowed: &str, of: &str) -> Wrong {
    wrong("alg", format!("does not fit; {of} has {allowed}"))
}

#[cfg(test)]
#[path = "key_tests.rs"]
mod tests;
