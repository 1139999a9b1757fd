//! The place of a server: its address as the plan has it, and what its name means now.

use crate::{Failure, Reason};
use hg_tls::ClientTls;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

/// A function that returns what is known of `host:port` whose host is a name: nothing before the
/// first look-up has ended, then the last good addresses, or why there are none. Never waits.
pub type Lookup = Arc<dyn Fn(&str) -> Option<Result<Vec<SocketAddr>, String>> + Send + Sync>;

/// Most addresses of a name that are tried in a row.
const TRIED: usize = 4;
/// Most addresses of which failures are remembered.
const REMEMBERED: usize = 64;

/// A server, ready to be connected to.
#[derive(Clone)]
pub struct Place {
    /// `host:port`.
    pub address: String,
    /// TLS towards it, if it has that.
    pub tls: Option<Arc<ClientTls>>,
    /// The one protocol to offer by ALPN; none = none is.
    pub protocol: Option<&'static [u8]>,
}

impl Place {
    /// Returns the addresses to try in their order by what is known of them; nothing before its name
    /// was looked up.
    ///
    /// # Errors
    /// Why its name has no address.
    pub(crate) fn addresses(
        &self,
        lookup: &Lookup,
        tried: &Tried,
    ) -> Option<Result<Vec<SocketAddr>, Failure>> {
        if let Ok(address) = self.address.parse() {
            return Some(Ok(vec![address]));
        }
        let without =
            |why: String| Failure::new(Reason::Name, format!("its name has no address: {why}"));
        let mut found = match lookup(&self.address)? {
            Ok(found) if found.is_empty() => return Some(Err(without("none is known".into()))),
            Ok(found) => found,
            Err(why) => return Some(Err(without(why))),
        };
        interleave(&mut found);
        tried.order(&mut found);
        found.truncate(TRIED);
        Some(Ok(found))
    }

    /// Reports whether both lead to the same server in the same manner.
    pub fn is_same(&self, other: &Self) -> bool {
        let tls = |place: &Self| place.tls.as_ref().map(|tls| *tls.digest());
        self.address == other.address && self.protocol == other.protocol && tls(self) == tls(other)
    }
}

/// The results of earlier tries of the addresses of a place.
#[derive(Clone, Debug, Default)]
pub struct Tried {
    worked: Option<SocketAddr>,
    /// Those that failed since one worked, the one of the last failure at the end.
    failed: Vec<SocketAddr>,
}

impl Tried {
    /// Notes an address that answered: the next try begins with it.
    pub fn works(&mut self, address: SocketAddr) {
        *self = Self { worked: Some(address), failed: Vec::new() };
    }

    /// Notes an address that did not: the next try ends with it.
    pub fn fails(&mut self, address: SocketAddr) {
        self.worked = self.worked.filter(|worked| *worked != address);
        self.failed.retain(|failed| *failed != address);
        // Names change their addresses; so many of old ones say nothing.
        if self.failed.len() >= REMEMBERED {
            self.failed.remove(0);
        }
        self.failed.push(address);
    }

    fn order(&self, addresses: &mut [SocketAddr]) {
        addresses.sort_by_key(|address| {
            if self.worked == Some(*address) {
                return 0;
            }
            self.failed.iter().position(|failed| failed == address).map_or(1, |at| at + 2)
        });
    }
}

/// Puts addresses of both families in turns (RFC 8305 §4): a host may have a way to one family alone.
fn interleave(addresses: &mut [SocketAddr]) {
    let (mut of_v6, mut of_v4) = (0, 0);
    addresses.sort_by_cached_key(|address| {
        let (before, second) = if address.is_ipv4() { (&mut of_v4, 1) } else { (&mut of_v6, 0) };
        *before += 2;
        *before + second
    });
}

