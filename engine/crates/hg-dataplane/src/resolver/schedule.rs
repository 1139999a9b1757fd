//! The time of the next lookup of each name, and its last answer. Pure: the caller passes in the
//! clock and the dice.

use hg_plan::Resolver;
use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

/// The time for which an answer without a TTL counts.
pub const UNKNOWN_TTL: Duration = Duration::from_secs(10);

/// Most of the TTL by which the next lookup may move, so that many names asked at once spread out.
const JITTER: f64 = 0.1;

/// An answer: addresses in the source's order, never empty.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// IPv6 and IPv4 together.
    pub addresses: Vec<IpAddr>,
    /// The time for which it holds; `None` if the source does not say.
    pub ttl: Option<Duration>,
    /// The family that could not be asked for.
    pub lack: Option<Lack>,
}

/// A family of addresses that an answer lacks although the name may have some.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lack {
    /// True for IPv4, else IPv6.
    pub is_ipv4: bool,
    /// The reason.
    pub why: String,
}

/// The state of a host, for metrics.
#[derive(Clone, Debug, PartialEq)]
pub struct HostReport {
    /// The host.
    pub host: String,
    /// Time since the last good answer; `None` before the first.
    pub age: Option<Duration>,
    /// Failed lookups since the start.
    pub failures: u64,
    /// Lookups since the start.
    pub lookups: u64,
}

#[derive(Clone, Debug, Default)]
struct Host {
    /// `host:port` names with this host, with their ports.
    names: Vec<(String, u16)>,
    /// The time of the next lookup; `None` during a lookup.
    due: Option<Duration>,
    answered: Option<Duration>,
    addresses: Vec<IpAddr>,
    lookups: u64,
    failures: u64,
    failures_in_a_row: u32,
}

/// The information for the engine after an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The names with this host, with their ports.
    pub names: Vec<(String, u16)>,
    /// True for the first failure after a success (or after the start).
    pub is_first_failure: bool,
    /// True if there are addresses, from this answer or an earlier one.
    pub has_addresses: bool,
    /// True if the engine must be informed: the addresses changed, or are the first after a
    /// failure.
    pub is_changed: bool,
}

/// Every host to look up, with times since an arbitrary start.
#[derive(Debug, Default)]
pub struct Schedule {
    hosts: BTreeMap<String, Host>,
    limits: Resolver,
}

impl Schedule {
    /// Sets the wanted names. A new name is due at once and a name that is gone is forgotten;
    /// returns the new names on hosts already answered, with their addresses.
    pub fn want(
        &mut self,
        names: &[String],
        limits: Resolver,
        now: Duration,
    ) -> Vec<(String, u16, Vec<IpAddr>)> {
        self.limits = limits;
        let mut wanted: BTreeMap<String, Vec<(String, u16)>> = BTreeMap::new();
        for name in names {
            if let Some((host, port)) = split(name) {
                wanted.entry(host.to_owned()).or_default().push((name.clone(), port));
            }
        }
        self.hosts.retain(|host, _| wanted.contains_key(host));
        let mut known = Vec::new();
        for (host, names) in wanted {
            let entry = self
                .hosts
                .entry(host)
                .or_insert_with(|| Host { due: Some(now), ..Host::default() });
            if !entry.addresses.is_empty() {
                let is_new = |name: &&(String, u16)| !entry.names.contains(name);
                known.extend(
                    names
                        .iter()
                        .filter(is_new)
                        .map(|(n, p)| (n.clone(), *p, entry.addresses.clone())),
                );
            }
            entry.names = names;
        }
        known
    }

    /// Returns the hosts to look up now, at most `limit`; they are in progress until
    /// [`answered`](Self::answered).
    pub fn take_due(&mut self, now: Duration, limit: usize) -> Vec<String> {
        let mut due: Vec<(Duration, &String)> = self
            .hosts
            .iter()
            .filter_map(|(host, entry)| Some((entry.due.filter(|due| *due <= now)?, host)))
            .collect();
        due.sort();
        let taken: Vec<String> =
            due.into_iter().take(limit).map(|(_, host)| host.clone()).collect();
        for host in &taken {
            if let Some(entry) = self.hosts.get_mut(host) {
                entry.due = None;
                entry.lookups += 1;
            }
        }
        taken
    }

    /// Reports whether an answer lacks addresses that the host had, and that are still good for all
    /// that is known: it counts as a failed look-up then.
    pub fn loses_addresses(&self, host: &str, lack: &Lack) -> bool {
        let known = self.hosts.get(host).map_or(&[][..], |entry| &entry.addresses);
        known.iter().any(|address| address.is_ipv4() == lack.is_ipv4)
    }

    /// Returns what [`want`](Self::want) last set.
    pub fn settings(&self) -> &Resolver {
        &self.limits
    }

    /// Returns when the next host is due; `None` if none is.
    pub fn next_due(&self) -> Option<Duration> {
        self.hosts.values().filter_map(|entry| entry.due).min()
    }

    /// Takes an answer; `dice` is in 0..1. Returns `None` if no plan wants the host any more.
    pub fn answered(
        &mut self,
        host: &str,
        result: Result<&Answer, ()>,
        now: Duration,
        dice: f64,
    ) -> Option<Told> {
        let (least, most) = self.bounds();
        let entry = self.hosts.get_mut(host)?;
        let mut told = Told {
            names: entry.names.clone(),
            is_first_failure: false,
            has_addresses: !entry.addresses.is_empty(),
            is_changed: false,
        };
        let pause = match result {
            Ok(answer) => {
                told.is_changed =
                    entry.failures_in_a_row > 0 || entry.addresses != answer.addresses;
                told.has_addresses = true;
                entry.addresses.clone_from(&answer.addresses);
                entry.answered = Some(now);
                entry.failures_in_a_row = 0;
                answer.ttl.unwrap_or(UNKNOWN_TTL).clamp(least, most)
            }
            Err(()) => {
                told.is_first_failure = entry.failures_in_a_row == 0;
                entry.failures += 1;
                entry.failures_in_a_row = entry.failures_in_a_row.saturating_add(1);
                let doublings = (entry.failures_in_a_row - 1).min(16);
                least.saturating_mul(1 << doublings).min(most)
            }
        };
        // Early and never late: an answer never counts for longer than its TTL.
        entry.due = Some(now + pause.mul_f64(1.0 - JITTER * dice.clamp(0.0, 1.0)));
        Some(told)
    }

