#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "tests")]

use super::client::{MOST_OPEN, MOST_QUESTION};
use crate::access_testing::Lines;
use crate::context::{Context, Wait, Woken};
use crate::keep::Keep;
use crate::testing::{problem, used, view};
use crate::{Answered, Chain, Failure, Outcome, RequestView, Rewritten, Subrequest};
use hg_proto::Reject;

const PLAIN: &str = r#""upstream":"auth","path":"/verify?rd=1","method":"GET","timeout_ms":5000,
    "answer_bytes":65536,"in_flight":1024"#;

fn json(more: &str) -> String {
    format!(r#"{{"forward_auth":{{{PLAIN}{more}}}}}"#)
}

/// A chain of the middleware alone, and how a request went through it.
struct Way {
    keep: Keep,
    chain: Chain,
    out: Rewritten,
}

impl Way {
    fn new(more: &str) -> Self {
        Self::through(&[&json(more)])
    }

    /// A chain of several middlewares.
    fn through(uses: &[&str]) -> Self {
        let keep = Keep::default();
        let uses: Vec<_> = uses.iter().map(|one| used(one)).collect();
        let chain =
            Chain::compile_in(&[&uses], None, &|_| None, (&keep, &["route r"], &[])).unwrap();
        Self { keep, chain, out: Rewritten::new() }
    }

    fn step(&mut self, lines: &[(&str, &[u8])], woken: Option<Woken>) -> Result<Outcome, Reject> {
        let lines = Lines(lines);
        let view = RequestView { headers: &lines, ..view() };
        let mut random = || 0;
        let mut cx =
            Context { now_us: 0, unix_us: || 0, random: &mut random, worker: 0, accounts: None };
        match woken {
            None => self.chain.begin(&view, &mut self.out, &mut cx),
            Some(woken) => self.chain.resume(&view, &mut self.out, &mut cx, woken),
        }
    }

    fn asked(&mut self, lines: &[(&str, &[u8])]) -> Result<Box<Subrequest>, Reject> {
        assert_eq!(self.step(lines, None)?, Outcome::Wait);
        match self.out.wait.take() {
            Some(Wait::Subrequest(asked)) => Ok(asked),
            other => panic!("{other:?}"),
        }
    }

    fn told(&mut self, answer: Result<(u16, &str), Failure>) -> Result<Outcome, Reject> {
        drop(self.asked(&[]).unwrap());
        let answer = answer.map(|(status, lines)| {
            Box::new(Answered { status, lines: lines.into(), body: b"who?".to_vec() })
        });
        self.step(&[], Some(Woken::Answered(answer)))
    }

    fn request_lines(&mut self) -> String {
        String::from_utf8(self.out.later().request_lines().to_vec()).unwrap()
    }

    /// Returns the lines for the client with an answer of that status.
    fn response_lines(&mut self, status: u16) -> String {
        let mut lines = Vec::new();
        self.chain.append_lines(self.out.later(), status, &mut lines);
        String::from_utf8(lines).unwrap().replace("\r\n", ";")
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let all = self.keep.results().into_iter().map(|one| (one.result, one.count));
        all.filter(|(_, count)| *count > 0).collect()
    }
}

#[test]
fn the_head_is_fresh_and_says_of_the_request_what_we_know() {
    let mut way = Way::new(r#","headers":["Cookie","accept"]"#);
    let asked = way
        .asked(&[
            ("cookie", b"a=1; b=2"),
            ("accept", b"*/*"),
            ("connection", b"upgrade"),
            ("upgrade", b"websocket"),
            ("content-length", b"7"),
            ("x-forwarded-uri", b"/public"),
            ("x-original-url", b"http://other/"),
        ])
        .unwrap();
    assert_eq!((&*asked.target, &*asked.host), ("/verify?rd=1", "api.example:8000"));
    assert_eq!(
        String::from_utf8(asked.lines.clone()).unwrap(),
        "cookie: a=1; b=2\r\naccept: */*\r\nx-forwarded-for: 192.0.2.7\r\n\
         x-forwarded-host: api.example:8000\r\nx-forwarded-method: GET\r\n\
         x-forwarded-proto: http\r\nx-forwarded-uri: /v1/users?a=b\r\n\
         x-original-method: GET\r\nx-original-url: http://api.example:8000/v1/users?a=b\r\n\
         x-request-id: 0123456789abcdef\r\nx-headgate-auth-hops: 1\r\n"
    );
}

#[test]
fn cookies_that_are_not_named_stay_here() {
    let mut way = Way::new(r#","headers":["cookie"],"cookies":["session","csrf"]"#);
    let sent: &[(&str, &[u8])] = &[("cookie", b"big=1;session=2; x=3"), ("cookie", b"csrf=4")];
    let asked = way.asked(sent).unwrap();
    let lines = String::from_utf8(asked.lines.clone()).unwrap();
    assert!(lines.starts_with("cookie: session=2\r\ncookie: csrf=4\r\nx-f"), "{lines}");
    let asked = way.asked(&[("cookie", b"big=1")]).unwrap();
    assert!(asked.lines.starts_with(b"x-forwarded-for: "));
}

#[test]
fn all_headers_of_the_client_go_but_those_of_the_connection_and_ours() {
    let mut way = Way::new(r#","headers":"all","cookies":["session"],"copy":["x-user"]"#);
    let asked = way
        .asked(&[
            ("X-Api-Key", b"k"),
            ("cookie", b"big=1; session=2"),
            ("content-type", b"text/plain"),
            ("x-api-key", b"k2"),
            ("x-user", b"as the service is told"),
            ("X-Forwarding", b"no claim"),
            ("connection", b"upgrade"),
            ("Keep-Alive", b"1"),
            ("Proxy-Connection", b"close"),
            ("upgrade", b"websocket"),
            ("te", b"trailers"),
            ("trailer", b"x"),
            ("transfer-encoding", b"chunked"),
            ("Content-Length", b"7"),
            ("Content_Length", b"7"),
            ("expect", b"100-continue"),
            ("host", b"other"),
            ("x-forwarded-uri", b"/public"),
            ("X_Forwarded.Uri", b"/public"),
            ("x-forwarded-port", b"1"),
            ("forwarded", b"for=192.0.2.9"),
            ("x-real-ip", b"192.0.2.9"),
            ("client-cert", b":AA:"),
            ("X-Original-Url", b"http://other/"),
            ("x_original_method", b"HEAD"),
            ("x-request-id", b"1"),
            ("x-headgate-auth-hops", b"1"),
            ("x_headgate_auth_hops", b"9"),
            ("x-headgate-auth", b"bypassed"),
        ])
        .unwrap();
    let lines = String::from_utf8(asked.lines.clone()).unwrap();
    let (clients, ours) = lines.split_at(lines.find("x-forwarded-for: ").unwrap());
    assert_eq!(
        clients,
        "X-Api-Key: k\r\ncookie: session=2\r\ncontent-type: text/plain\r\nx-api-key: k2\r\n\
         x-user: as the service is told\r\nX-Forwarding: no claim\r\n"
    );
    assert_eq!(ours.matches("\r\n").count(), 9);
    assert!(ours.ends_with("x-request-id: 0123456789abcdef\r\nx-headgate-auth-hops: 2\r\n"));
}

#[test]
fn a_question_that_is_too_large_is_not_asked_and_closes_the_route() {
    for (rest, limit) in [("", MOST_QUESTION), (r#","fail_open":true"#, MOST_OPEN)] {
        let mut way = Way::new(&format!(r#","headers":["x-a","x-b"]{rest}"#));
        let ours = way.asked(&[]).unwrap().lines.len();
        let room = limit - ours - "x-a: \r\nx-b: 1\r\n".len();
        let most = vec![b'a'; room];
        let asked = way.asked(&[("x-a", &*most), ("x-b", b"1")]).unwrap();
        assert_eq!(asked.lines.len(), limit);
        drop(asked);
        let refused = way.step(&[("x-a", &*most), ("x-b", b"12")], None).unwrap_err();
        assert_eq!((refused.status, refused.code), (431, "auth-question-too-large"));
        // Nothing of a question is left out that another line leaves no room for.
        let more = vec![b'a'; limit];
        assert!(way.step(&[("x-a", &*more), ("x-b", b"1")], None).is_err());
        assert_eq!(way.counts(), [("invalid", 2)]);
        assert_eq!(way.asked(&[]).unwrap().lines.len(), ours, "its seats were given back");
    }
}

#[test]
fn names_are_bounded() {
    let names = |many: usize, of: usize| {
        let names: Vec<_> = (0..many).map(|n| format!(r#""{n:0>of$}""#)).collect();
        names.join(",")
    };
    for key in ["headers", "cookies", "copy", "answer_headers"] {
        let with = |names: String| json(&format!(r#","{key}":[{names}]"#));
        Way::new(&format!(r#","{key}":[{}]"#, names(64, 256)));
        for (names, said) in [
            (names(65, 2), "65 names are too many; write up to 64"),
            (names(1, 257), "a name is too long; write up to 256 characters"),
        ] {
            let path = format!("middlewares[0].forward_auth.{key}");
            assert_eq!(problem(&with(names)), format!("{path}: {said}"));
        }
    }
}

#[test]
fn a_2xx_lets_pass_with_the_chosen_headers_alone() {
    let more = r#","copy":["Remote-User"],"copy_prefix":"x-auth-","answer_headers":["set-cookie"]"#;
    let mut way = Way::new(more);
    let lines = "Remote-User: alice\r\nX-Auth-Role: a\tb\r\nx-other: no\r\nSet-Cookie: s=1\r\n";
    assert_eq!(way.told(Ok((204, lines))), Ok(Outcome::Forward));
    assert_eq!(way.request_lines(), "remote-user: alice\r\nx-auth-role: a\tb\r\n");
    assert_eq!(way.response_lines(200), "set-cookie: s=1;");
    let drops = |name: &str| way.chain.request_headers().drops_spelling(name.as_bytes());
    for spoofed in ["remote-user", "Remote_User", "X-Auth-Anything", "x.auth-y", "x-headgate-auth"]
    {
        assert!(drops(spoofed), "{spoofed}");
    }
    for other in ["x-auth", "remote-users", "x-authentic", "cookie"] {
        assert!(!drops(other), "{other}");
    }
    assert_eq!(way.counts(), [("pass", 1)]);
}

#[test]
fn edits_before_it_see_what_goes_to_the_client_and_edits_behind_it_do_not() {
    const OUTER: &str = r#"{"response_headers":{"set":{"x-a":"1"},"remove":["x-b"]}}"#;
    const OF_ERRORS: &str = r#"{"response_headers":{"remove":["x-c"],"statuses":[[400,599]]}}"#;
    const INNER: &str = r#"{"response_headers":{"set":{"x-d":"1"}}}"#;
    const ANSWER: &str = r#"{"respond":{"status":404}}"#;
    let json = json(r#","answer_headers":["x-a","x-b","x-c","x-d"]"#);
    let lines = "x-a: s\r\nx-b: s\r\nx-c: s\r\nx-d: s\r\n";
    let mut way = Way::through(&[OUTER, OF_ERRORS, &json, INNER]);
    assert_eq!(way.told(Ok((200, lines))), Ok(Outcome::Forward));
    assert_eq!(way.response_lines(200), "x-c: s;x-d: s;");
    assert_eq!(way.response_lines(502), "x-d: s;");
    let mut way = Way::through(&[OUTER, OF_ERRORS, &json, INNER, ANSWER]);
    assert_eq!(way.told(Ok((200, lines))), Ok(Outcome::Answer));
    let answer = String::from_utf8_lossy(&way.out.answer.headers).replace("\r\n", ";");
    assert_eq!(answer, "x-d: 1;x-a: 1;x-d: s;");
    let mut way = Way::through(&[&json, OUTER]);
    assert_eq!(way.told(Ok((200, lines))), Ok(Outcome::Forward));
    assert_eq!(way.response_lines(200), "x-a: s;x-b: s;x-c: s;x-d: s;");
}

#[test]
fn the_mark_of_a_request_that_passed_unasked_stays_whatever_comes_after() {
    let open = json(r#","fail_open":true"#);
    let mut way = Way::through(&[&open, &open]);
    assert_eq!(way.told(Err(Failure::Unavailable)), Ok(Outcome::Wait));
    let answer = Box::new(Answered { status: 200, ..Answered::default() });
    assert_eq!(way.step(&[], Some(Woken::Answered(Ok(answer)))), Ok(Outcome::Forward));
    assert_eq!(way.request_lines(), "x-headgate-auth: bypassed\r\n");
}

#[test]
fn any_other_answer_is_the_clients() {
    let mut way = Way::new("");
    let lines = "Location: https://login.example/?rd=/\r\nset-cookie: a=1\r\n\
                 set-cookie: b=2\r\ndate: x\r\n";
    for status in [302, 401, 403, 407, 500] {
        assert_eq!(way.told(Ok((status, lines))), Ok(Outcome::Answer));
        assert_eq!((way.out.answer.status, &*way.out.answer.body), (status, &b"who?"[..]));
        assert_eq!(
            way.out.answer.headers,
            b"location: https://login.example/?rd=/\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n"
        );
    }
    assert_eq!(way.counts(), [("denied", 5)]);
}

#[test]
fn without_an_answer_nobody_passes() {
    let mut way = Way::new("");
    for (failure, code) in [
        (Failure::Unavailable, "auth-unavailable"),
        (Failure::HungUp, "auth-unavailable"),
        (Failure::NotAsked, "auth-unavailable"),
        (Failure::Timeout, "auth-timeout"),
        (Failure::Invalid, "auth-invalid"),
        (Failure::TooLarge, "auth-too-large"),
    ] {
        let reject = way.told(Err(failure)).unwrap_err();
        assert_eq!((reject.status, reject.code), (503, code));
    }
    assert_eq!(way.counts(), [("unavailable", 3), ("timeout", 1), ("invalid", 2)]);
}

#[test]
fn fail_open_is_for_a_service_that_is_away_and_says_so() {
    let mut way = Way::new(r#","fail_open":true,"copy":["remote-user"]"#);
    for failure in [Failure::Unavailable, Failure::Timeout] {
        assert_eq!(way.told(Err(failure)), Ok(Outcome::Forward));
        assert_eq!(way.request_lines(), "x-headgate-auth: bypassed\r\n");
    }
    assert!(way.chain.request_headers().drops_spelling(b"Remote-User"));
    // A client might be able to make the service do these.
    for failure in [Failure::HungUp, Failure::NotAsked, Failure::Invalid, Failure::TooLarge] {
        assert_eq!(way.told(Err(failure)).unwrap_err().status, 503);
    }
    let expected = [("unavailable", 3), ("timeout", 1), ("invalid", 2), ("bypassed", 2)];
    assert_eq!(way.counts(), expected);
}

#[test]
fn a_loop_ends_and_what_is_no_number_is_one() {
    let mut way = Way::new("");
    let asked = way.asked(&[("x-headgate-auth-hops", b"2")]).unwrap();
    assert!(asked.lines.ends_with(b"x-headgate-auth-hops: 3\r\n"));
    for value in ["3", "255", "256", "", "x", "-1"] {
        let lines: &[(&str, &[u8])] =
            &[("x-headgate-auth-hops", b"0"), ("x-headgate-auth-hops", value.as_bytes())];
        assert_eq!(way.asked(lines).unwrap_err().code, "auth-loop", "{value}");
    }
    assert_eq!(way.counts(), [("loop", 6)]);
}

#[test]
fn so_many_wait_at_a_time_and_no_more_also_after_a_reload() {
    let mut way = Way::new("");
    let uses = [used(&json("").replace("1024", "1"))];
    let again = |keep: &Keep| {
        Chain::compile_in(&[&uses], None, &|_| None, (keep, &["route r"], &[])).unwrap()
    };
    way.chain = again(&way.keep);
    let first = way.asked(&[]).unwrap();
    way.chain = again(&way.keep);
    assert_eq!(way.asked(&[]).unwrap_err().code, "auth-busy");
    drop(first);
    assert!(way.asked(&[]).is_ok());
    assert_eq!(way.counts(), [("busy", 1)]);
}

#[test]
fn wrong_options_are_told_with_their_place() {
    for (from, to, expected) in [
        ("/verify?rd=1", "verify", "path: `verify` is no path"),
        ("/verify?rd=1", "/a b", "path: `/a b` is no path"),
        ("\"auth\"", "\"\"", "upstream: there is no name"),
        ("GET", "PUT", "method: `PUT` is none"),
        ("5000", "0", "timeout_ms: 0 lets nobody pass"),
        ("65536", "2097152", "answer_bytes: 2097152 is too much"),
    ] {
        let told = problem(&json("").replace(from, to));
        assert!(told.starts_with(&format!("middlewares[0].forward_auth.{expected}")), "{told}");
    }
    for (more, expected) in [
        (r#","headers":["Upgrade"]"#, "headers.remove[0]: `upgrade` belongs to one connection"),
        (r#","headers":["X-Forwarded-Uri"]"#, "headers: `x-forwarded-uri` is not sent"),
        (r#","headers":["content-type"]"#, "headers: `content-type` is not sent"),
        (r#","headers":"all","fail_open":true"#, "fail_open: a client could send"),
        (r#","copy":["host"]"#, "copy.remove[0]: `host` is not edited"),
        (r#","copy_prefix":"x-""#, "copy_prefix: `x-` would remove"),
    ] {
        let told = problem(&json(more));
        assert!(told.starts_with(&format!("middlewares[0].forward_auth.{expected}")), "{told}");
    }
}

proptest::proptest! {
    #[test]
    fn an_answer_sets_chosen_lines_and_breaks_none(lines in proptest::collection::vec(0_u8.., 0..200), named in 0..3_u8) {
        let name = ["Remote-User: ", "x-auth-", ""][usize::from(named)];
        let lines: Vec<u8> = [name.as_bytes(), &lines].concat();
        let mut way = Way::new(r#","copy":["remote-user"],"copy_prefix":"x-auth-""#);
        drop(way.asked(&[]).unwrap());
        let answer = Answered { status: 200, lines, body: Vec::new() };
        let woken = Woken::Answered(Ok(Box::new(answer)));
        assert_eq!(way.step(&[], Some(woken)), Ok(Outcome::Forward));
        let made = way.out.later().request_lines().to_vec();
        for line in made.split_inclusive(|b| *b == b'\n') {
            let is_chosen = line.starts_with(b"remote-user: ") || line.starts_with(b"x-auth-");
            assert!(is_chosen && line.ends_with(b"\r\n"), "{made:?}");
            assert_eq!(line.iter().filter(|b| **b < 0x20 && **b != b'\t').count(), 2);
        }
    }
}
