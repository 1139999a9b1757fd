//! Passwords at rest: bcrypt and argon2, nothing weaker.

use crate::encoding;
use argon2::{Algorithm, Argon2, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use std::collections::BTreeMap;
use std::fmt;

/// Longest password that is verified, in bytes; bcrypt looks at the first 72 alone.
pub const MAX_PASSWORD_BYTES: usize = 1024;

/// bcrypt's cost: each step doubles the time; 16 takes some seconds.
const BCRYPT_COSTS: std::ops::RangeInclusive<u32> = 4..=16;
/// Most memory of argon2 (256 MiB) and most passes over it.
const MAX_MEMORY_KIB: u32 = 256 * 1024;
const MAX_PASSES: u32 = 16;
const MAX_LANES: u32 = 16;
/// Lengths of salts and hashes in bytes.
const LENGTHS: std::ops::RangeInclusive<usize> = 8..=64;

const ALLOWED: &str = "write a bcrypt hash ($2b$…, cost 4 to 16) or an argon2 hash ($argon2id$v=19$…, \
     at most m=262144,t=16,p=16)";

/// A password's hash, checked: verifying against it takes bounded time and memory.
#[derive(Clone, PartialEq, Eq)]
pub enum PasswordHash {
    /// The 60 characters of a bcrypt hash.
    Bcrypt(Box<str>),
    /// An argon2 hash of version 19.
    Argon2(Box<Argon2Hash>),
}

/// The parts of an argon2 hash.
#[derive(Clone, PartialEq, Eq)]
pub struct Argon2Hash {
    kind: Algorithm,
    memory_kib: u32,
    passes: u32,
    lanes: u32,
    salt: Vec<u8>,
    hash: Vec<u8>,
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bcrypt(_) => "Bcrypt(…)",
            Self::Argon2(_) => "Argon2(…)",
        })
    }
}

impl PasswordHash {
    /// Parses the text after a user's name in a password file.
    ///
    /// # Errors
    /// Returns a sentence that says what is wrong and what is allowed, without the hash.
    pub fn parse(text: &str) -> Result<Self, String> {
        match text.split('$').nth(1) {
            Some("2a" | "2b" | "2y") => bcrypt_of(text),
            Some("argon2id" | "argon2i" | "argon2d") => argon2_of(text),
            _ => Err(format!("this is no hash that is allowed here; {ALLOWED}")),
        }
    }

    /// Reports whether it is the hash of this password. Takes up to seconds and up to 256 MiB; what
    /// it takes does not depend on the password.
    pub fn verify(&self, password: &str) -> bool {
        match self {
            Self::Bcrypt(text) => bcrypt::verify(password, text).unwrap_or(false),
            Self::Argon2(parts) => parts.verify(password),
        }
    }
}

fn bcrypt_of(text: &str) -> Result<PasswordHash, String> {
    let parts: bcrypt::HashParts =
        text.parse().map_err(|_| format!("the bcrypt hash is not complete; {ALLOWED}"))?;
    if !BCRYPT_COSTS.contains(&parts.get_cost()) {
        return Err(format!("a bcrypt cost of {} is out of range; {ALLOWED}", parts.get_cost()));
    }
    Ok(PasswordHash::Bcrypt(text.into()))
}

fn argon2_of(text: &str) -> Result<PasswordHash, String> {
    let wrong = || format!("the argon2 hash is not complete; {ALLOWED}");
    let mut fields = text.split('$').skip(1);
    let mut field = || fields.next().ok_or_else(wrong);
    let kind = Algorithm::new(field()?).map_err(|_| wrong())?;
    if field()? != "v=19" {
        return Err(format!("an argon2 hash of another version than 19; {ALLOWED}"));
    }
    let (memory_kib, passes, lanes) = costs(field()?).ok_or_else(wrong)?;
    let salt = encoding::from_phc(field()?).ok_or_else(wrong)?;
    let hash = encoding::from_phc(field()?).ok_or_else(wrong)?;
    if fields.next().is_some() || !LENGTHS.contains(&salt.len()) || !LENGTHS.contains(&hash.len()) {
        return Err(wrong());
    }
    if memory_kib > MAX_MEMORY_KIB || passes > MAX_PASSES || lanes > MAX_LANES {
        return Err(format!("m={memory_kib},t={passes},p={lanes} costs too much; {ALLOWED}"));
    }
    let parts = Argon2Hash { kind, memory_kib, passes, lanes, salt, hash };
    parts.params().ok_or_else(wrong)?;
    Ok(PasswordHash::Argon2(Box::new(parts)))
}

