use super::*;
use crate::testing::{problem, used, view};
use crate::{Chain, ConnectionAccounts, Keep, Outcome, Paces, Rewritten};

fn chain_in(keep: &Keep, json: &str) -> Chain {
    Chain::compile_in(&[&[used(json)]], None, &|_| None, (keep, &["route r"], &[])).unwrap()
}

/// Takes a request through a chain; returns the wait, in microseconds.
fn begin(chain: &Chain, view: &RequestView<'_>, out: &mut Rewritten) -> Option<u64> {
    begin_on(None, chain, view, out)
}

/// Takes a request of a connection through a chain; returns the wait, in microseconds.
fn begin_on(
    accounts: Option<&mut ConnectionAccounts>,
    chain: &Chain,
    view: &RequestView<'_>,
    out: &mut Rewritten,
) -> Option<u64> {
    let mut random = || 7;
    let mut cx = Context { now_us: 0, unix_us: || 0, random: &mut random, worker: 0, accounts };
    match chain.begin(view, out, &mut cx).unwrap() {
        Outcome::Forward => None,
        Outcome::Wait => match out.wait.take() {
            Some(Wait::Delay { us }) => Some(us),
            other => panic!("{other:?}"),
        },
        Outcome::Answer => panic!("it answers"),
    }
}

/// Takes a request over HTTP/2 through a chain; returns its paces, and its wait.
fn stream(accounts: &mut ConnectionAccounts, chain: &Chain) -> (Paces, Option<u64>) {
    let mut out = Rewritten::new();
    let view = RequestView { protocol: "HTTP/2.0", ..view() };
    let wait_us = begin_on(Some(accounts), chain, &view, &mut out);
    (out.take_later().unwrap().take_paces(), wait_us)
}

fn counted(keep: &Keep, result: &str) -> u64 {
    let all = keep.results();
    let own = all.iter().filter(|one| one.kind == "bandwidth");
    own.filter(|one| one.result == result).map(|one| one.count).sum()
}

#[test]
fn each_request_has_its_own_bytes_with_the_key_request() {
    let keep = Keep::new(1);
    let chain = chain_in(&keep, r#"{"bandwidth":{"download":1000,"key":["request"]}}"#);
    for _ in 0..100 {
        let mut out = Rewritten::new();
        assert_eq!(begin(&chain, &view(), &mut out), None);
        let mut paces = out.take_later().unwrap().take_paces();
        assert!(paces.upload.is_none());
        assert_eq!(paces.download.as_mut().unwrap().allow(1_000_000, 0), 0);
    }
    assert_eq!((counted(&keep, "passed"), counted(&keep, "held")), (0, 100));
}

#[test]
fn a_client_over_its_rate_waits_before_its_next_request_and_others_do_not() {
    let keep = Keep::new(1);
    let json = r#"{"bandwidth":{"download":1000,"download_burst":5000,"key":["client_ip"]}}"#;
    let chain = chain_in(&keep, json);
    let (mut out, ours, mut other) = (Rewritten::new(), view(), view());
    other.client.ip = [192, 0, 2, 99].into();
    assert_eq!(begin(&chain, &ours, &mut out), None);
    let mut later = out.take_later().unwrap();
    later.take_paces().download.unwrap().end(65_000, 0);
    let wait_us = begin(&chain, &ours, &mut out).unwrap();
    assert!((60_000_000..62_000_000).contains(&wait_us), "{wait_us}");
    assert_eq!(begin(&chain, &other, &mut Rewritten::new()), None);
    // It goes on once the time is over.
    let mut random = || 7;
    let mut cx =
        Context { now_us: wait_us, unix_us: || 0, random: &mut random, worker: 0, accounts: None };
    assert_eq!(chain.resume(&ours, &mut out, &mut cx, Woken::Delay).unwrap(), Outcome::Forward);
}

#[test]
fn requests_of_a_connection_share_its_bytes_and_other_connections_have_their_own() {
    let keep = Keep::new(1);
    let json = r#"{"bandwidth":{"download":1000,"download_burst":5000,"upload":1000,
                   "upload_burst":5000,"key":["connection"]}}"#;
    let chain = chain_in(&keep, json);
    let mut theirs = ConnectionAccounts::default();
    let minute = 60_000_000..62_000_000;
    for (down, up) in [(65_000, 0), (0, 65_000)] {
        let mut ours = ConnectionAccounts::default();
        let (paces, wait_us) = stream(&mut ours, &chain);
        assert_eq!(wait_us, None);
        paces.download.unwrap().end(down, 0);
        paces.upload.unwrap().end(up, 0);
        let (mut paces, wait_us) = stream(&mut ours, &chain);
        assert_eq!(wait_us.is_some_and(|us| minute.contains(&us)), down > 0, "{wait_us:?}");
        let mut upload = paces.upload.take().unwrap();
        assert_eq!(upload.allow(0, 0) == 0, up > 0);
        assert_eq!(minute.contains(&upload.until_us()), up > 0, "{}", upload.until_us());
        let (paces, wait_us) = stream(&mut theirs, &chain);
        assert_eq!(wait_us, None);
        assert!(paces.upload.unwrap().allow(0, 0) > 0);
    }
}

