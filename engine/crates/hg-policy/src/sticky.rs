//! Sticky splits: a client stays at the branch that it was assigned to.

use crate::cookie::{Cookie, Named};
use crate::{KeySource, Random, Shares, Token, hash_seeded, token};

/// The part of a request that speaks for a branch of a split.
#[derive(Clone, Debug)]
enum By {
    /// A cookie of ours.
    Cookie(Box<Cookie>),
    /// The first of these that a request has.
    Keys(Box<[KeySource]>),
}

/// The branches of a split, and how a client finds its own again.
#[derive(Clone, Debug)]
pub struct Sticky {
    by: By,
    branches: Box<[(Token, u32)]>,
    shares: Shares,
}

/// The way in which a branch was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Found {
    /// The cookie named it.
    Kept,
    /// There was no cookie, or its time was over; it was drawn by weight.
    New,
    /// The branch of the cookie takes nothing any more; another one was drawn.
    Moved,
    /// The cookie was not made by us; one was drawn.
    Forged,
    /// By the hash of a key.
    Hashed,
    /// The request has no key; it was drawn.
    Unkeyed,
}

impl Found {
    /// The words of [`Found`], in its order.
    pub const NAMES: &[&str] = &["kept", "new", "moved", "forged", "hashed", "unkeyed"];
}

/// A branch for a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Its index.
    pub branch: usize,
    /// The way in which it was found.
    pub found: Found,
    /// The token that the client's cookie must have, if that has to be set.
    pub sets: Option<Token>,
}

impl Sticky {
    /// Makes it for a route and its branches: names of upstreams with their weights, in order.
    ///
    /// # Errors
    /// Returns the index of a key, and a sentence that says what is wrong with it.
    pub fn new(
        plan: &hg_plan::Sticky,
        route: &str,
        parts: &[hg_plan::SplitPart],
    ) -> Result<Self, (usize, String)> {
        let by = match plan {
            hg_plan::Sticky::Cookie(cookie) => {
                By::Cookie(Box::new(Cookie::new(cookie, &["split", route])))
            }
            hg_plan::Sticky::By(keys) => {
                let parse = |(at, key): (usize, &String)| {
                    KeySource::parse(key).map_err(|wrong| (at, wrong))
                };
                By::Keys(keys.iter().enumerate().map(parse).collect::<Result<_, _>>()?)
            }
        };
        let branches = parts.iter().map(|part| (token(route, &part.upstream), part.weight));
        let shares = Shares::new(parts.iter().map(|part| part.weight));
        Ok(Self { by, branches: branches.collect(), shares })
    }

    /// Returns the branch of a request; `None` if every weight is 0. `cookies` calls its argument
    /// with each `Cookie` line, `key` returns the hash of a key that the request has.
    pub fn choose(
        &self,
        cookies: impl FnOnce(&mut dyn FnMut(&[u8])),
        key: impl FnMut(&KeySource) -> Option<u64>,
        unix_s: fn() -> u64,
        rng: &mut dyn Random,
    ) -> Option<Chosen> {
        let cookie = match &self.by {
            By::Keys(keys) => return self.by_keys(keys, key, rng),
            By::Cookie(cookie) => cookie,
        };
        let mut named = Named::Nothing;
        let branch_of = |token| self.branches.iter().position(|b| b.0 == token && b.1 > 0);
        cookies(&mut |line| {
            cookie.read(line, &mut named, unix_s, |token| branch_of(token).is_some());
        });
        if let Some(branch) = named.token().and_then(branch_of) {
            return Some(Chosen { branch, found: Found::Kept, sets: None });
        }
        let found = match named {
            Named::Nothing => Found::New,
            Named::Token(_) => Found::Moved,
            Named::Forged => Found::Forged,
        };
        let branch = self.shares.pick(rng)?;
        let sets = self.branches.get(branch).map(|(token, _)| *token);
        Some(Chosen { branch, found, sets })
    }

    fn by_keys(
        &self,
        keys: &[KeySource],
        key: impl FnMut(&KeySource) -> Option<u64>,
        rng: &mut dyn Random,
    ) -> Option<Chosen> {
        match keys.iter().find_map(key) {
            Some(hash) => {
                let branch = self.heaviest(hash)?;
                Some(Chosen { branch, found: Found::Hashed, sets: None })
            }
            None => {
                let branch = self.shares.pick(rng)?;
                Some(Chosen { branch, found: Found::Unkeyed, sets: None })
            }
        }
    }

    /// Returns the branch that weighted rendezvous hashing gives a key (Schindelhauer and Schomaker,
    /// "Weighted distributed hash tables", 2005): a branch that gets more weight takes keys from the
    /// others, and no key moves between two branches whose weights stayed.
    fn heaviest(&self, key: u64) -> Option<usize> {
        let score = |&(token, weight): &(Token, u32)| {
            let hash = hash_seeded(&token.to_le_bytes(), key);
            // The middle of one of 2^53 equal parts of (0, 1).
            #[allow(clippy::cast_precision_loss, reason = "53 bits fit")]
            let even = ((hash >> 11) as f64 + 0.5) / (1u64 << 53) as f64;
            f64::from(weight) / -even.ln()
        };
        let live = self.branches.iter().enumerate().filter(|(_, branch)| branch.1 > 0);
        let scored = live.map(|(index, branch)| (index, score(branch)));
        scored.max_by(|a, b| a.1.total_cmp(&b.1)).map(|(index, _)| index)
    }

    /// Writes the value of `Set-Cookie` that names a branch.
    pub fn write_cookie(&self, token: Token, is_tls: bool, unix_s: fn() -> u64, out: &mut Vec<u8>) {
        if let By::Cookie(cookie) = &self.by {
            cookie.write(token, is_tls, unix_s, out);
        }
    }
}

#[cfg(test)]
#[path = "sticky_tests.rs"]
mod tests;