/// Returns the host of `host:port`, without brackets.
pub fn host_of(address: &str) -> &str {
    let host = address.rsplit_once(':').map_or(address, |(host, _)| host);
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// Reports whether the host of `host:port` is a name.
pub fn is_name(address: &str) -> bool {
    host_of(address).parse::<IpAddr>().is_err()
}

/// Returns a look-up that knows no name, for those who have literal addresses alone.
pub fn literals_only() -> Lookup {
    Arc::new(|_| Some(Err("names are not looked up here".into())))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(address: &str) -> Place {
        Place { address: address.into(), tls: None, protocol: None }
    }

    fn addresses(count: u8) -> Vec<SocketAddr> {
        (1..=count).map(|n| SocketAddr::from(([10, 0, 0, n], 80))).collect()
    }

    #[test]
    fn hosts_and_names() {
        assert_eq!(
            [host_of("a.example:1"), host_of("[::1]:2"), host_of("10.0.0.1:3")],
            ["a.example", "::1", "10.0.0.1"]
        );
        assert!(is_name("a.example:1") && !is_name("[::1]:2") && !is_name("10.0.0.1:3"));
    }

    #[test]
    fn a_literal_is_not_looked_up() {
        let lookup = literals_only();
        let found = place("[::1]:7").addresses(&lookup, &Tried::default()).unwrap().unwrap();
        assert_eq!(found, ["[::1]:7".parse().unwrap()]);
        let error = place("a:7").addresses(&lookup, &Tried::default()).unwrap().unwrap_err();
        assert_eq!(error.reason, Reason::Name);
    }

    #[test]
    fn the_address_that_worked_last_comes_first_and_few_are_tried() {
        let all = addresses(9);
        let known = all.clone();
        let lookup: Lookup = Arc::new(move |_| Some(Ok(known.clone())));
        let mut tried = Tried::default();
        tried.works(all[6]);
        let found = place("a:80").addresses(&lookup, &tried).unwrap().unwrap();
        assert_eq!((found.len(), found.first()), (TRIED, all.get(6)));
        tried.works(SocketAddr::from(([10, 9, 9, 9], 80)));
        let found = place("a:80").addresses(&lookup, &tried).unwrap().unwrap();
        assert_eq!(found.first(), all.first(), "an address that it no longer has is not tried");
    }

    #[test]
    fn addresses_that_failed_come_last_and_the_latest_failure_at_the_end() {
        let all = addresses(3);
        let known = all.clone();
        let lookup: Lookup = Arc::new(move |_| Some(Ok(known.clone())));
        let mut tried = Tried::default();
        tried.works(all[0]);
        for failed in [all[0], all[1], all[0]] {
            tried.fails(failed);
        }
        let found = place("a:80").addresses(&lookup, &tried).unwrap().unwrap();
        assert_eq!(found, [all[2], all[1], all[0]]);
        tried.works(all[1]);
        let found = place("a:80").addresses(&lookup, &tried).unwrap().unwrap();
        assert_eq!(found, [all[1], all[0], all[2]]);
        for n in 0..=u16::MAX {
            tried.fails(SocketAddr::from(([10, 9, 9, 9], n)));
        }
        assert_eq!(tried.failed.len(), REMEMBERED);
    }

    #[test]
    fn both_families_are_tried_however_many_addresses_one_has() {
        let of = |texts: &[&str]| texts.iter().map(|t| t.parse().unwrap()).collect::<Vec<_>>();
        let known = of(&["[::1]:1", "[::2]:1", "[::3]:1", "[::4]:1", "1.1.1.1:1", "1.1.1.2:1"]);
        let lookup: Lookup = Arc::new(move |_| Some(Ok(known.clone())));
        let found = place("a:1").addresses(&lookup, &Tried::default()).unwrap().unwrap();
        assert_eq!(found, of(&["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1"]));
    }

    #[test]
    fn a_name_that_was_not_looked_up_yet_has_no_answer() {
        let lookup: Lookup = Arc::new(|_| None);
        assert!(place("a:80").addresses(&lookup, &Tried::default()).is_none());
        let lookup: Lookup = Arc::new(|_| Some(Ok(Vec::new())));
        assert!(place("a:80").addresses(&lookup, &Tried::default()).unwrap().is_err());
    }
}
