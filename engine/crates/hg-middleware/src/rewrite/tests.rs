use crate::target::{BAD_HOST, BAD_PATH};
use crate::testing::{Got, chain, problem, run, target, view};
use proptest::prelude::*;

#[test]
fn a_prefix_is_stripped_at_a_segment_only() {
    let strip = [r#"{"rewrite":{"path":{"strip_prefix":"/v1/"}}}"#];
    let mut request = view();
    assert_eq!(target(&strip, &request), "/users?a=b");
    for (path, result) in
        [("/v1", "/?a=b"), ("/v1/", "/?a=b"), ("/v10", "(unchanged)"), ("/", "(unchanged)")]
    {
        request.path = path;
        assert_eq!(target(&strip, &request), result, "{path}");
    }
}

#[test]
fn a_prefix_takes_the_place_of_what_the_route_matched() {
    let prefix = [r#"{"rewrite":{"path":{"prefix":"/new/"}}}"#];
    let mut request = view();
    assert_eq!(target(&prefix, &request), "/new/users?a=b");
    request.query = None;
    request.prefix_len = 0;
    assert_eq!(target(&prefix, &request), "/new/v1/users");
    assert_eq!(target(&[r#"{"rewrite":{"path":{"prefix":"/"}}}"#], &view()), "/users?a=b");
}

#[test]
fn steps_work_on_what_the_one_before_left() {
    let strip = r#"{"rewrite":{"path":{"strip_prefix":"/v1"}}}"#;
    let prefix = r#"{"rewrite":{"path":{"prefix":"/new"}}}"#;
    let regex = r#"{"rewrite":{"path":{"regex":{"pattern":"/new/(.*)","with":"/$1/x"}}}}"#;
    assert_eq!(target(&[strip, prefix], &view()), "/new/users?a=b");
    assert_eq!(target(&[prefix, prefix], &view()), "/new/users?a=b");
    assert_eq!(target(&[prefix, regex], &view()), "/users/x?a=b");
    assert_eq!(target(&[regex], &view()), "(unchanged)");
}

#[test]
fn the_whole_path_may_be_a_template_of_the_request_as_it_came() {
    let strip = r#"{"rewrite":{"path":{"strip_prefix":"/v1"}}}"#;
    let path = r#"{"rewrite":{"path":{"path":"/${listener}${path}"}}}"#;
    assert_eq!(target(&[strip, path], &view()), "/web/v1/users?a=b");
    assert_eq!(target(&[r#"{"rewrite":{"path":{"path":"/$$1"}}}"#], &view()), "/$1?a=b");
}

#[test]
fn a_regex_matches_the_whole_path_and_fills_in_groups() {
    let with = |pattern: &str, with: &str| {
        let spec =
            serde_json::json!({"rewrite":{"path":{"regex":{"pattern":pattern,"with":with}}}});
        target(&[&spec.to_string()], &view())
    };
    assert_eq!(with("/(v[0-9])/(?<what>.*)", "/${what}/$1/${2}$$"), "/users/v1/users$?a=b");
    assert_eq!(with("/v1", "/x"), "(unchanged)");
    assert_eq!(with("/v1|/v1/users", "/x"), "/x?a=b");
    assert_eq!(with("(/v1)(/nothing)?.*", "$1$2"), "/v1?a=b");
    assert_eq!(with(".*", "$0/x"), "/v1/users/x?a=b");
}

#[test]
fn the_host_is_replaced_and_checked() {
    let host =
        |text: &str| run(&chain(&[&format!(r#"{{"rewrite":{{"host":"{text}"}}}}"#)]), &view());
    let forward = |host: &str| Ok(Got::Forward(None, Some(host.to_owned())));
    assert_eq!(host("other.example:81"), forward("other.example:81"));
    assert_eq!(host("${host}.internal"), forward("api.example.internal"));
    assert_eq!(host("${header:x-evil}"), Err(BAD_HOST));
    assert_eq!(host("${header:none}"), Err(BAD_HOST));
}

#[test]
fn new_dot_segments_are_refused() {
    let regex = r#"{"rewrite":{"path":{"regex":{"pattern":"/v1/(.)sers","with":"/.%2$1"}}}}"#;
    let mut request = view();
    request.path = "/v1/esers";
    assert_eq!(run(&chain(&[regex]), &request), Err(BAD_PATH));
    let header = r#"{"rewrite":{"path":{"path":"/x/${header:x-bytes}"}}}"#;
    assert_eq!(run(&chain(&[header]), &view()), Err(BAD_PATH));
}

#[test]
fn a_request_without_a_path_is_left_alone() {
    let mut request = view();
    (request.path, request.query, request.prefix_len) = ("*", None, 0);
    assert_eq!(target(&[r#"{"rewrite":{"path":{"prefix":"/new"}}}"#], &request), "(unchanged)");
}

#[test]
fn mistakes_are_explained() {
    let path = |json: &str| problem(&format!(r#"{{"rewrite":{{"path":{json}}}}}"#));
    assert!(path(r#"{"strip_prefix":"v1"}"#).starts_with("middlewares[0].rewrite.strip_prefix: "));
    assert!(path(r#"{"strip_prefix":"/"}"#).contains("removes nothing"));
    assert!(path(r#"{"prefix":"/a?b"}"#).contains("has '?'"));
    assert!(path(r#"{"path":"/${nope}"}"#).contains("write one of client_ip"));
    assert!(path(r#"{"regex":{"pattern":"/(","with":"/"}}"#).contains("rewrite.regex: `/(`"));
    assert!(path(r#"{"regex":{"pattern":"/a)(b","with":"/"}}"#).contains("rewrite.regex"));
    let group = path(r#"{"regex":{"pattern":"/(?<a>x)","with":"/$2"}}"#);
    assert!(group.contains("no group `2`; it has $0 to $1 and a"), "{group}");
    assert!(path(r#"{"regex":{"pattern":"/","with":"x"}}"#).contains("slash"));
    assert!(path(r#"{"regex":{"pattern":"/","with":""}}"#).contains("slash"));
    assert!(problem(r#"{"rewrite":{}}"#).contains("changes nothing"));
    assert!(problem(r#"{"rewrite":{"host":"a b"}}"#).contains("is not a host"));
}

proptest! {
    /// Whatever comes in, the forwarded path is normalised and the query is unchanged.
    #[test]
    fn a_rewritten_path_is_normalised(
        path in "(/[a.%2]{0,4}){1,4}",
        step in prop::sample::select(vec![
            r#"{"strip_prefix":"/a"}"#,
            r#"{"prefix":"/p"}"#,
            r#"{"path":"/x${path}/${header:x-bytes}"}"#,
            r#"{"regex":{"pattern":"/(.*)a(.*)","with":"/$2$1"}}"#,
            r#"{"regex":{"pattern":"/(.)(.*)","with":"/.$1/%2$2"}}"#,
        ]),
        prefix_len in 0usize..9,
    ) {
        let mut buf = String::new();
        let Ok(path) = hg_route::path::normalise(&path, &mut buf) else { return Ok(()) };
        let mut request = view();
        (request.path, request.prefix_len) = (path, prefix_len);
        let chain = chain(&[&format!(r#"{{"rewrite":{{"path":{step}}}}}"#)]);
        match run(&chain, &request) {
            Ok(Got::Forward(Some(target), None)) => {
                let new = target.strip_suffix("?a=b").unwrap();
                let mut buf = String::new();
                prop_assert_eq!(hg_route::path::normalise(new, &mut buf).unwrap(), new);
            }
            other => prop_assert!(matches!(other, Ok(Got::Forward(None, None)) | Err(BAD_PATH))),
        }
    }
}
