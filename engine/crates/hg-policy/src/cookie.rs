//! Cookies that name one of several things by a token, signed where there are keys.

use crate::Token;
use crate::seal::{SEALED, Seal};
use hg_plan::SameSite;
use hg_route::cookie_values;

/// The cookies of one name on a line that are looked at. Clients send one for each path; a signature
/// takes time.
const MOST: usize = 8;

/// The content of a request's cookie.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Named {
    /// There is none, or its time is over.
    Nothing,
    /// This one.
    Token(Token),
    /// It is not one that we have made.
    Forged,
}

impl Named {
    /// Returns the token, if there is one.
    pub fn token(self) -> Option<Token> {
        match self {
            Self::Token(token) => Some(token),
            Self::Nothing | Self::Forged => None,
        }
    }
}

/// The rules by which a cookie is written and read.
#[derive(Clone, Debug)]
pub(crate) struct Cookie {
    name: Box<str>,
    /// Everything after the value, without `Secure`.
    attributes: Box<str>,
    secure: Option<bool>,
    max_age_s: u64,
    seal: Option<Seal>,
}

impl Cookie {
    /// Makes it. `owner` says what its tokens are of: a signature holds for one owner and one name.
    pub(crate) fn new(plan: &hg_plan::Affinity, owner: &[&str]) -> Self {
        let mut attributes = format!("; Path={}", plan.path);
        if plan.max_age_s > 0 {
            attributes += &format!("; Max-Age={}", plan.max_age_s);
        }
        if plan.http_only {
            attributes += "; HttpOnly";
        }
        attributes += match plan.same_site {
            SameSite::Lax => "; SameSite=Lax",
            SameSite::Strict => "; SameSite=Strict",
            SameSite::None => "; SameSite=None",
        };
        let about: Vec<&str> = owner.iter().copied().chain([&*plan.cookie]).collect();
        Self {
            name: plan.cookie.as_str().into(),
            attributes: attributes.into(),
            secure: plan.secure,
            max_age_s: plan.max_age_s,
            seal: (!plan.keys.is_empty()).then(|| Seal::new(&plan.keys, &about)),
        }
    }

    /// Adds what one `Cookie` line of a request says to what the lines before it said; `unix_s` is
    /// the time. Another path's cookie may come first, and be old or not ours: a token that
    /// `is_known` counts before any other one, and that before a forged one. Of equals the first
    /// counts.
    pub(crate) fn read(
        &self,
        line: &[u8],
        named: &mut Named,
        unix_s: impl Fn() -> u64,
        is_known: impl Fn(Token) -> bool,
    ) {
        let rank = |named| match named {
            Named::Nothing => 0,
            Named::Forged => 1,
            Named::Token(token) => 2 + u8::from(is_known(token)),
        };
        let mut best = rank(*named);
        for value in cookie_values(line, &self.name).take(MOST) {
            if best > 2 {
                return;
            }
            let told = self.open(value, &unix_s);
            if rank(told) > best {
                (*named, best) = (told, rank(told));
            }
        }
    }

    fn open(&self, value: &[u8], unix_s: impl Fn() -> u64) -> Named {
        match &self.seal {
            None => digits(value).filter(|_| value.len() == 16).map_or(Named::Forged, Named::Token),
            Some(seal) => match seal.open(value) {
                None => Named::Forged,
                Some((_, until_s)) if until_s > 0 && unix_s() >= until_s => Named::Nothing,
                Some((token, _)) => Named::Token(token),
            },
        }
    }

    /// Writes the value of `Set-Cookie` (RFC 6265 §4.1.1) that names this token.
    pub(crate) fn write(
        &self,
        token: Token,
        is_tls: bool,
        unix_s: impl FnOnce() -> u64,
        out: &mut Vec<u8>,
    ) {
        out.extend_from_slice(self.name.as_bytes());
        out.push(b'=');
        match &self.seal {
            None => out.extend_from_slice(format!("{token:016x}").as_bytes()),
            Some(seal) => {
                let until_s = match self.max_age_s {
                    0 => 0,
                    age => unix_s().saturating_add(age),
                };
                out.extend_from_slice(&seal.close(token, until_s));
            }
        }
        out.extend_from_slice(self.attributes.as_bytes());
        if self.secure.unwrap_or(is_tls) {
            out.extend_from_slice(b"; Secure");
        }
    }
}

/// Reads lower-case hexadecimal digits; `None` for anything else, or for more than 16.
pub(crate) fn digits(text: &[u8]) -> Option<u64> {
    let is_digit = |b: &u8| matches!(b, b'0'..=b'9' | b'a'..=b'f');
    if text.is_empty() || text.len() > SEALED || !text.iter().all(is_digit) {
        return None;
    }
    u64::from_str_radix(std::str::from_utf8(text).ok()?, 16).ok()
}

#[cfg(test)]
#[path = "cookie_tests.rs"]
mod tests;
