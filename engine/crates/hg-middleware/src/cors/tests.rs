use crate::testing::{Got, chain, problem, run, view};
use crate::view::{RequestView, Stage};
use hg_route::Headers;

const APP: &str = "https://app.example.com";

/// Lines of a request.
struct Sent<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Sent<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value.as_bytes()));
    }
}

fn asked<'a>(method: &'static str, sent: &'a Sent<'a>) -> RequestView<'a> {
    RequestView { method, headers: sent, ..view() }
}

/// Returns the lines that an endpoint's answer gets.
fn lines(json: &str, sent: &[(&str, &str)]) -> String {
    let mut out = Vec::new();
    let chain = chain(&[json]);
    let sent = Sent(sent);
    assert_eq!(run(&chain, &asked("GET", &sent)).unwrap(), Got::Forward(None, None));
    chain.response_headers(Stage::FORWARDED, 200).append(&asked("GET", &sent), || 0, &mut out);
    String::from_utf8(out).unwrap()
}

fn preflight(json: &str, sent: &[(&str, &str)]) -> Got {
    run(&chain(&[json]), &asked("OPTIONS", &Sent(sent))).unwrap()
}

fn lines_of(got: Got) -> (u16, String) {
    match got {
        Got::Answer(status, lines, _) => (status, lines),
        other => panic!("{other:?}"),
    }
}

const ONE: &str = r#"{"cors":{"origins":["https://app.example.com"]}}"#;
const FULL: &str = r#"{"cors":{"origins":["https://app.example.com"],"methods":["GET","PUT"],
    "headers":["x-a","x-b"],"expose":["x-c"],"credentials":true,"max_age_s":60}}"#;
const ANY: &str = r#"{"cors":{"origins":["*"],"headers":["*"],"methods":["*"]}}"#;
const ASKED: &str = "access-control-request-method";
const NAMES: &str = "access-control-request-headers";

#[test]
fn an_answer_to_an_allowed_origin_names_it() {
    assert_eq!(
        lines(ONE, &[("origin", APP)]),
        "access-control-allow-origin: https://app.example.com\r\nvary: Origin\r\n"
    );
    assert_eq!(
        lines(FULL, &[("origin", APP)]),
        "access-control-allow-origin: https://app.example.com\r\n\
         access-control-allow-credentials: true\r\naccess-control-expose-headers: x-c\r\n\
         vary: Origin\r\n"
    );
}

#[test]
fn any_other_answer_varies_all_the_same() {
    for sent in [
        &[][..],
        &[("origin", "https://evil.test")],
        &[("origin", "null")],
        &[("origin", APP), ("origin", APP)],
    ] {
        assert_eq!(lines(FULL, sent), "vary: Origin\r\n", "{sent:?}");
    }
}

#[test]
fn everyone_s_answer_does_not_vary() {
    assert_eq!(lines(ANY, &[]), "access-control-allow-origin: *\r\n");
    assert_eq!(lines(ANY, &[("origin", APP)]), "access-control-allow-origin: *\r\n");
}

#[test]
fn what_the_endpoint_says_is_removed() {
    let chain = chain(&[ONE]);
    let edits = chain.response_headers(Stage::FORWARDED, 200);
    for name in ["Access-Control-Allow-Origin", "access-control-allow-credentials"] {
        assert!(edits.drops(name.as_bytes()), "{name}");
    }
    assert!(!edits.drops(b"vary"));
}

#[test]
fn a_preflight_is_answered() {
    let sent = [("origin", APP), (ASKED, "PUT"), (NAMES, "x-a")];
    let (status, lines) = lines_of(preflight(FULL, &sent));
    assert_eq!(status, 204);
    for line in [
        "access-control-allow-methods: GET, PUT\r\n",
        "access-control-allow-headers: x-a, x-b\r\n",
        "access-control-max-age: 60\r\n",
        "access-control-allow-origin: https://app.example.com\r\n",
        "access-control-allow-credentials: true\r\n",
        "vary: Origin\r\n",
    ] {
        assert_eq!(lines.matches(line).count(), 1, "{line}: {lines}");
    }
}

#[test]
fn a_preflight_of_another_origin_is_refused() {
    for origins in [&["https://evil.test"][..], &[APP, APP]] {
        let mut sent: Vec<_> = origins.iter().map(|origin| ("origin", *origin)).collect();
        sent.push((ASKED, "PUT"));
        let (status, lines) = lines_of(preflight(FULL, &sent));
        assert_eq!(status, 403);
        assert!(!lines.contains("access-control-"), "{lines}");
        assert!(lines.contains("vary: Origin\r\n"), "{lines}");
    }
}

#[test]
fn any_method_and_header_is_the_one_that_was_asked_for() {
    let sent = [("origin", APP), (ASKED, "PATCH"), (NAMES, "authorization, x-a")];
    let (_, lines) = lines_of(preflight(ANY, &sent));
    assert!(lines.contains("access-control-allow-methods: PATCH\r\n"), "{lines}");
    assert!(lines.contains("access-control-allow-headers: authorization, x-a\r\n"), "{lines}");
}

#[test]
fn nothing_is_sent_back_that_is_not_a_list_of_names() {
    let long = "a,".repeat(600);
    for asked in ["a b", "a,,b", "a\u{1}", "a: b", &long] {
        let sent = [("origin", APP), (ASKED, "GET, PUT"), (NAMES, asked)];
        let (_, lines) = lines_of(preflight(ANY, &sent));
        assert!(!lines.contains("allow-headers"), "{lines}");
        assert!(!lines.contains("PUT"), "{lines}");
    }
}

#[test]
fn an_options_that_asks_for_nothing_goes_on() {
    for sent in [&[][..], &[("origin", APP)], &[(ASKED, "GET")]] {
        assert_eq!(preflight(ONE, sent), Got::Forward(None, None), "{sent:?}");
    }
}

#[test]
fn mistakes_are_explained() {
    for (json, message) in [
        (r#"{"cors":{}}"#, "cors.origins: no origin is allowed; write at least one, or `*`"),
        (
            r#"{"cors":{"origins":["*"],"credentials":true}}"#,
            "cors.origins: browsers take no credentials with `*`; write the origins",
        ),
        (
            r#"{"cors":{"origins":["null"],"credentials":true}}"#,
            "cors.origins: any page can be of the origin `null`; leave it out, or the credentials",
        ),
        (
            r#"{"cors":{"origins":["https://a.example"],"credentials":true,"expose":["*"]}}"#,
            "cors.expose: with credentials `*` is a name; write the names",
        ),
        (
            r#"{"cors":{"origins":["*"],"headers":["a b"]}}"#,
            "cors.headers: `a b` is not a name; write letters, digits and hyphens",
        ),
    ] {
        assert_eq!(problem(json), format!("middlewares[0].{message}"));
    }
    assert!(problem(r#"{"cors":{"patterns":["("]}}"#).contains("cors.patterns[0]"));
}
