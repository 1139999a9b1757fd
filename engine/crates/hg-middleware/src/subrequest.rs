//! Requests that a step sends itself, to an upstream of the plan, and what becomes of them.

use crate::variables::is_token;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

/// An upstream by its name, and the slot in which it was found last.
#[derive(Debug)]
pub struct Target {
    name: Box<str>,
    slot: AtomicUsize,
}

impl Target {
    pub(crate) fn new(name: &str) -> Self {
        Self { name: name.into(), slot: AtomicUsize::new(0) }
    }

    /// Finds the slot among so many; `name_of` returns the name of the upstream in a slot.
    pub fn find<'a>(
        &self,
        slots: usize,
        name_of: impl Fn(usize) -> Option<&'a str>,
    ) -> Option<usize> {
        let is_it = |slot: &usize| name_of(*slot) == Some(&*self.name);
        let known = self.slot.load(Relaxed);
        if is_it(&known) {
            return Some(known);
        }
        let found = (0..slots).find(is_it)?;
        self.slot.store(found, Relaxed);
        Some(found)
    }
}

/// A request that the proxy makes itself, without a body.
#[derive(Debug)]
pub struct Subrequest {
    /// Its destination.
    pub to: Arc<Target>,
    /// Its method.
    pub method: hg_proto::Method<'static>,
    /// Path and query.
    pub target: Box<str>,
    /// The host that the client asked for, with port; sent unless the upstream has another.
    pub host: String,
    /// Header lines, each `name: value\r\n`, without those of the connection and without Host.
    pub lines: Vec<u8>,
    /// The answer's header lines, and its body, have at most so many bytes.
    pub most_bytes: usize,
    /// After so many microseconds it is given up.
    pub timeout_us: u64,
    /// Its place among those in progress.
    pub seat: Seat,
}

impl Subrequest {
    /// Calls `line` with the value of each line of a name.
    pub fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        let named = |(found, _): &(&str, &[u8])| found.eq_ignore_ascii_case(name);
        fields(&self.lines).filter(named).for_each(|(_, value)| line(value));
    }
}

/// Returns names, as sent, and values of header lines.
fn fields(lines: &[u8]) -> impl Iterator<Item = (&str, &[u8])> {
    lines.split(|b| *b == b'\n').filter_map(|line| {
        let (name, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
        let value = value.get(1..)?.trim_ascii();
        let name = std::str::from_utf8(name).ok().filter(|name| is_token(name))?;
        Some((name, value))
    })
}

/// The answer to a subrequest, whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answered {
    /// 200 to 599.
    pub status: u16,
    /// Header lines, each `name: value\r\n`, without those of the connection and the framing.
    pub lines: Vec<u8>,
    /// The body.
    pub body: Vec<u8>,
}

impl Answered {
    /// Returns names, as sent, and values of the header lines.
    pub(crate) fn fields(&self) -> impl Iterator<Item = (&str, &[u8])> {
        fields(&self.lines)
    }
}

/// The reason why a subrequest has no answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// No endpoint could be reached.
    Unavailable,
    /// No endpoint was asked, maybe because of what clients did before: a breaker is open, or a limit
    /// is reached.
    NotAsked,
    /// The endpoint that was asked hung up, maybe because of what the client sent.
    HungUp,
    /// There was no whole answer in time.
    Timeout,
    /// The bytes that came are no usable answer.
    Invalid,
    /// The answer is too large.
    TooLarge,
}

/// A place among the requests in progress that one middleware or one route sends itself; given back
/// when this is dropped.
#[derive(Debug)]
pub struct Seat(Arc<AtomicU32>);

impl Seat {
    /// Takes one of so many places; returns nothing if all are taken.
    pub fn take(taken: &Arc<AtomicU32>, most: u32) -> Option<Self> {
        let seat = Self(taken.clone());
        (taken.fetch_add(1, Relaxed) < most).then_some(seat)
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;

    #[test]
    fn a_target_is_found_again_in_another_slot_and_never_by_its_old_one() {
        let target = Target::new("auth");
        let find = |names: &[Option<&'static str>]| {
            target.find(names.len(), |slot| names.get(slot).copied().flatten())
        };
        assert_eq!(find(&[Some("shop"), Some("auth")]), Some(1));
        assert_eq!(find(&[Some("auth"), Some("shop")]), Some(0));
        assert_eq!(find(&[Some("shop"), None]), None);
        assert_eq!(find(&[]), None);
    }

    #[test]
    fn seats_are_given_back() {
        let taken = Arc::new(AtomicU32::new(0));
        let first = Seat::take(&taken, 1).unwrap();
        assert!(Seat::take(&taken, 1).is_none());
        drop(first);
        assert!(Seat::take(&taken, 1).is_some());
        assert_eq!(taken.load(Relaxed), 0);
    }
}
