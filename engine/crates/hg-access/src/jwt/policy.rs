//! The requirements that a token must meet (RFC 7519 §4.1), and the reasons to refuse one.

use super::claims::Claims;
use super::key::KeySet;
use super::token::Token;

/// The reason why a token was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// It is longer than [`super::MAX_TOKEN_BYTES`].
    TooLong,
    /// It is no compact token of three parts with JSON objects in the first two.
    Malformed,
    /// Its header has `crit`, or another extension that changes its meaning.
    Critical,
    /// Its algorithm is not that of the key.
    Algorithm,
    /// No key has its `kid`, or it has none and several keys fit.
    UnknownKey,
    /// The signature is wrong.
    Signature,
    /// `exp` is over.
    Expired,
    /// `nbf` is to come.
    NotYet,
    /// `iss` is none of those that are allowed.
    Issuer,
    /// `aud` has none of those that are allowed.
    Audience,
    /// A claim is missing, or is not of its type.
    Claim,
    /// A claim has a value that does not fit in a header.
    Unprintable,
    /// The token is good, but a claim has none of the values that are required.
    Forbidden,
}

impl Refusal {
    /// The sentence for `error_description` (RFC 6750 §3) and the log; without `"` and `\`.
    pub fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "the token is too long",
            Self::Malformed => "the token is malformed",
            Self::Critical => "the token has extensions that are not supported",
            Self::Algorithm => "the algorithm of the token is not that of the key",
            Self::UnknownKey => "the key of the token is not known",
            Self::Signature => "the signature of the token is wrong",
            Self::Expired => "the token has expired",
            Self::NotYet => "the token is not valid yet",
            Self::Issuer => "the issuer of the token is not accepted",
            Self::Audience => "the token is for another audience",
            Self::Claim => "the token lacks a claim",
            Self::Unprintable => "a claim of the token does not fit in a header",
            Self::Forbidden => "the token does not have the claims that this needs",
        }
    }

    /// A word for counters.
    pub fn word(self) -> &'static str {
        match self {
            Self::TooLong | Self::Malformed | Self::Critical => "malformed",
            Self::Algorithm => "algorithm",
            Self::UnknownKey => "unknown_key",
            Self::Signature => "signature",
            Self::Expired => "expired",
            Self::NotYet => "not_yet",
            Self::Issuer => "issuer",
            Self::Audience => "audience",
            Self::Claim | Self::Unprintable => "claim",
            Self::Forbidden => "forbidden",
        }
    }
}

/// The requirements that a token must meet.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Policy {
    /// `iss` is one of these; empty = any, or none.
    pub issuers: Vec<String>,
    /// `aud` has one of these; empty = any, or none.
    pub audiences: Vec<String>,
    /// The largest difference allowed between clocks, in seconds.
    pub leeway_s: u32,
    /// Claims that must be there; see [`Claims::get`] for names.
    pub required: Vec<String>,
    /// Claims that must have one of these values, or, as lists, contain one.
    pub allowed: Vec<(String, Vec<String>)>,
}

impl Policy {
    /// Verifies a token at a moment, in seconds since 1970, and returns what it says.
    ///
    /// # Errors
    /// Returns why it is refused.
    pub fn verify(&self, token: &[u8], keys: &KeySet, now_s: u64) -> Result<Claims, Refusal> {
        let token = Token::parse(token)?;
        keys.verify(&token)?;
        let claims = Claims::parse(&token.payload).ok_or(Refusal::Malformed)?;
        self.check_times(&claims, now_s)?;
        self.check_names(&claims)?;
        if self.required.iter().any(|name| claims.get(name).is_none()) {
            return Err(Refusal::Claim);
        }
        let has = |(name, values): &(String, Vec<String>)| claims.has_one(name, values);
        if self.allowed.iter().all(has) { Ok(claims) } else { Err(Refusal::Forbidden) }
    }

    #[allow(clippy::cast_precision_loss)] // exact for the next 285 million years
    fn check_times(&self, claims: &Claims, now_s: u64) -> Result<(), Refusal> {
        let (now, leeway) = (now_s as f64, f64::from(self.leeway_s));
        if claims.time("exp")?.is_some_and(|exp| now >= exp + leeway) {
            return Err(Refusal::Expired);
        }
        if claims.time("nbf")?.is_some_and(|nbf| now < nbf - leeway) {
            return Err(Refusal::NotYet);
        }
        Ok(())
    }

    fn check_names(&self, claims: &Claims) -> Result<(), Refusal> {
        let is_issuer = claims.text("iss").is_some_and(|iss| self.issuers.iter().any(|i| i == iss));
        if !self.issuers.is_empty() && !is_issuer {
            return Err(Refusal::Issuer);
        }
        if !self.audiences.is_empty() && !claims.is_for(&self.audiences) {
            return Err(Refusal::Audience);
        }
        Ok(())
    }
}

#[cfg(test)]
#[path = "policy_tests.rs"]
mod tests;
