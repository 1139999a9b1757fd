use crate::target::{BAD_HOST, BAD_PATH};
use crate::testing::{Got, chain, compile, problem, run, view};
use crate::view::RequestView;
use hg_plan::Action;
use proptest::prelude::*;

fn location(spec: &str, view: &RequestView<'_>) -> String {
    match run(&chain(&[&format!(r#"{{"redirect":{{"status":308,{spec}}}}}"#)]), view) {
        Ok(Got::Answer(308, lines, body)) => {
            assert_eq!(body, "");
            lines.strip_prefix("location: ").unwrap().strip_suffix("\r\n").unwrap().to_owned()
        }
        other => format!("{other:?}"),
    }
}

#[test]
fn what_is_not_given_stays() {
    let v = view();
    for (spec, expected) in [
        (r#""scheme":"https""#, "https://api.example/v1/users?a=b"),
        (r#""scheme":"https","port":8443"#, "https://api.example:8443/v1/users?a=b"),
        (r#""host":"new.example""#, "http://new.example:8000/v1/users?a=b"),
        (r#""host":"www.${host}","port":80"#, "http://www.api.example/v1/users?a=b"),
        (r#""port":443"#, "http://api.example:443/v1/users?a=b"),
        (r#""path":"/x""#, "http://api.example:8000/x?a=b"),
        (r#""path":"/${route}${path}""#, "http://api.example:8000/users/v1/users?a=b"),
        (r#""prefix":"/v2""#, "http://api.example:8000/v2/users?a=b"),
        (r#""prefix":"/""#, "http://api.example:8000/users?a=b"),
        (r#""host":"[2001:db8::1]","port":81"#, "http://[2001:db8::1]:81/v1/users?a=b"),
    ] {
        assert_eq!(location(spec, &v), expected, "{spec}");
    }
}

#[test]
fn a_request_without_port_query_or_path() {
    let mut v = view();
    (v.port, v.query, v.path, v.prefix_len) = (None, None, "*", 0);
    assert_eq!(location(r#""host":"b""#, &v), "http://b/");
    v.scheme = "https";
    assert_eq!(location(r#""scheme":"http""#, &v), "http://api.example/");
}

#[test]
fn a_middleware_lets_pass_who_is_there_already() {
    let to_https = chain(&[
        r#"{"rewrite":{"path":{"strip_prefix":"/v1"}}}"#,
        r#"{"redirect":{"status":301,"scheme":"https"}}"#,
    ]);
    let mut v = view();
    (v.scheme, v.port) = ("https", None);
    assert_eq!(run(&to_https, &v), Ok(Got::Forward(Some("/users?a=b".into()), None)));
    v.port = Some(443);
    assert_eq!(run(&to_https, &v), Ok(Got::Forward(Some("/users?a=b".into()), None)));
    v.port = Some(8443);
    assert!(matches!(run(&to_https, &v), Ok(Got::Answer(301, ..))));
}

#[test]
fn a_route_that_redirects_always_does() {
    let action = Action::Redirect(hg_plan::Redirect {
        status: 302,
        scheme: None,
        host: Some("${host}".into()),
        port: None,
        path: None,
        prefix: None,
    });
    let chain = compile(&[], Some(&action)).unwrap();
    let expected = "location: http://api.example:8000/v1/users?a=b\r\n".to_owned();
    assert_eq!(run(&chain, &view()), Ok(Got::Answer(302, expected, String::new())));
}

#[test]
fn what_makes_no_url_is_refused() {
    let refused =
        |spec: &str| run(&chain(&[&format!(r#"{{"redirect":{{"status":302,{spec}}}}}"#)]), &view());
    assert_eq!(refused(r#""host":"${header:x-evil}""#), Err(BAD_HOST));
    assert_eq!(refused(r#""host":"${host}:1""#), Err(BAD_HOST));
    assert_eq!(refused(r#""path":"/${header:x-bytes}""#), Err(BAD_PATH));
    // A path cannot have an encoded NUL, either.
    assert_eq!(refused(r#""path":"/${header:x-evil}""#), Err(BAD_PATH));
}

#[test]
fn mistakes_are_explained() {
    let message = |spec: &str| problem(&format!(r#"{{"redirect":{spec}}}"#));
    assert!(message(r#"{"status":200}"#).starts_with("middlewares[0].redirect.status: 200"));
    assert!(message(r#"{"status":301,"scheme":"ftp"}"#).contains("`http` or `https`"));
    assert!(message(r#"{"status":301,"port":0}"#).contains("1 to 65535"));
    assert!(message(r#"{"status":301,"host":"a:1"}"#).contains("redirect.port"));
    assert!(message(r#"{"status":301,"host":"a/b"}"#).contains("not a host"));
    assert!(message(r#"{"status":301,"path":"/a","prefix":"/b"}"#).contains("exclude each other"));
    assert!(message(r#"{"status":301,"path":"b"}"#).contains("slash"));
}

proptest! {
    #[test]
    fn a_location_is_one_line_of_printable_ascii(
        query in prop::option::of(".*"),
        value in ".*",
        spec in prop::sample::select(vec![
            r#""path":"/x/${header:v}/${query}""#,
            r#""host":"${header:v}""#,
            r#""prefix":"/n""#,
        ]),
    ) {
        let headers = vec![("v", value)];
        let mut v = view();
        (v.query, v.headers) = (query.as_deref(), &headers);
        let chain = chain(&[&format!(r#"{{"redirect":{{"status":307,{spec}}}}}"#)]);
        if let Ok(Got::Answer(_, lines, _)) = run(&chain, &v) {
            let url = lines.strip_prefix("location: http://").unwrap().strip_suffix("\r\n").unwrap();
            prop_assert!(url.bytes().all(|b| (0x21..0x7f).contains(&b)), "{}", url);
        }
    }
}
