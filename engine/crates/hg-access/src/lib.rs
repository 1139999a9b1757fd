//! Access checks by networks, passwords, API keys and signed tokens; pure.
//!
//! Owns the decisions of the middlewares `ip_access`, `basic_auth`, `api_key` and `jwt`: what a
//! credential must look like, whether it is right, and what it says about its holder. Never reads a
//! clock, a socket or a file: times are arguments. Everything that a client
//! sends is bounded before it is looked at, and every comparison with a secret takes the same time
//! whatever differs.

mod api_key;
mod basic;
mod bounded;
mod encoding;
mod jwt;
mod networks;
mod password;
mod sealed;

pub use api_key::{ApiKeys, MAX_API_KEY_BYTES};
pub use basic::{Credentials, MAX_BASIC_BYTES, basic_credentials};
pub use bounded::Verified;
pub use jwt::{
    ALGORITHMS, Algorithm, Claims, Key, KeySet, MAX_KEYS, MAX_TOKEN_BYTES, Policy, Refusal,
};
pub use networks::{IpRules, Networks, Verdict};
pub use password::{MAX_PASSWORD_BYTES, PasswordHash, Users, hash_argon2, hash_bcrypt};
pub use sealed::{Fingerprint, Sealer};
