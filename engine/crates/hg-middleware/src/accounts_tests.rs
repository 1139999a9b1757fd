use super::*;

const SECOND: u64 = 1_000_000;
const RATE: u64 = 1_000;

fn limit() -> Arc<Kept> {
    Arc::default()
}

fn rate() -> Rate {
    Rate::bytes(RATE)
}

/// Has a limit's account owe what takes so many seconds to earn.
fn owe(accounts: &mut ConnectionAccounts, limit: &Arc<Kept>, seconds: u64) {
    accounts.of(limit, rate(), 0).0.owe(0, seconds * RATE, 0);
}

fn owed_s(accounts: &mut ConnectionAccounts, limit: &Arc<Kept>, now_us: u64) -> u64 {
    accounts.of(limit, rate(), now_us).0.owed_us(now_us) / SECOND
}

fn count(accounts: &ConnectionAccounts) -> usize {
    accounts.0.as_ref().map_or(0, |accounts| accounts.all.len())
}

#[test]
fn requests_of_a_connection_share_the_account_of_a_limit_and_no_other() {
    let (one, other) = (limit(), limit());
    let (mut ours, mut theirs) = Default::default();
    owe(&mut ours, &one, 60);
    assert_eq!(owed_s(&mut ours, &one, 0), 60);
    assert_eq!(owed_s(&mut ours, &other, 0), 0);
    assert_eq!(owed_s(&mut theirs, &one, 0), 0);
    assert_eq!(owed_s(&mut ours, &one, 20 * SECOND), 40);
}

#[test]
fn a_connection_without_such_a_limit_has_no_memory_for_it() {
    assert!(ConnectionAccounts::default().0.is_none());
    assert_eq!(size_of::<ConnectionAccounts>(), size_of::<usize>());
}

#[test]
fn accounts_end_with_their_connection() {
    let mut accounts = ConnectionAccounts::default();
    let one = limit();
    let (cell, _) = accounts.of(&one, rate(), 0);
    cell.owe(0, RATE, 0);
    drop(accounts);
    assert_eq!((Arc::strong_count(&cell), Arc::weak_count(&one)), (1, 0));
}

#[test]
fn an_account_that_says_nothing_gives_up_its_place() {
    let mut accounts = ConnectionAccounts::default();
    let (brief, long, removed) = (limit(), limit(), limit());
    owe(&mut accounts, &brief, 1);
    owe(&mut accounts, &long, 60);
    owe(&mut accounts, &removed, 60);
    drop(removed);
    // Nothing was removed before there is a new one.
    assert_eq!(count(&accounts), 3);
    owed_s(&mut accounts, &limit(), 2 * SECOND);
    assert_eq!(count(&accounts), 2);
    assert_eq!(owed_s(&mut accounts, &long, 2 * SECOND), 58);
}

#[test]
fn an_account_that_a_body_uses_stays_although_nothing_is_owed() {
    let mut accounts = ConnectionAccounts::default();
    let used = limit();
    let (cell, _) = accounts.of(&used, rate(), 0);
    accounts.of(&limit(), rate(), 0);
    assert!(Arc::ptr_eq(&cell, &accounts.of(&used, rate(), 0).0));
}

#[test]
fn a_connection_never_has_more_accounts_and_keeps_those_that_owe_most() {
    let mut accounts = ConnectionAccounts::default();
    let limits: Vec<_> = (0..200).map(|_| limit()).collect();
    let mut evictions = 0;
    for (seconds, limit) in (1..).zip(&limits) {
        evictions += usize::from(accounts.of(limit, rate(), 0).1);
        owe(&mut accounts, limit, seconds);
        assert!(count(&accounts) <= MOST);
    }
    assert_eq!((count(&accounts), evictions), (MOST, limits.len() - MOST));
    for (seconds, limit) in (1..).zip(&limits).skip(limits.len() - MOST) {
        assert_eq!(owed_s(&mut accounts, limit, 0), seconds);
    }
}

#[test]
fn an_account_in_use_outlasts_one_that_owes_more() {
    let mut accounts = ConnectionAccounts::default();
    let used = limit();
    let (cell, _) = accounts.of(&used, rate(), 0);
    let limits: Vec<_> = (0..MOST).map(|_| limit()).collect();
    limits.iter().for_each(|limit| owe(&mut accounts, limit, 60));
    assert!(Arc::ptr_eq(&cell, &accounts.of(&used, rate(), 0).0));
}
