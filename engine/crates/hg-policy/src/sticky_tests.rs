#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::{WyRand, hash_key};

const COOKIE: &str = r#"{"cookie":{"cookie":"at","keys":["a-key-of-at-least-32-characters-00"]}}"#;
const USER: &str = r#"{"by":["header:x-user"]}"#;

fn sticky(plan: &str, weights: &[(&str, u32)]) -> Sticky {
    let part = |&(name, weight): &(&str, u32)| hg_plan::SplitPart { upstream: name.into(), weight };
    let parts: Vec<_> = weights.iter().map(part).collect();
    Sticky::new(&serde_json::from_str(plan).unwrap(), "shop", &parts).unwrap()
}

fn ask(of: &Sticky, lines: &[&str], key: Option<u64>, seed: u64) -> Chosen {
    let cookies = |each: &mut dyn FnMut(&[u8])| lines.iter().for_each(|l| each(l.as_bytes()));
    of.choose(cookies, |_| key, || 1_000, &mut WyRand::new(seed)).unwrap()
}

fn cookie_of(of: &Sticky, token: Token) -> String {
    let mut out = Vec::new();
    of.write_cookie(token, false, || 1_000, &mut out);
    String::from_utf8(out).unwrap().split(';').next().unwrap().to_owned()
}

#[test]
fn a_client_keeps_its_branch_whatever_the_weights_become() {
    let before = sticky(COOKIE, &[("old", 50), ("new", 50)]);
    let after = sticky(COOKIE, &[("third", 900), ("new", 1), ("old", 99)]);
    for seed in 0..200 {
        let first = ask(&before, &[], None, seed);
        assert_eq!(first.found, Found::New);
        let cookie = cookie_of(&before, first.sets.unwrap());
        let again = ask(&after, &["x=1", &cookie], None, seed);
        assert_eq!((again.found, again.sets), (Found::Kept, None));
        assert_eq!(["old", "new"][first.branch], ["third", "new", "old"][again.branch]);
    }
}

#[test]
fn a_branch_without_weight_gives_its_clients_away() {
    let before = sticky(COOKIE, &[("old", 1), ("new", 0)]);
    let cookie = cookie_of(&before, ask(&before, &[], None, 1).sets.unwrap());
    for weights in [&[("old", 0), ("new", 1)][..], &[("new", 1)]] {
        let after = sticky(COOKIE, weights);
        let moved = ask(&after, &[&cookie], None, 1);
        assert_eq!(moved.found, Found::Moved);
        let cookie = cookie_of(&after, moved.sets.unwrap());
        assert_eq!(ask(&after, &[&cookie], None, 2).found, Found::Kept);
    }
}

#[test]
fn forged_cookies_choose_nothing() {
    let of = sticky(COOKIE, &[("old", 1), ("new", 0)]);
    let other = COOKIE.replace("a-key", "b-key");
    let foreign = sticky(&other, &[("old", 1)]);
    let sealed = cookie_of(&foreign, token("shop", "old"));
    let plain = format!("at={:016x}", token("shop", "old"));
    for forged in [&*sealed, &plain, "at=", "at=%00", &format!("at={}", "f".repeat(9_000))] {
        let drawn = ask(&of, &[forged], None, 3);
        assert_eq!((drawn.found, drawn.branch), (Found::Forged, 0), "{forged}");
        assert!(drawn.sets.is_some());
    }
    let own = cookie_of(&of, token("shop", "old"));
    for first in ["at=forged", &sealed, &cookie_of(&of, 7)] {
        for lines in [&[first, &own][..], &[&own, first], &[&*format!("{first}; {own}")]] {
            assert_eq!(ask(&of, lines, None, 3).found, Found::Kept, "{lines:?}");
        }
    }
}

#[test]
fn hashed_keys_follow_the_weights_and_stay() {
    let of = |canary: u32| sticky(USER, &[("old", 100 - canary), ("new", canary)]);
    let branch = |of: &Sticky, user: u32| ask(of, &[], Some(hash_key(&user.to_le_bytes())), 0);
    let (five, twenty) = (of(5), of(20));
    let (mut at_five, mut at_twenty) = (0, 0);
    for user in 0..20_000 {
        let (few, more) = (branch(&five, user), branch(&twenty, user));
        assert_eq!((few.found, few.sets), (Found::Hashed, None));
        assert!(few.branch <= more.branch, "a client left the canary as that grew");
        at_five += few.branch;
        at_twenty += more.branch;
    }
    assert!((900..1_100).contains(&at_five), "{at_five}");
    assert!((3_800..4_200).contains(&at_twenty), "{at_twenty}");
}

#[test]
fn another_branch_takes_clients_from_all_and_moves_none_between_them() {
    let before = sticky(USER, &[("a", 1), ("b", 1)]);
    let after = sticky(USER, &[("a", 1), ("b", 1), ("c", 1)]);
    for user in 0..5_000u64 {
        let key = Some(hash_key(&user.to_le_bytes()));
        let (was, is) = (ask(&before, &[], key, 0).branch, ask(&after, &[], key, 0).branch);
        assert!(is == 2 || is == was, "user {user}: {was} to {is}");
    }
}

#[test]
fn a_request_without_a_key_is_drawn() {
    let of = sticky(USER, &[("a", 1), ("b", 1)]);
    let drawn: Vec<usize> = (0..50).map(|seed| ask(&of, &[], None, seed).branch).collect();
    assert!(drawn.contains(&0) && drawn.contains(&1));
    assert_eq!(ask(&of, &[], None, 0).found, Found::Unkeyed);
}

#[test]
fn a_wrong_key_is_told_by_its_index() {
    let plan = serde_json::from_str(r#"{"by":["client_ip","ip"]}"#).unwrap();
    assert_eq!(Sticky::new(&plan, "shop", &[]).unwrap_err().0, 1);
}
