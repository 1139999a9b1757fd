//! Networks that may pass, and networks that may not.

use ipnet::IpNet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A set of addresses; looking one up takes time that grows with the logarithm of their number.
///
/// An IPv4 address and its mapped form (`::ffff:192.0.2.1`) are one address, and so are networks of
/// them; wider networks of IPv6 (`::/0`) have no address of IPv4.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks {
    /// First and last address of ranges that do not touch, in order.
    v4: Box<[(u32, u32)]>,
    v6: Box<[(u128, u128)]>,
}

impl Networks {
    /// Makes the set of these networks.
    pub fn new(networks: &[IpNet]) -> Self {
        let mut v4 = Vec::new();
        let mut v6 = Vec::new();
        for network in networks {
            match network {
                IpNet::V4(n) => v4.push((n.network().to_bits(), n.broadcast().to_bits())),
                IpNet::V6(n) => match (mapped(n.network()), mapped(n.broadcast())) {
                    (Some(first), Some(last)) => v4.push((first, last)),
                    _ => v6.push((n.network().to_bits(), n.broadcast().to_bits())),
                },
            }
        }
        Self { v4: merged(v4, |end| end.checked_add(1)), v6: merged(v6, |end| end.checked_add(1)) }
    }

    /// Reports whether it has no address at all.
    pub fn is_empty(&self) -> bool {
        self.v4.is_empty() && self.v6.is_empty()
    }

    /// Reports whether the address is in it.
    pub fn contains(&self, ip: IpAddr) -> bool {
        match ip.to_canonical() {
            IpAddr::V4(ip) => holds(&self.v4, ip.to_bits()),
            IpAddr::V6(ip) => holds(&self.v6, ip.to_bits()),
        }
    }
}

/// Returns the IPv4 address of which this is the mapped form (RFC 4291 §2.5.5.2).
fn mapped(ip: Ipv6Addr) -> Option<u32> {
    ip.to_ipv4_mapped().map(Ipv4Addr::to_bits)
}

fn merged<T: Ord + Copy>(mut ranges: Vec<(T, T)>, after: impl Fn(T) -> Option<T>) -> Box<[(T, T)]> {
    ranges.sort_unstable();
    let mut out: Vec<(T, T)> = Vec::with_capacity(ranges.len());
    for (first, last) in ranges {
        match out.last_mut() {
            Some(before) if after(before.1).is_none_or(|next| first <= next) => {
                before.1 = before.1.max(last);
            }
            _ => out.push((first, last)),
        }
    }
    out.into()
}

fn holds<T: Ord + Copy>(ranges: &[(T, T)], value: T) -> bool {
    let after = ranges.partition_point(|(first, _)| *first <= value);
    after.checked_sub(1).and_then(|at| ranges.get(at)).is_some_and(|(_, last)| value <= *last)
}

/// The verdict of rules on an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It may pass.
    Allowed,
    /// A network of `deny` has it.
    Denied,
    /// There are networks in `allow`, and none has it.
    NotAllowed,
}

/// The rules of one `ip_access`: `deny` first, then `allow`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct IpRules {
    allow: Networks,
    deny: Networks,
}

impl IpRules {
    /// Makes rules of two lists.
    pub fn new(allow: &[IpNet], deny: &[IpNet]) -> Self {
        Self { allow: Networks::new(allow), deny: Networks::new(deny) }
    }

    /// Judges an address: one in `deny` never passes; the others pass if `allow` is empty or has
    /// them.
    pub fn judge(&self, ip: IpAddr) -> Verdict {
        if self.deny.contains(ip) {
            Verdict::Denied
        } else if self.allow.is_empty() || self.allow.contains(ip) {
            Verdict::Allowed
        } else {
            Verdict::NotAllowed
        }
    }
}

#[cfg(test)]
#[path = "networks_tests.rs"]
mod tests;