    /// Returns the report of every host, by name.
    pub fn reports(&self, now: Duration) -> Vec<HostReport> {
        let report = |(host, entry): (&String, &Host)| HostReport {
            host: host.clone(),
            age: entry.answered.map(|at| now.saturating_sub(at)),
            failures: entry.failures,
            lookups: entry.lookups,
        };
        self.hosts.iter().map(report).collect()
    }

    fn bounds(&self) -> (Duration, Duration) {
        let least = Duration::from_millis(self.limits.min_ttl_ms.max(100));
        (least, Duration::from_millis(self.limits.max_ttl_ms).max(least))
    }
}

/// Splits `host:port` into host and port.
fn split(name: &str) -> Option<(&str, u16)> {
    let (host, port) = name.rsplit_once(':')?;
    (!host.is_empty()).then_some((host, port.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    fn limits() -> Resolver {
        Resolver { min_ttl_ms: 2_000, max_ttl_ms: 60_000, ..Resolver::default() }
    }

    fn answer(last: u8, ttl: u64) -> Answer {
        let addresses = vec![IpAddr::from([10, 0, 0, last])];
        Answer { addresses, ttl: Some(s(ttl)), lack: None }
    }

    fn with(names: &[&str]) -> Schedule {
        let mut schedule = Schedule::default();
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        assert!(schedule.want(&names, limits(), s(0)).is_empty());
        schedule
    }

    #[test]
    fn a_new_name_is_asked_at_once_and_two_ports_share_a_question() {
        let mut schedule = with(&["a.test:80", "a.test:81", "b.test:80", "nonsense"]);
        assert_eq!(schedule.take_due(s(0), 9), ["a.test", "b.test"]);
        assert!(schedule.take_due(s(0), 9).is_empty());
        let told = schedule.answered("a.test", Ok(&answer(1, 5)), s(1), 0.0).unwrap();
        assert_eq!(told.names, [("a.test:80".into(), 80), ("a.test:81".into(), 81)]);
        assert!(told.is_changed);
    }

    #[test]
    fn it_is_asked_again_by_its_ttl_within_the_bounds_and_a_little_early() {
        for (ttl, dice, due) in [
            (5, 0.0, s(5)),
            (5, 1.0, Duration::from_millis(4500)),
            (0, 0.0, s(2)),
            (900, 0.0, s(60)),
        ] {
            let mut schedule = with(&["a.test:80"]);
            schedule.take_due(s(0), 9);
            assert_eq!(schedule.next_due(), None);
            schedule.answered("a.test", Ok(&answer(1, ttl)), s(0), dice).unwrap();
            assert_eq!(schedule.next_due(), Some(due));
        }
    }

    #[test]
    fn failures_back_off_up_to_the_longest_ttl_and_the_age_grows() {
        let mut schedule = with(&["a.test:80"]);
        schedule.take_due(s(0), 9);
        schedule.answered("a.test", Ok(&answer(1, 2)), s(0), 0.0);
        let mut now = s(0);
        for (round, pause) in [2, 4, 8, 16, 32, 60, 60].into_iter().enumerate() {
            now = schedule.next_due().unwrap();
            assert_eq!(schedule.take_due(now, 9), ["a.test"]);
            let told = schedule.answered("a.test", Err(()), now, 0.0).unwrap();
            assert_eq!(told.is_first_failure, round == 0);
            assert_eq!(schedule.next_due(), Some(now + s(pause)));
        }
        let report = &schedule.reports(now)[0];
        assert_eq!((report.failures, report.lookups, report.age), (7, 8, Some(now)));
    }

    #[test]
    fn a_name_gone_is_forgotten_and_its_answer_ignored() {
        let mut schedule = with(&["a.test:80"]);
        schedule.take_due(s(0), 9);
        schedule.want(&[], limits(), s(1));
        assert_eq!(schedule.answered("a.test", Ok(&answer(1, 5)), s(1), 0.0), None);
        assert!(schedule.reports(s(1)).is_empty());
    }

    #[test]
    fn a_new_port_of_a_known_host_gets_its_addresses_at_once() {
        let mut schedule = with(&["a.test:80"]);
        schedule.take_due(s(0), 9);
        let told = schedule.answered("a.test", Ok(&answer(1, 5)), s(0), 0.0).unwrap();
        assert!(told.is_changed);
        let names = ["a.test:80".to_owned(), "a.test:443".to_owned()];
        let known = schedule.want(&names, limits(), s(1));
        assert_eq!(known, [("a.test:443".to_owned(), 443, answer(1, 5).addresses)]);
        assert_eq!(schedule.next_due(), Some(s(5)));
    }

    #[test]
    fn no_more_are_asked_at_once_than_allowed_and_the_longest_due_first() {
        let mut schedule = with(&["a.test:80", "b.test:80", "c.test:80"]);
        assert_eq!(schedule.take_due(s(0), 2), ["a.test", "b.test"]);
        schedule.answered("a.test", Ok(&answer(1, 2)), s(1), 0.0);
        assert_eq!(schedule.take_due(s(9), 2), ["c.test", "a.test"]);
    }
}
