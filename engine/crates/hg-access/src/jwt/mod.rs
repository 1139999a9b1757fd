//! Signed tokens (RFC 7515, RFC 7519), as RFC 8725 wants them verified.
//!
//! The algorithm belongs to the key: a token's `alg` only has to agree with it. Keys that a token
//! brings along or points to (`jwk`, `jku`, `x5c`, `x5u`) are never looked at, and a token with
//! `crit` is refused. The payload is parsed after the signature was found right.

mod algorithm;
mod claims;
mod key;
mod object;
mod policy;
#[cfg(test)]
mod signing_tests;
mod token;

pub use algorithm::{ALGORITHMS, Algorithm};
pub use claims::Claims;
pub use key::{Key, KeySet, MAX_KEYS};
pub use policy::{Policy, Refusal};
pub use token::MAX_TOKEN_BYTES;
