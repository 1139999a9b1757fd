use crate::access_testing::{Got, Lines, Stage};
use crate::keep::Keep;
use crate::testing::{problem, used, view};
use crate::{Chain, Client, Context, Outcome, RequestView, Rewritten};

/// The first example of RFC 7515 (appendix A.1): from `joe`, until 1300819380.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const KEYS: &str = r#"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow\"}]}"#;

/// One of the same issuer whose claim `team` is an object, which has no form as text.
const WITHOUT_TEXT: &str = "eyJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLCJleHAiOjEzMDA4MTkzODAsInRlYW0iOnsiYSI6MX19.CyUITKsjZV4u11vY21grEdZZ79YHrCxcdjOf1iF4ZwY";

fn before() -> u64 {
    1_300_819_379_000_000
}

fn after() -> u64 {
    1_300_819_380_000_000
}

fn stage(rest: &str) -> Stage {
    Stage::new(&with(rest))
}

fn with(rest: &str) -> String {
    format!(r#"{{"jwt":{{"keys":"{KEYS}","realm":"shop",{rest}}}}}"#)
}

fn ask(stage: &Stage, value: &str) -> Got {
    stage.ask(&[("authorization", value.as_bytes())], 1, before)
}

fn refused(status: u16, error: &str, reason: &str) -> Got {
    let more = format!(", error=\"{error}\", error_description=\"{reason}\"");
    Got::Answer(status, format!("Bearer realm=\"shop\"{more}"), false)
}

const BEARER: &str = r#""header":"authorization""#;

#[test]
fn a_token_lets_in_until_it_expires() {
    let stage = stage(BEARER);
    let value = format!("bearer {TOKEN}");
    let line = [("authorization", value.as_bytes())];
    assert_eq!(stage.ask(&line, 1, before), Got::Forward(String::new(), false));
    assert_eq!(stage.ask(&line, 1, before), Got::Forward(String::new(), false));
    assert_eq!(stage.counts(), [("pass", 1), ("cached", 1)]);
    // What was remembered does not outlive the token.
    let expired = refused(401, "invalid_token", "the token has expired");
    assert_eq!(stage.ask(&line, 1, after), expired);
}

#[test]
fn who_has_no_token_is_asked_for_one() {
    let stage = stage(BEARER);
    let missing = || Got::Answer(401, "Bearer realm=\"shop\"".into(), false);
    assert_eq!(stage.ask(&[], 1, before), missing());
    assert_eq!(ask(&stage, "Basic YTpi"), missing());
    assert_eq!(ask(&stage, TOKEN), missing());
    assert_eq!(ask(&stage, "Bearer "), missing());
    let malformed = refused(401, "invalid_token", "the token is malformed");
    assert_eq!(ask(&stage, "Bearer a.b.c"), malformed);
    let two = [("authorization", &b"Bearer a"[..]), ("authorization", b"Bearer b")];
    assert_eq!(stage.ask(&two, 1, before), Got::Refused(400, "jwt"));
}

#[test]
fn claims_become_headers_that_nobody_else_can_set() {
    let stage = stage(
        r#""header":"authorization","headers":{"X-Issuer":"iss","x-root":"http://example.com/is_root","x-none":"sub"}"#,
    );
    let lines = || Got::Forward("x-issuer: joe\r\nx-root: true\r\n".into(), false);
    assert_eq!(ask(&stage, &format!("Bearer {TOKEN}")), lines());
    assert_eq!(ask(&stage, &format!("Bearer {TOKEN}")), lines());
    let program = stage.chain.request_headers();
    for name in ["x-issuer", "X_Root", "x-none", "authorization"] {
        assert!(program.drops_spelling(name.as_bytes()), "{name}");
    }
}

/// Takes a request through a chain: the status of its answer and the answer's header lines, or 0 and
/// the lines that the chain's edits add for the endpoint.
fn taken(keep: &Keep, uses: &[&str], lines: &[(&str, &[u8])]) -> (u16, String) {
    let uses: Vec<_> = uses.iter().map(|json| used(json)).collect();
    let chain = Chain::compile_in(&[&uses], None, &|_| None, (keep, &["route r"], &[])).unwrap();
    let (lines, client) = (Lines(lines), Client { claims: None, ..view().client });
    let view = RequestView { headers: &lines, client, ..view() };
    let (mut out, mut random) = (Rewritten::new(), || 0);
    let mut cx =
        Context { now_us: 1, unix_us: before, random: &mut random, worker: 0, accounts: None };
    let (status, lines) = match chain.begin(&view, &mut out, &mut cx).unwrap() {
        Outcome::Answer => (out.answer.status, out.answer.headers),
        _ => {
            let mut lines = Vec::new();
            let claims = out.claims().unwrap();
            chain.request_headers().append(&view.claiming(&claims), || 0, &mut lines);
            (0, lines)
        }
    };
    (status, String::from_utf8(lines).unwrap())
}

#[test]
fn steps_after_it_know_the_claims_that_they_name() {
    let token = format!("Bearer {TOKEN}");
    let line = [("authorization", token.as_bytes())];
    let (keep, first) =
        (Keep::default(), with(r#""header":"authorization","headers":{"x-a":"iss"}"#));
    let moved = r#"{"redirect":{"status":302,"path":"/${jwt:iss}/x${jwt:sub}/${jwt:exp}"}}"#;
    let told = r#"{"request_headers":{"set":{"x-issuer":"<${jwt:iss}>","x-none":"${jwt:sub}"}}}"#;
    // The second time the token is remembered, by what each chain names.
    for _ in 0..2 {
        let (status, headers) = taken(&keep, &[&first, told, moved], &line);
        assert_eq!(status, 302);
        assert!(headers.contains("/joe/x/1300819380?"), "{headers}");
        assert_eq!(taken(&keep, &[&first, told], &line), (0, "x-issuer: <joe>\r\n".into()));
    }
    let (status, headers) = taken(&keep, &[&first, told, moved], &[]);
    assert_eq!(status, 401);
    assert!(!headers.contains("joe"), "{headers}");
}

/// Returns what a chain of a `jwt` and such a step, with a log that says these claims, tells of a
/// token: nothing if the request is refused.
fn logged(keep: &Keep, step: &str, logged: &[&str], token: &str) -> Option<Vec<String>> {
    let uses = [used(&with(BEARER)), used(step)];
    let names: Vec<Box<str>> = logged.iter().map(|name| Box::from(*name)).collect();
    let place = (keep, &["route r"][..], &*names);
    let chain = Chain::compile_in(&[&uses], None, &|_| None, place).unwrap();
    let value = format!("Bearer {token}");
    let sent = [("authorization", value.as_bytes())];
    let (lines, client) = (Lines(&sent), Client { claims: None, ..view().client });
    let view = RequestView { headers: &lines, client, ..view() };
    let (mut out, mut random) = (Rewritten::new(), || 0);
    let mut cx =
        Context { now_us: 1, unix_us: before, random: &mut random, worker: 0, accounts: None };
    match chain.begin(&view, &mut out, &mut cx).unwrap() {
        Outcome::Answer => None,
        _ => {
            let claims = out.claims();
            let get = |name: &&str| claims.as_ref().map_or("", |all| all.get(name)).to_owned();
            Some(logged.iter().map(get).collect())
        }
    }
}

#[test]
fn the_log_knows_claims_that_no_step_names() {
    let keep = Keep::default();
    let plain = r#"{"request_headers":{"set":{"x-a":"b"}}}"#;
    for _ in 0..2 {
        let found = logged(&keep, plain, &["exp", "sub", "iss"], TOKEN);
        assert_eq!(found.unwrap(), ["1300819380", "", "joe"]);
        // Another config of the log, whose claims were not remembered with the token.
        assert_eq!(logged(&keep, plain, &["iss"], TOKEN).unwrap(), ["joe"]);
    }
    assert_eq!(logged(&keep, plain, &[], TOKEN).unwrap(), Vec::<String>::new());
    assert_eq!(logged(&keep, plain, &["iss"], "a.b.c"), None);
}

#[test]
fn what_the_log_says_does_not_decide_who_may_pass() {
    let keep = Keep::default();
    let plain = r#"{"request_headers":{"set":{"x-a":"b"}}}"#;
    let naming = r#"{"request_headers":{"set":{"x-a":"${jwt:team}"}}}"#;
    for _ in 0..2 {
        assert_eq!(logged(&keep, plain, &["team", "iss"], WITHOUT_TEXT).unwrap(), ["", "joe"]);
        assert_eq!(logged(&keep, naming, &["team", "iss"], WITHOUT_TEXT), None);
        assert_eq!(logged(&keep, naming, &[], WITHOUT_TEXT), None);
    }
}

#[test]
fn changed_rules_remember_nothing_of_those_before() {
    let mut stage = stage(BEARER);
    let value = format!("Bearer {TOKEN}");
    assert_eq!(ask(&stage, &value), Got::Forward(String::new(), false));
    stage.reload(&with(r#""header":"authorization","issuers":["jane"]"#));
    let refusal = refused(401, "invalid_token", "the issuer of the token is not accepted");
    assert_eq!(ask(&stage, &value), refusal);
    stage.reload(&with(r#""header":"authorization","allowed":{"iss":["jane"]}"#));
    let reason = "the token does not have the claims that this needs";
    assert_eq!(ask(&stage, &value), refused(403, "insufficient_scope", reason));
    stage.reload(&with(BEARER));
    assert_eq!(ask(&stage, &value), Got::Forward(String::new(), false));
}

#[test]
fn a_token_may_be_in_a_cookie() {
    let stage = stage(r#""cookie":"session""#);
    let cookie = format!("a=b; session={TOKEN}");
    let got = stage.ask(&[("cookie", cookie.as_bytes())], 1, before);
    assert_eq!(got, Got::Forward(String::new(), false));
}

#[test]
fn an_unknown_key_is_told_once_a_minute() {
    let stage = stage(BEARER);
    // {"alg":"HS256","kid":"new"}
    let token = "Bearer eyJhbGciOiJIUzI1NiIsImtpZCI6Im5ldyJ9.e30.AAAA";
    let line = [("authorization", token.as_bytes())];
    let refused = refused(401, "invalid_token", "the key of the token is not known");
    for now_s in [1, 2, 60, 61, 62] {
        assert_eq!(stage.ask(&line, now_s * 1_000_000, before), refused);
    }
    assert_eq!(stage.counts(), [("unknown_key", 5)]);
    let told = stage.keep.notices().take();
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!(told[0].kind, "jwt.unknown_key");
    let message = "route r.middlewares[0]: a token names a key that its set does not have";
    assert_eq!(told[0].message, message);
    // Another refusal is not told.
    ask(&stage, "Bearer a.b.c");
    assert!(stage.keep.notices().take().is_empty());
}

#[test]
fn mistakes_are_named_without_the_keys() {
    let at = "middlewares[0].jwt";
    for (json, expected) in [
        (r#"{"jwt":{"keys":"{}","header":"a"}}"#.to_owned(), format!("{at}.keys: this is no JWK set")),
        (
            r#"{"jwt":{"keys":"{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"c2VjcmV0\"}]}","header":"a"}}"#
                .to_owned(),
            format!("{at}.keys: keys[0].k: `k` has 6 bytes"),
        ),
        (with(r#""leeway_s":301,"header":"a""#), format!("{at}.leeway_s")),
        (with(r#""query":"a","header":"a""#), format!("{at}: write one of")),
    ] {
        let message = problem(&json);
        assert!(message.starts_with(&expected), "{message}");
        assert!(!message.contains("c2VjcmV0"), "{message}");
    }
}
