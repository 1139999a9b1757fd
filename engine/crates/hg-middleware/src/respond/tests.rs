use crate::testing::{Got, chain, compile, problem, run, view};
use hg_plan::Action;

fn answer(spec: &str) -> Got {
    run(&chain(&[&format!(r#"{{"respond":{spec}}}"#)]), &view()).unwrap()
}

fn got(status: u16, lines: &str, body: &str) -> Got {
    Got::Answer(status, lines.into(), body.into())
}

const PLAIN: &str = "content-type: text/plain; charset=utf-8\r\n";

#[test]
fn status_headers_and_body_are_rendered() {
    assert_eq!(answer(r#"{"status":404,"body":"no such host"}"#), got(404, PLAIN, "no such host"));
    assert_eq!(
        answer(
            r#"{"status":200,"body":"{\"id\":\"${request_id}\"}","headers":{"Content-Type":"application/json","x-host":"${host}"}}"#
        ),
        got(
            200,
            "content-type: application/json\r\nx-host: api.example\r\n",
            r#"{"id":"0123456789abcdef"}"#
        )
    );
}

#[test]
fn an_empty_body_has_no_type() {
    assert_eq!(answer(r#"{"status":204}"#), got(204, "", ""));
    assert_eq!(
        answer(r#"{"status":503,"headers":{"retry-after":"5"}}"#),
        got(503, "retry-after: 5\r\n", "")
    );
}

#[test]
fn a_route_s_own_answer_comes_from_the_same_code() {
    let spec = hg_plan::Respond { status: 404, body: "gone".into(), headers: [].into() };
    let chain = compile(&[], Some(&Action::Respond(spec))).unwrap();
    assert_eq!(run(&chain, &view()), Ok(got(404, PLAIN, "gone")));
}

#[test]
fn mistakes_are_explained() {
    let message = |spec: &str| problem(&format!(r#"{{"respond":{spec}}}"#));
    assert!(message(r#"{"status":100}"#).contains("200 to 599"));
    assert!(message(r#"{"status":600}"#).contains("200 to 599"));
    assert!(message(r#"{"status":204,"body":"x"}"#).contains("no body"));
    assert!(
        message(r#"{"status":200,"body":"${x}"}"#).starts_with("middlewares[0].respond.body: ")
    );
    let header = message(r#"{"status":200,"headers":{"a b":"x"}}"#);
    assert!(header.starts_with("middlewares[0].respond.headers.a b: "), "{header}");
    let spec = hg_plan::Respond { status: 1, body: String::new(), headers: [].into() };
    let problems = compile(&[], Some(&Action::Respond(spec))).unwrap_err();
    assert_eq!((problems[0].list, &*problems[0].path), (1, "action.respond.status"));
}
