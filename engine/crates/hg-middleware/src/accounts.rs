//! The accounts that the requests of one client's connection share (`bandwidth` by `connection`).
//!
//! They belong to the connection and end with it. An account of a limit that has left the config, or
//! that owes nothing and is in no body's use, says nothing: it gives up its place to the next one.

use crate::limit_state::Kept;
use hg_limit::{Cell, Rate};
use std::sync::{Arc, Weak};

/// Most accounts of a connection.
const MOST: usize = 32;

/// The accounts of one client's connection, by limit and direction. It allocates nothing before the
/// first request under such a limit, and never holds more than 32 accounts.
#[derive(Debug, Default)]
pub struct ConnectionAccounts(Option<Box<Accounts>>);

/// The accounts, in the order in which they were made.
#[derive(Debug, Default)]
struct Accounts {
    all: Vec<Account>,
}

/// The account of one limit in one direction.
#[derive(Debug)]
struct Account {
    /// Tells limits apart: as long as this is here, no other limit has its address.
    limit: Weak<Kept>,
    cell: Arc<Cell>,
}

impl ConnectionAccounts {
    /// Returns the account of a limit; makes one that owes nothing if there is none. Reports whether
    /// another account lost what it owed because there was no room. Costs a pass over the accounts.
    pub(crate) fn of(&mut self, limit: &Arc<Kept>, rate: Rate, now_us: u64) -> (Arc<Cell>, bool) {
        let all = &mut self.0.get_or_insert_default().all;
        if let Some(known) = all.iter().find(|one| one.limit.as_ptr() == Arc::as_ptr(limit)) {
            return (known.cell.clone(), false);
        }
        all.retain(|one| one.limit.strong_count() > 0 && one.says_something(now_us));
        let evicted = if all.len() < MOST { None } else { least(all, now_us) };
        if let Some(at) = evicted {
            all.swap_remove(at);
        }
        let cell = Arc::new(Cell::new(rate));
        all.push(Account { limit: Arc::downgrade(limit), cell: cell.clone() });
        (cell, evicted.is_some())
    }
}

impl Account {
    /// Reports whether a body uses it.
    fn is_in_use(&self) -> bool {
        Arc::strong_count(&self.cell) > 1
    }

    fn says_something(&self, now_us: u64) -> bool {
        self.is_in_use() || self.cell.owed_us(now_us) > 0
    }
}

/// Returns which account is missed least: of those in no body's use, if there are any, the one that
/// owes least.
fn least(all: &[Account], now_us: u64) -> Option<usize> {
    let missed = |one: &Account| (one.is_in_use(), one.cell.owed_us(now_us));
    all.iter().enumerate().min_by_key(|(_, one)| missed(one)).map(|(at, _)| at)
}

#[cfg(test)]
#[path = "accounts_tests.rs"]
mod tests;