/// Reads `m=19456,t=2,p=1`.
fn costs(text: &str) -> Option<(u32, u32, u32)> {
    let mut parts = text.split(',');
    let mut number = |key: &str| parts.next()?.strip_prefix(key)?.parse().ok();
    let found = (number("m=")?, number("t=")?, number("p=")?);
    parts.next().is_none().then_some(found)
}

impl Argon2Hash {
    fn params(&self) -> Option<Params> {
        Params::new(self.memory_kib, self.passes, self.lanes, Some(self.hash.len())).ok()
    }

    fn verify(&self, password: &str) -> bool {
        let mut made = vec![0; self.hash.len()];
        self.params().is_some_and(|params| {
            Argon2::new(self.kind, Version::V0x13, params)
                .hash_password_into(password.as_bytes(), &self.salt, &mut made)
                .is_ok()
                && verify_slices_are_equal(&made, &self.hash).is_ok()
        })
    }
}

/// Hashes a password with argon2id as OWASP recommends (m=19456, t=2, p=1); `salt` is random.
///
/// # Errors
/// Returns a sentence if the password is too long.
pub fn hash_argon2(password: &str, salt: [u8; 16]) -> Result<String, String> {
    check_length(password, MAX_PASSWORD_BYTES)?;
    let params = Params::new(19_456, 2, 1, Some(32)).map_err(|e| e.to_string())?;
    let mut hash = [0; 32];
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params)
        .hash_password_into(password.as_bytes(), &salt, &mut hash)
        .map_err(|e| e.to_string())?;
    let (salt, hash) = (encoding::phc(&salt), encoding::phc(&hash));
    Ok(format!("$argon2id$v=19$m=19456,t=2,p=1${salt}${hash}"))
}

/// Hashes a password with bcrypt; `salt` is random, `cost` 4 to 16.
///
/// # Errors
/// Returns a sentence if the password is longer than bcrypt reads, or the cost out of range.
pub fn hash_bcrypt(password: &str, cost: u32, salt: [u8; 16]) -> Result<String, String> {
    check_length(password, 72)?;
    if !BCRYPT_COSTS.contains(&cost) {
        return Err(format!("{cost} is no cost; write 4 to 16"));
    }
    bcrypt::hash_with_salt(password, cost, salt).map(|h| h.to_string()).map_err(|e| e.to_string())
}

fn check_length(password: &str, most: usize) -> Result<(), String> {
    match password.len() {
        0 => Err("the password is empty; write one".into()),
        n if n > most => Err(format!("the password has {n} bytes; write at most {most}")),
        _ => Ok(()),
    }
}

/// Users and the hashes of their passwords.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Users(BTreeMap<Box<str>, PasswordHash>);

impl Users {
    /// Makes a list of users; a name that comes twice has the hash that comes last.
    pub fn new(users: impl IntoIterator<Item = (Box<str>, PasswordHash)>) -> Self {
        Self(users.into_iter().collect())
    }

    /// Returns the name as it is written in the list if the password is the user's.
    ///
    /// A name that is not in the list costs what one of the names in it costs, always the same one:
    /// its password is compared with that user's hash, and refused whatever comes out.
    pub fn verify(&self, user: &str, password: &str) -> Option<&str> {
        let known = self.0.get_key_value(user);
        let hash = known.map(|(_, hash)| hash).or_else(|| self.stand_in(user))?;
        let is_right = hash.verify(password);
        known.filter(|_| is_right).map(|(name, _)| &**name)
    }

    fn stand_in(&self, user: &str) -> Option<&PasswordHash> {
        let sum = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, user.as_bytes());
        let at = sum
            .as_ref()
            .iter()
            .fold(0usize, |n, b| (n * 256 + usize::from(*b)) % self.0.len().max(1));
        self.0.values().nth(at)
    }
}

#[cfg(test)]
#[path = "password_tests.rs"]
mod tests;
