use super::UNKNOWN;
use crate::RequestView;
use crate::testing::{Got, chain, problem, run, view};
use hg_route::Headers;

struct Lines(Vec<(&'static str, &'static [u8])>);

impl Headers for Lines {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value));
    }
}

fn used(rest: &str) -> String {
    let sum = hg_plan::Digest::of(b"k1-long-enough").hex();
    format!(r#"{{"api_key":{{"clients":{{"shop":["{sum}"]}},{rest}}}}}"#)
}

fn got(uses: &str, lines: Vec<(&'static str, &'static [u8])>) -> Result<Got, hg_proto::Reject> {
    run(&chain(&[uses]), &RequestView { headers: &Lines(lines), ..view() })
}

#[test]
fn a_key_lets_in() {
    let uses = used(r#""header":"X-Key""#);
    assert_eq!(got(&uses, vec![("x-key", b"k1-long-enough")]), Ok(Got::Forward(None, None)));
    assert_eq!(got(&uses, vec![("x-key", b"k2")]), Err(UNKNOWN));
    assert_eq!(got(&uses, vec![("x-key", b"")]), Err(UNKNOWN));
    let twice = vec![("x-key", &b"k1-long-enough"[..]), ("x-key", b"k1-long-enough")];
    assert_eq!(got(&uses, twice), Err(UNKNOWN));
}

#[test]
fn who_has_no_key_is_asked_for_one() {
    let Ok(Got::Answer(status, headers, body)) = got(&used(r#""header":"x-key""#), vec![]) else {
        panic!("no answer");
    };
    assert_eq!((status, body.as_str()), (401, "401 Unauthorized\nan API key is needed here\n"));
    assert!(headers.contains("www-authenticate: ApiKey\r\n"), "{headers}");
}

#[test]
fn the_client_is_named_and_nobody_else_can_do_that() {
    let uses = used(r#""header":"x-key","client_header":"x-client""#);
    let stage = crate::access_testing::Stage::new(&uses);
    let lines = [("x-key", &b"k1-long-enough"[..]), ("x-client", b"admin")];
    let passed = crate::access_testing::Got::Forward("x-client: shop\r\n".into(), false);
    assert_eq!(stage.ask(&lines, 0, || 0), passed);
    let program = stage.chain.request_headers();
    for name in ["x-client", "X_Client", "x-key"] {
        assert!(program.drops_spelling(name.as_bytes()), "{name}");
    }
}

#[test]
fn a_key_may_be_kept() {
    let kept = chain(&[&used(r#""header":"x-key","keep":true"#)]);
    assert!(!kept.request_headers().drops(b"x-key"));
}

#[test]
fn mistakes_are_named() {
    let at = "middlewares[0].api_key";
    for (uses, expected) in [
        (used(r#""header":"x-key","query":"k""#), format!("{at}: write one of")),
        (
            r#"{"api_key":{"clients":{},"header":"a"}}"#.into(),
            format!("{at}.clients: there is no key"),
        ),
        (r#"{"api_key":{"clients":{"shop":["k1"]},"header":"a"}}"#.into(), format!("{at}.clients")),
    ] {
        let message = problem(&uses);
        assert!(message.starts_with(&expected), "{message}");
        assert!(!message.contains("k1"), "{message}");
    }
}

#[test]
fn results_are_counted() {
    let stage = crate::access_testing::Stage::new(&used(r#""header":"x-key""#));
    for lines in [&[("x-key", &b"k1-long-enough"[..])][..], &[("x-key", b"k2")], &[]] {
        stage.ask(lines, 0, || 0);
    }
    assert_eq!(stage.counts(), [("pass", 1), ("missing", 1), ("refused", 1)]);
}
