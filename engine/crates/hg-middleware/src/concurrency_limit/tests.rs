use crate::testing::{used, view};
use crate::{Chain, Context, Ended, Keep, Outcome, Rewritten};

fn chain(keep: &Keep, json: &str) -> Chain {
    let uses = [used(&format!(r#"{{"concurrency_limit":{json}}}"#))];
    Chain::compile_in(&[&uses], None, &|_| None, (keep, &["route r"], &[])).unwrap()
}

/// Begins a request; returns it, and the status of the answer, 0 = forwarded.
fn begin(chain: &Chain, last_octet: u8) -> (Rewritten, u16) {
    let (mut out, mut view, mut random) = (Rewritten::new(), view(), || 7);
    view.client.ip = [192, 0, 2, last_octet].into();
    let mut cx =
        Context { now_us: 1, unix_us: || 0, random: &mut random, worker: 0, accounts: None };
    let status = match chain.begin(&view, &mut out, &mut cx) {
        Ok(Outcome::Forward) => 0,
        Ok(Outcome::Answer) => out.answer.status,
        other => panic!("{other:?}"),
    };
    (out, status)
}

fn counts(keep: &Keep) -> Vec<u64> {
    keep.results().iter().map(|one| one.count).collect()
}

#[test]
fn a_key_has_as_many_requests_in_flight_as_it_may_in_all_snapshots_together() {
    let keep = Keep::new(1);
    let spec = r#"{"requests":2,"key":["client_ip"]}"#;
    let (first, next) = (chain(&keep, spec), chain(&keep, spec));
    let (mut one, status) = begin(&first, 1);
    assert_eq!(status, 0);
    let (two, status) = begin(&next, 1);
    assert_eq!(status, 0);
    assert_eq!(begin(&next, 1).1, 429);
    assert_eq!(begin(&next, 2).1, 0);
    // However a request ends, it makes room: told, or forgotten.
    one.take_later().unwrap().end(&Ended { status: 200, took_us: 5 });
    let (three, status) = begin(&first, 1);
    assert_eq!((status, begin(&first, 1).1), (0, 429));
    drop(two);
    let (four, status) = begin(&next, 1);
    assert_eq!((status, begin(&first, 1).1), (0, 429));
    drop((three, four));
    assert_eq!(counts(&keep), [5, 3, 0, 0]);
}

#[test]
fn without_a_key_all_requests_count_together() {
    let keep = Keep::new(1);
    let limited = chain(&keep, r#"{"requests":1,"status":503}"#);
    let (_one, status) = begin(&limited, 1);
    assert_eq!((status, begin(&limited, 2).1), (0, 503));
}

#[test]
fn the_answer_says_why_and_when_to_come_again() {
    let limited = chain(&Keep::new(1), r#"{"requests":1}"#);
    let (_one, _) = begin(&limited, 1);
    let (refused, status) = begin(&limited, 1);
    assert_eq!(status, 429);
    let headers = String::from_utf8(refused.answer.headers).unwrap();
    assert!(headers.ends_with("retry-after: 1\r\n"), "{headers}");
    assert_eq!(
        String::from_utf8(refused.answer.body).unwrap(),
        "429 Too Many Requests\nas many requests as this route allows are in progress\n"
    );
}

#[test]
fn a_dry_run_lets_all_pass_and_counts_what_it_would_refuse() {
    let keep = Keep::new(1);
    let limited = chain(&keep, r#"{"requests":1,"dry_run":true}"#);
    let (_one, _) = begin(&limited, 1);
    assert_eq!(begin(&limited, 1).1, 0);
    assert_eq!(counts(&keep), [1, 0, 0, 1]);
}

#[test]
fn a_table_without_room_refuses_and_says_so_in_the_counts() {
    let keep = Keep::new(1);
    let limited = chain(&keep, r#"{"requests":1,"key":["client_ip"],"max_keys":8}"#);
    let held: Vec<_> = (0..9).map(|client| begin(&limited, client)).collect();
    assert_eq!(held.iter().filter(|(_, status)| *status == 429).count(), 1);
    assert_eq!(counts(&keep), [8, 0, 1, 0]);
}

#[test]
fn mistakes_are_explained() {
    let problem =
        |json: &str| crate::testing::problem(&format!(r#"{{"concurrency_limit":{json}}}"#));
    let zero = problem(r#"{"requests":0}"#);
    assert!(zero.ends_with("concurrency_limit.requests: 0 is out of range; write 1 to 1000000"));
    assert!(problem(r#"{"requests":1,"status":200}"#).contains("400 to 599"));
    assert!(problem(r#"{"requests":1,"key":["path:x"]}"#).contains("concurrency_limit.key[0]"));
}
