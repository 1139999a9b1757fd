use crate::access_testing::{Got, Stage};
use crate::testing::problem;

fn hash(password: &str) -> String {
    hg_access::hash_bcrypt(password, 4, [7; 16]).unwrap()
}

fn with(rest: &str) -> String {
    let (one, two) = (hash("one"), hash("two"));
    format!(
        r#"{{"basic_auth":{{"users":{{"alice":"{one}","bob":"{two}"}},"realm":"the \"shop\""{rest}}}}}"#
    )
}

fn zero() -> u64 {
    0
}

/// `alice:one`, `alice:two`, `eve:one`.
const ALICE_ONE: &[u8] = b"Basic YWxpY2U6b25l";
const ALICE_TWO: &[u8] = b"Basic YWxpY2U6dHdv";
const EVE: &[u8] = b"Basic ZXZlOm9uZQ==";

fn ask(stage: &Stage, value: &[u8], now_us: u64) -> Got {
    stage.ask(&[("authorization", value)], now_us, zero)
}

fn refused(has_waited: bool) -> Got {
    Got::Answer(401, r#"Basic realm="the \"shop\"", charset="UTF-8""#.into(), has_waited)
}

fn passed(lines: &str, has_waited: bool) -> Got {
    Got::Forward(lines.into(), has_waited)
}

#[test]
fn a_password_is_verified_off_the_worker_and_remembered() {
    let stage = Stage::new(&with(r#","remember_ms":1000"#));
    assert_eq!(ask(&stage, ALICE_ONE, 0), passed("", true));
    assert_eq!(ask(&stage, ALICE_ONE, 999_999), passed("", false));
    assert_eq!(ask(&stage, ALICE_ONE, 1_000_000), passed("", true));
    assert_eq!(stage.counts(), [("pass", 2), ("cached", 1)]);
}

#[test]
fn who_is_wrong_is_refused_and_who_repeats_it_costs_nothing() {
    let stage = Stage::new(&with(""));
    for wrong in [ALICE_TWO, EVE] {
        assert_eq!(ask(&stage, wrong, 0), refused(true));
        assert_eq!(ask(&stage, wrong, 1), refused(false));
        assert_eq!(ask(&stage, wrong, 10_000_001), refused(true));
    }
    assert_eq!(stage.counts(), [("refused", 6)]);
}

#[test]
fn who_says_nothing_is_asked() {
    let stage = Stage::new(&with(""));
    assert_eq!(stage.ask(&[], 0, zero), refused(false));
    assert_eq!(ask(&stage, b"Bearer x", 0), refused(false));
    assert_eq!(ask(&stage, b"Basic !", 0), refused(false));
    let two = [("authorization", ALICE_ONE), ("authorization", ALICE_ONE)];
    assert_eq!(stage.ask(&two, 0, zero), Got::Refused(400, "basic-auth"));
}

#[test]
fn the_user_is_named_and_nobody_else_can_do_that() {
    let stage = Stage::new(&with(r#","user_header":"X-User","remember_ms":1000"#));
    assert_eq!(ask(&stage, ALICE_ONE, 0), passed("x-user: alice\r\n", true));
    assert_eq!(ask(&stage, ALICE_ONE, 1), passed("x-user: alice\r\n", false));
    let program = stage.chain.request_headers();
    for name in ["x-user", "X_User", "authorization"] {
        assert!(program.drops_spelling(name.as_bytes()), "{name}");
    }
    let kept = Stage::new(&with(r#","keep":true"#));
    assert!(!kept.chain.request_headers().drops(b"authorization"));
}

#[test]
fn a_password_that_was_changed_is_not_remembered() {
    let mut stage = Stage::new(&with(r#","remember_ms":60000"#));
    assert_eq!(ask(&stage, ALICE_ONE, 0), passed("", true));
    let changed = with(r#","remember_ms":60000"#).replace(&hash("one"), &hash("two"));
    stage.reload(&changed);
    assert_eq!(ask(&stage, ALICE_ONE, 1), refused(true));
    assert_eq!(ask(&stage, ALICE_TWO, 1), passed("", true));
}

#[test]
fn too_many_at_once_are_told_so() {
    use crate::context::Context;
    use crate::testing::view;
    use crate::{Outcome, RequestView, Rewritten};
    let stage = Stage::new(&with(""));
    let mut waiting = Vec::new();
    loop {
        let lines = crate::access_testing::Lines(&[("authorization", ALICE_ONE)]);
        let view = RequestView { headers: &lines, ..view() };
        let (mut out, mut random) = (Rewritten::new(), || 0);
        let mut cx =
            Context { now_us: 0, unix_us: zero, random: &mut random, worker: 0, accounts: None };
        match stage.chain.begin(&view, &mut out, &mut cx) {
            Ok(Outcome::Wait) => waiting.push(out),
            outcome => break assert_eq!(outcome.unwrap_err().status, 503),
        }
    }
    assert_eq!(waiting.len(), 64);
    // Whoever gives up, or is done, makes room.
    drop(waiting);
    assert_eq!(ask(&stage, ALICE_ONE, 0), passed("", true));
}

#[test]
fn mistakes_are_named_without_the_hash() {
    let weak = r#"{"basic_auth":{"users":{"alice":"{SHA}abcdef"}}}"#;
    let message = problem(weak);
    assert!(message.starts_with("middlewares[0].basic_auth.users.alice: "), "{message}");
    assert!(message.contains("bcrypt") && !message.contains("abcdef"), "{message}");
    assert!(problem(r#"{"basic_auth":{"users":{}}}"#).contains("there is no user"));
}
