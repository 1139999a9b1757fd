//! The parts that hashing balancers share: who an endpoint is, and where to look when few are left.

use crate::hash::{hash_key, hash_seeded};
use crate::members::{Member, Members};
use hg_plan::Endpoint;
use std::collections::HashMap;

/// Returns the first member that fits, starting from one that the key decides. Use it if few
/// members are left, whose points are far apart.
pub(crate) fn scan<'a>(
    members: &'a [Member],
    key: u64,
    fits: impl Fn(&&'a Member) -> bool,
) -> Option<&'a Member> {
    let start = (hash_key(&key.to_le_bytes()) as usize).checked_rem(members.len())?;
    let (before, from) = members.split_at_checked(start)?;
    from.iter().chain(before).find(fits)
}

/// Returns the hashes that identify endpoints: of the address and of how often that address came
/// before, so that a place depends on nothing else in the list.
pub(crate) fn identities(members: &Members, endpoints: &[Endpoint]) -> Vec<u64> {
    let mut seen: HashMap<&str, u64> = HashMap::new();
    let mut identity = |m: &Member| {
        let address = endpoints.get(m.endpoint as usize).map_or("", |e| e.address.as_str());
        let times = seen.entry(address).or_default();
        *times += 1;
        hash_seeded(address.as_bytes(), *times)
    };
    members.as_slice().iter().map(&mut identity).collect()
}
