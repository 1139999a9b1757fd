use super::*;
use crate::NAMES;
use crate::testing::{Got, chain, problem, run, used, view};

#[test]
fn an_empty_chain_forwards_everything_unchanged() {
    let chain = chain(&[]);
    assert!(chain.is_empty());
    assert_eq!(run(&chain, &view()), Ok(Got::Forward(None, None)));
}

#[test]
fn the_host_s_come_before_the_route_s() {
    let host = [used(r#"{"rewrite":{"path":{"strip_prefix":"/v1"}}}"#)];
    let route = [used(r#"{"rewrite":{"path":{"regex":{"pattern":"/(users)","with":"/all/$1"}}}}"#)];
    let in_order = Chain::compile(&[&host, &route], None, &|_| None).unwrap();
    let reversed = Chain::compile(&[&route, &host], None, &|_| None).unwrap();
    let forward = |target: &str| Ok(Got::Forward(Some(target.into()), None));
    assert_eq!(run(&in_order, &view()), forward("/all/users?a=b"));
    assert_eq!(run(&reversed, &view()), forward("/users?a=b"));
}

#[test]
fn an_early_answer_passes_the_response_edits_before_it_in_reverse() {
    let chain = chain(&[
        r#"{"response_headers":{"set":{"a":"outer"},"add":{"b":"1"}}}"#,
        r#"{"response_headers":{"remove":["own"],"set":{"a":"inner"}}}"#,
        r#"{"respond":{"status":403,"headers":{"own":"x","kept":"y"}}}"#,
        r#"{"response_headers":{"set":{"after":"never"}}}"#,
    ]);
    let lines = "kept: y\r\na: outer\r\nb: 1\r\n".to_owned();
    assert_eq!(run(&chain, &view()), Ok(Got::Answer(403, lines, String::new())));
}

#[test]
fn later_request_edits_see_the_lines_of_steps_before_them() {
    let sum = hg_plan::Digest::of(b"k1-long-enough").hex();
    let step = format!(
        r#"{{"api_key":{{"clients":{{"shop":["{sum}"]}},"header":"x-key","client_header":"x-who"}}}}"#
    );
    let edits = |edits: &str| format!(r#"{{"request_headers":{{{edits}}}}}"#);
    let removed = edits(r#""remove":["X-Who"]"#);
    let (set, added) = (edits(r#""set":{"x-who":"nobody"}"#), edits(r#""add":{"x-who":"too"}"#));
    let named = "x-who: shop\r\n";
    for (uses, expected) in [
        (vec![&step], named),
        (vec![&step, &removed], ""),
        (vec![&step, &set, &added], ""),
        (vec![&step, &added], named),
        (vec![&removed, &set, &step], named),
        (vec![&step, &step], named),
    ] {
        let chain = chain(&uses.iter().map(|one| one.as_str()).collect::<Vec<_>>());
        let headers = vec![("x-key", "k1-long-enough")];
        let mut out = Rewritten::new();
        let view = RequestView { headers: &headers, ..view() };
        assert_eq!(chain.request(&view, &mut out), Ok(Outcome::Forward));
        assert_eq!(String::from_utf8_lossy(out.request_lines()), expected, "{uses:?}");
    }
}

#[test]
fn an_explanation_leaves_out_what_a_later_step_removes() {
    let step = r#"{"forward_auth":{"upstream":"auth","path":"/","method":"GET","timeout_ms":1,
        "answer_bytes":1,"in_flight":1,"copy":["x-who","x-role"]}}"#;
    let removed = r#"{"request_headers":{"remove":["x-who"]}}"#;
    let mut out = Rewritten::new();
    assert_eq!(chain(&[step, removed]).request(&view(), &mut out), Ok(Outcome::Forward));
    assert_eq!(out.request_lines(), b"x-role: FORWARD-AUTH\r\n");
}

#[test]
fn the_stage_tells_which_edits_an_answer_passes() {
    let chain = chain(&[
        r#"{"response_headers":{"set":{"first":"1"}}}"#,
        r#"{"redirect":{"status":308,"scheme":"https"}}"#,
        r#"{"response_headers":{"set":{"second":"2"}}}"#,
    ]);
    let mut out = Rewritten::new();
    assert_eq!(chain.request(&view(), &mut out), Ok(Outcome::Answer));
    let early = chain.response_headers(out.stage(), out.answer.status);
    assert!(early.drops(b"first") && !early.drops(b"second"));
    let mut secure = view();
    (secure.scheme, secure.port) = ("https", None);
    assert_eq!(chain.request(&secure, &mut out), Ok(Outcome::Forward));
    assert_eq!(out.stage(), Stage::FORWARDED);
    assert!(chain.response_headers(out.stage(), out.answer.status).drops(b"second"));
}

#[test]
fn names_are_looked_up_and_a_missing_or_broken_one_is_an_error() {
    let good: Middleware = serde_json::from_str(r#"{"respond":{"status":200}}"#).unwrap();
    let broken: Middleware = serde_json::from_str(r#"{"respond":{"status":7}}"#).unwrap();
    assert_eq!(check(&good), []);
    assert_eq!(check(&broken)[0].0, "respond.status");
    let named = |name: &str| match name {
        "good" => Some(&good),
        "broken" => Some(&broken),
        _ => None,
    };
    let uses = [used(r#"{"use":"good"}"#)];
    let chain = Chain::compile(&[&uses], None, &named).unwrap();
    assert_eq!(run(&chain, &view()), Ok(Got::Answer(200, String::new(), String::new())));
    let uses = [used(r#"{"use":"broken"}"#), used(r#"{"use":"none"}"#)];
    let problems = Chain::compile(&[&uses], None, &named).unwrap_err();
    let shown: Vec<_> = problems.iter().map(|p| format!("{}: {}", p.path, p.message)).collect();
    assert!(shown[0].starts_with("middlewares[0]: middleware `broken`: respond.status: 7"));
    assert_eq!(shown[1], "middlewares[1]: there is no middleware `none`");
}

#[test]
fn a_refused_request_leaves_no_answer() {
    let chain = chain(&[r#"{"rewrite":{"host":"${header:x-evil}"}}"#]);
    let mut out = Rewritten::new();
    assert_eq!(chain.request(&view(), &mut out).map_err(|r| r.status), Err(400));
    assert_eq!((out.target(), out.host()), (None, None));
}

#[test]
fn buffers_are_used_again() {
    let chain = chain(&[
        r#"{"rewrite":{"path":{"prefix":"/new"},"host":"x.example"}}"#,
        r#"{"respond":{"status":200,"body":"${path}","headers":{"x":"${host}"}}}"#,
    ]);
    let mut out = Rewritten::new();
    chain.request(&view(), &mut out).unwrap();
    let before = (out.path.as_ptr(), out.host.as_ptr(), out.answer.body.as_ptr());
    chain.request(&view(), &mut out).unwrap();
    assert_eq!(before, (out.path.as_ptr(), out.host.as_ptr(), out.answer.body.as_ptr()));
}

#[test]
fn a_kind_that_nobody_knows_and_options_that_do_not_fit_are_errors() {
    assert_eq!(
        problem(r#"{"teleport":{}}"#),
        format!("middlewares[0].teleport: there is no such middleware; write {}", NAMES.join(", "))
    );
    assert_eq!(
        problem(r#"{"respond":{"status":200,"colour":"red"}}"#),
        "middlewares[0].respond: unknown field `colour`, expected one of `status`, `body`, `headers`"
    );
}

#[test]
fn no_file_but_the_list_names_the_middlewares() {
    let crates = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned();
    let mut folders = vec![crates];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap().flatten() {
            let path = entry.path();
            if path.is_dir() {
                // What a kind is called inside of its own folder is its own affair, and so in tests.
                let name = path.file_name().unwrap().to_str().unwrap();
                if !NAMES.contains(&name) && name != "tests" {
                    folders.push(path);
                }
            } else if path.extension().is_some_and(|e| e == "rs") && !is_test(&path) {
                let text = std::fs::read_to_string(&path).unwrap();
                let says = |name: &&&str| {
                    text.contains(&format!("\"{name}\"")) || text.contains(&format!("{name}::"))
                };
                let named = NAMES.iter().filter(says).count();
                // A route's own answer is one of two.
                assert!(named <= 2, "{path:?} names {named} kinds of middlewares");
            }
        }
    }
}

fn is_test(path: &std::path::Path) -> bool {
    path.file_stem().unwrap().to_str().unwrap().ends_with("tests")
}

#[test]
fn every_name_is_a_folder_and_a_middleware() {
    let source = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    for name in NAMES {
        assert!(source.join(name).join("mod.rs").is_file(), "{name}");
    }
    let folders = std::fs::read_dir(source).unwrap().flatten();
    assert_eq!(folders.filter(|e| e.path().is_dir()).count(), NAMES.len());
}
