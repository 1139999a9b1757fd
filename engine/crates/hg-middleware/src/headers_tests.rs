use super::*;
use crate::testing::{chain, problem, view};
use crate::view::Stage;
use proptest::prelude::*;

fn lines(program: &HeaderProgram) -> String {
    let mut out = b"before: 1\r\n".to_vec();
    program.append(&view(), || 0, &mut out);
    String::from_utf8(out).unwrap().strip_prefix("before: 1\r\n").unwrap().replace("\r\n", ";")
}

#[test]
fn an_empty_program_drops_and_appends_nothing() {
    let program = HeaderProgram::default();
    assert!(program.is_empty() && !program.drops(b"") && !program.drops(b"host"));
    assert_eq!(lines(&program), "");
}

#[test]
fn set_replaces_add_adds_and_remove_removes() {
    let chain = chain(&[
        r#"{"request_headers":{"remove":["X-Gone"],"set":{"X-Set":"1"},"add":{"x-add":"2"}}}"#,
    ]);
    let program = chain.request_headers();
    assert!(program.drops(b"x-gone") && program.drops(b"X-SET"));
    assert!(!program.drops(b"x-add") && !program.drops(b"x-se"));
    assert_eq!(lines(program), "x-set: 1;x-add: 2;");
}

#[test]
fn later_edits_see_what_earlier_ones_made() {
    let chain = chain(&[
        r#"{"request_headers":{"set":{"a":"1","b":"1"},"add":{"c":"1"}}}"#,
        r#"{"request_headers":{"remove":["a"],"set":{"b":"2"},"add":{"c":"2"}}}"#,
    ]);
    assert_eq!(lines(chain.request_headers()), "c: 1;b: 2;c: 2;");
    assert!(chain.request_headers().drops(b"a"));
}

