//! The exchange on one connection, as bytes: greeting, charges, and what the answers mean. Pure.
//!
//! A key of the store holds the time at which it owes nothing any more, in microseconds of the store's
//! own clock. The script adds a charge to it, whatever it holds, and answers how far ahead it is then;
//! the key expires when it owes nothing. It runs as a whole, so that charges of several nodes add up.
//! Servers need `EVALSHA` and replication by effects: Redis from 5 on, Valkey.

use crate::resp::{self, Reply};
use hg_dial::{Failure, Reason};
use hg_plan::LimitStore;
use std::collections::VecDeque;

const SCRIPT: &[u8] = include_bytes!("script.lua");
/// Of the key that is charged to see whether the store counts.
const TRIAL: Charge = Charge { name: 0, key: 0, charge_us: 1, most_us: 1_000_000 };

/// A charge to a key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Charge {
    /// Hash of the limit's name.
    pub(crate) name: u64,
    /// Hash of what is counted by.
    pub(crate) key: u64,
    pub(crate) charge_us: u64,
    /// The value that the key holds counts as at most this far ahead.
    pub(crate) most_us: u64,
}

impl Charge {
    /// Reports whether the key can be so far ahead after it. The script computes with 53 bits.
    fn may_lead_to(&self, ahead_us: u64) -> bool {
        let most = self.most_us.saturating_add(self.charge_us);
        let slack = 64 + most / 1_000_000;
        (self.charge_us.saturating_sub(slack)..=most.saturating_add(slack)).contains(&ahead_us)
    }
}

/// The reason why a connection is of no more use.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Another one may do: the server closed it, or has lost the script.
    Again(Failure),
    /// The store is away, for this reason.
    Away(Failure),
}

enum Awaited {
    Done,
    Digest,
    Charge(Charge),
}

/// One connection, without its socket.
pub(crate) struct Session {
    prefix: String,
    digest: Vec<u8>,
    input: Vec<u8>,
    awaited: VecDeque<Awaited>,
}

impl Session {
    /// Begins a connection: appends the greeting, after whose answers the store counts.
    pub(crate) fn begin(plan: &LimitStore, out: &mut Vec<u8>) -> Self {
        let (digest, input) = Default::default();
        let mut it =
            Self { prefix: plan.prefix.clone(), digest, input, awaited: VecDeque::default() };
        if !plan.password.is_empty() {
            let (user, password) = (plan.username.as_bytes(), plan.password.as_bytes());
            match user {
                b"" => resp::command(&[b"AUTH", password], out),
                _ => resp::command(&[b"AUTH", user, password], out),
            }
            it.awaited.push_back(Awaited::Done);
        }
        if plan.database > 0 {
            resp::command(&[b"SELECT", plan.database.to_string().as_bytes()], out);
            it.awaited.push_back(Awaited::Done);
        }
        resp::command(&[b"SCRIPT", b"LOAD", SCRIPT], out);
        it.awaited.push_back(Awaited::Digest);
        it.say(b"EVAL", SCRIPT, TRIAL, out);
        it
    }

    /// Appends charges.
    pub(crate) fn charge(&mut self, charges: &[Charge], out: &mut Vec<u8>) {
        let digest = std::mem::take(&mut self.digest);
        charges.iter().for_each(|charge| self.say(b"EVALSHA", &digest, *charge, out));
        self.digest = digest;
    }

    /// Appends a charge that tells whether the store counts.
    pub(crate) fn trial(&mut self, out: &mut Vec<u8>) {
        self.charge(&[TRIAL], out);
    }

    fn say(&mut self, word: &[u8], script: &[u8], charge: Charge, out: &mut Vec<u8>) {
        let Charge { name, key, charge_us, most_us } = charge;
        let key = format!("{}:{name:016x}:{key:016x}", self.prefix);
        let (by, most) = (charge_us.to_string(), most_us.to_string());
        let parts = [word, script, b"1", key.as_bytes(), by.as_bytes(), most.as_bytes()];
        resp::command(&parts, out);
        self.awaited.push_back(Awaited::Charge(charge));
    }

    /// Reports whether everything was answered.
    pub(crate) fn is_answered(&self) -> bool {
        self.awaited.is_empty()
    }

    /// Reads what came; appends how far ahead each charged key is, in the order of the charges.
    ///
    /// # Errors
    /// If it is not what was asked for: then nothing more is asked of this connection.
    pub(crate) fn feed(&mut self, bytes: &[u8], ahead_us: &mut Vec<u64>) -> Result<(), Trouble> {
        self.input.extend_from_slice(bytes);
        let mut at = 0;
        while let Some(rest) = self.input.get(at..).filter(|rest| !rest.is_empty()) {
            let read = resp::reply(rest).map_err(lie)?;
            let Some((reply, length)) = read else { break };
            at += length;
            let Some(awaited) = self.awaited.pop_front() else {
                return Err(lie("it answers what nobody asked"));
            };
            match (awaited, reply) {
                (_, Reply::Error(why)) => return Err(refusal(why)),
                (Awaited::Done, Reply::Status(_)) => {}
                (Awaited::Digest, Reply::Text(digest)) if is_digest(&digest) => {
                    self.digest = digest;
                }
                (Awaited::Charge(charge), Reply::Integer(ahead)) => {
                    let ahead = u64::try_from(ahead).ok().filter(|us| charge.may_lead_to(*us));
                    let untrue = || lie("its answer to a charge cannot be true");
                    ahead_us.push(ahead.ok_or_else(untrue)?);
                }
                _ => return Err(lie("its answer is of another type")),
            }
        }
        self.input.drain(..at);
        Ok(())
    }
}

fn refusal(why: String) -> Trouble {
    if why.starts_with("NOSCRIPT") {
        return Trouble::Again(Failure::new(Reason::Answer, "it has lost the script"));
    }
    lie(format!("it says: {why}"))
}

fn lie(why: impl Into<String>) -> Trouble {
    Trouble::Away(Failure::new(Reason::Answer, why))
}

fn is_digest(text: &[u8]) -> bool {
    text.len() == 40 && text.iter().all(u8::is_ascii_hexdigit)
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
