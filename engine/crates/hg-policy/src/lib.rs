//! Balancers: which endpoint of an upstream takes the next request.
//!
//! Owns the policies of [`hg_plan::Balance`], one file each in `balancers/`, the hash and the key they use, the
//! cookies that keep clients at endpoints and at branches of splits, and a small random generator. Never reads a clock, never draws randomness of its own and never does
//! I/O: callers pass in time, random source and load.
//!
//! What holds for every policy: weights count; an endpoint of weight 0 takes nothing; endpoints
//! that are not usable or were tried for this request are never picked; `backup` endpoints are
//! picked only when no other can be. [`Balancer::pick`] allocates nothing.

mod affinity;
mod balancer;
mod balancers;
mod cookie;
mod hash;
mod key;
mod load;
mod members;
mod places;
mod policy;
mod portion;
mod rng;
mod seal;
mod shares;
mod sticky;
#[cfg(test)]
mod testing;
mod validate;

pub use affinity::{Affinity, Token, token};
pub use balancer::Balancer;
pub use balancers::NAMES;
pub use cookie::Named;
use hash::hash_seeded;
pub use hash::{hash_client, hash_key};
pub use key::KeySource;
pub use load::{Load, Sample, Tried};
pub use portion::{Block, Portion};
pub use rng::{Random, WyRand};
pub use shares::Shares;
pub use sticky::{Chosen, Found, Sticky};
pub use validate::{Problem, most_endpoints, validate};