#[test]
fn bodies_of_a_connection_pass_together_as_quickly_as_one() {
    let chain =
        chain_in(&Keep::new(1), r#"{"bandwidth":{"download":100000,"key":["connection"]}}"#);
    let mut accounts = ConnectionAccounts::default();
    let mut paces: Vec<_> =
        (0..10).map(|_| stream(&mut accounts, &chain).0.download.unwrap()).collect();
    let mut passed = [0; 10];
    for ms in 0..=20_000 {
        for (pace, passed) in paces.iter_mut().zip(&mut passed) {
            *passed += pace.allow(*passed, ms * 1_000);
        }
    }
    let sum: u64 = passed.iter().sum();
    assert!((1_950_000..=2_060_000).contains(&sum), "{sum}");
    assert!(passed.iter().all(|one| (150_000..=250_000).contains(one)), "{passed:?}");
}

#[test]
fn without_a_connection_each_request_has_its_own_bytes() {
    let chain = chain_in(&Keep::new(1), r#"{"bandwidth":{"download":1000,"key":["connection"]}}"#);
    for _ in 0..10 {
        let mut out = Rewritten::new();
        assert_eq!(begin(&chain, &view(), &mut out), None);
        out.take_later().unwrap().take_paces().download.unwrap().end(1_000_000, 0);
    }
}

#[test]
fn accounts_of_a_connection_outlive_a_reload_as_long_as_the_limit_stays_the_same() {
    let (keep, mut accounts) = (Keep::new(1), ConnectionAccounts::default());
    let of = |rate: u32| {
        let keys = format!(r#"{{"bandwidth":{{"download":{rate},"key":["connection"]}}}}"#);
        chain_in(&keep, &keys)
    };
    let first = of(1000);
    let (paces, wait_us) = stream(&mut accounts, &first);
    paces.download.unwrap().end(1_000_000, 0);
    assert_eq!(wait_us, None);
    assert!(stream(&mut accounts, &of(1000)).1.is_some());
    assert_eq!(stream(&mut accounts, &of(2000)).1, None);
    drop(first);
}

#[test]
fn an_account_of_a_connection_that_loses_its_place_is_counted() {
    let (keep, mut accounts) = (Keep::new(1), ConnectionAccounts::default());
    let of = |rate: u32| {
        let keys = format!(r#"{{"bandwidth":{{"upload":{rate},"key":["connection"]}}}}"#);
        chain_in(&keep, &keys)
    };
    let chains: Vec<Chain> = (1000..1040).map(of).collect();
    for chain in &chains {
        stream(&mut accounts, chain).0.upload.unwrap().end(1_000_000, 0);
    }
    assert_eq!(counted(&keep, "evicted"), 8);
}

#[test]
fn only_requests_that_bring_bytes_have_a_limit_for_them() {
    let chain = chain_in(&Keep::new(1), r#"{"bandwidth":{"upload":1000,"key":["request"]}}"#);
    let mut out = Rewritten::new();
    assert_eq!(begin(&chain, &view(), &mut out), None);
    assert!(out.take_later().is_none());
    let mut http2 = view();
    http2.protocol = "HTTP/2.0";
    begin(&chain, &http2, &mut out);
    assert!(out.take_later().unwrap().take_paces().upload.is_some());
}

#[test]
fn accounts_outlive_a_reload_as_long_as_the_limit_stays_the_same() {
    let keep = Keep::new(1);
    let owes = |rate: u32, chain: &Chain| {
        let mut out = Rewritten::new();
        let wait = begin(chain, &view(), &mut out);
        if wait.is_none() {
            out.take_later().unwrap().take_paces().download.unwrap().end(1_000_000, 0);
        }
        (rate, wait.is_some())
    };
    let of = |rate: u32| chain_in(&keep, &format!(r#"{{"bandwidth":{{"download":{rate}}}}}"#));
    let first = of(1000);
    assert_eq!(owes(1000, &first), (1000, false));
    assert_eq!(owes(1000, &of(1000)), (1000, true));
    assert_eq!(owes(2000, &of(2000)), (2000, false));
    drop(first);
}

#[test]
fn an_explanation_does_not_expect_an_answer_of_it() {
    let (keep, mut out) = (Keep::new(1), Rewritten::new());
    let chain = chain_in(&keep, r#"{"bandwidth":{"download":1000}}"#);
    assert_eq!(chain.request(&view(), &mut out).unwrap(), Outcome::Forward);
    assert_eq!(chain.left_out(&out), [""; 0]);
}

#[test]
fn what_is_wrong_is_said() {
    assert_eq!(
        problem(r#"{"bandwidth":{}}"#),
        "middlewares[0].bandwidth: it limits nothing; write `download`, `upload` or both"
    );
    assert_eq!(
        problem(r#"{"bandwidth":{"upload":999}}"#),
        "middlewares[0].bandwidth.upload: 999 is out of range; write 1000 to 10000000000"
    );
    assert!(
        problem(r#"{"bandwidth":{"upload":1000,"key":["connection","host"]}}"#)
            .starts_with("middlewares[0].bandwidth.key[0]: `connection` is nothing to count by; ")
    );
    assert_eq!(
        problem(r#"{"bandwidth":{"upload":1000,"key":["request","host"]}}"#),
        "middlewares[0].bandwidth.key[0]: `request` is nothing to count by; write `client_ip`, `host`, \
         `route`, `path`, `path:NUMBER`, `header:NAME`, `cookie:NAME` or `jwt:CLAIM`"
    );
}