#[test]
fn what_is_dropped_goes_in_every_spelling_whatever_marks_its_own_name_has() {
    let chain = chain(&[r#"{"request_headers":{"remove":["a_b.c"],"set":{"x-y_z":"1"}}}"#]);
    let program = chain.request_headers();
    for name in ["a_b.c", "A-B-C", "a_b_c", "a.b.c", "a-b_c", "x-y_z", "X-Y-Z", "x_y_z", "x.y.z"] {
        assert!(program.drops_spelling(name.as_bytes()), "{name}");
    }
    for name in ["a-b-d", "a-bxc", "axb-c", "a-b-", "x-y", "x-y-z-"] {
        assert!(!program.drops_spelling(name.as_bytes()), "{name}");
    }
    assert!(program.drops(b"x-y_z") && !program.drops(b"x-y-z"));
}

#[test]
fn responses_pass_in_reverse() {
    let chain = chain(&[
        r#"{"response_headers":{"set":{"x":"outer"},"add":{"y":"outer"}}}"#,
        r#"{"response_headers":{"set":{"x":"inner"},"add":{"y":"inner"}}}"#,
    ]);
    assert_eq!(lines(chain.response_headers(Stage::FORWARDED, 200)), "y: inner;x: outer;y: outer;");
}

#[test]
fn an_empty_rendered_value_leaves_no_line_and_controls_become_spaces() {
    let chain = chain(&[
        r#"{"request_headers":{"set":{"a":"${header:none}","b":"${header:x-evil}","c":"","d":"${host}"}}}"#,
    ]);
    assert_eq!(lines(chain.request_headers()), "b: a  set-cookie: x=1  ;c: ;d: api.example;");
}

#[test]
fn framing_and_connection_headers_are_refused() {
    let names = REFUSED.iter().map(|(name, _)| *name).chain(["Connection", "Content-Length"]);
    for name in names {
        for edit in [
            format!(r#"{{"request_headers":{{"set":{{"{name}":"x"}}}}}}"#),
            format!(r#"{{"request_headers":{{"remove":["{name}"]}}}}"#),
            format!(r#"{{"response_headers":{{"add":{{"{name}":"x"}}}}}}"#),
            format!(r#"{{"respond":{{"status":200,"headers":{{"{name}":"x"}}}}}}"#),
        ] {
            assert!(problem(&edit).contains("the proxy sets it"), "{edit}");
        }
    }
    let host = problem(r#"{"request_headers":{"set":{"Host":"x"}}}"#);
    assert!(host.contains("rewrite.host"), "{host}");
}

#[test]
fn every_problem_of_a_middleware_is_reported_with_its_path() {
    let uses = [crate::testing::used(
        r#"{"request_headers":{"remove":["a b"],"set":{"":"x","n":"${x}"},"add":{"l":"a\nb"}}}"#,
    )];
    let problems = crate::Chain::compile(&[&[], &uses], None, &|_| None).unwrap_err();
    let paths: Vec<_> = problems.iter().map(|p| (p.list, p.path.as_str())).collect();
    assert_eq!(
        paths,
        [
            (1, "middlewares[0].request_headers.remove[0]"),
            (1, "middlewares[0].request_headers.set."),
            (1, "middlewares[0].request_headers.set.n"),
            (1, "middlewares[0].request_headers.add.l"),
        ]
    );
    assert!(problems[3].message.contains("0x0A"));
}

fn edits() -> impl Strategy<Value = Vec<(u8, String)>> {
    prop::collection::vec((0u8..3, "[ab]{1,2}"), 0..8)
}

proptest! {
    /// Composed edits do the same as the edits one after the other.
    #[test]
    fn a_composition_equals_its_steps(
        chain in prop::collection::vec(edits(), 0..5),
        start in prop::collection::vec("[abc]{1,2}", 0..5),
    ) {
        let mut composition = Composition::default();
        let mut step_by_step: Vec<_> = start.iter().map(|n| (n.clone(), "start".into())).collect();
        for (at, edits) in chain.iter().enumerate() {
            let mut spec = HeaderEdits::default();
            for (what, name) in edits {
                match what {
                    0 => spec.remove.push(name.clone()),
                    1 => drop(spec.set.insert(name.clone(), format!("set{at}"))),
                    _ => drop(spec.add.insert(name.clone(), format!("add{at}"))),
                }
            }
            composition.then(&Edits::compile(&spec, Direction::Request, "", &mut Vec::new()));
            step_by_step.retain(|(n, _)| !spec.remove.contains(n) && !spec.set.contains_key(n));
            step_by_step.extend(spec.set.into_iter().chain(spec.add));
        }
        let program = composition.program();
        let mut composed: Vec<u8> = Vec::new();
        for name in start.iter().filter(|n| !program.drops(n.as_bytes())) {
            composed.extend_from_slice(format!("{name}: start\r\n").as_bytes());
        }
        program.append(&view(), || 0, &mut composed);
        let expected: String =
            step_by_step.iter().map(|(n, v)| format!("{n}: {v}\r\n")).collect();
        prop_assert_eq!(String::from_utf8(composed).unwrap(), expected);
    }

    /// Whatever values contain, a program's output is whole lines with the given names.
    #[test]
    fn no_value_ends_a_line(value in ".*", path in ".*") {
        let spec = r#"{"request_headers":{"set":{"n":"<${header:v}${path}>"}}}"#;
        let chain = chain(&[spec]);
        let headers: &[(&str, &str)] = &[("v", &value)];
        let headers = headers.to_vec();
        let mut request = view();
        (request.headers, request.path) = (&headers, &path);
        let mut out = Vec::new();
        chain.request_headers().append(&request, || 0, &mut out);
        let inner = out.strip_prefix(b"n: <").and_then(|o| o.strip_suffix(b">\r\n")).unwrap();
        prop_assert!(inner.iter().all(|b| !is_forbidden(*b)));
    }

    #[test]
    fn rendered_lines_are_filtered_by_name(names in prop::collection::vec("[a-d]{1,2}", 0..8)) {
        let mut composition = Composition::default();
        composition.drop_name("a");
        composition.drop_name("bb");
        let mut all: Vec<u8> = names.iter().flat_map(|n| format!("{n}: 1\r\n").into_bytes()).collect();
        composition.program().apply(&view(), || 0, &mut all);
        let left: String = names
            .iter()
            .filter(|n| *n != "a" && *n != "bb")
            .map(|n| format!("{n}: 1\r\n"))
            .collect();
        prop_assert_eq!(String::from_utf8(all).unwrap(), left);
    }
}
