use crate::chain::Chain;
use crate::testing::{chain, problem, view};
use crate::view::Stage;
use proptest::prelude::*;

fn added(chain: &Chain, status: u16) -> String {
    let mut out = Vec::new();
    chain.response_headers(Stage::FORWARDED, status).append(&view(), || 0, &mut out);
    String::from_utf8(out).unwrap().replace("\r\n", ";")
}

#[test]
fn edits_apply_to_answers_whose_status_they_list() {
    let chain = chain(&[
        r#"{"response_headers":{"add":{"good":"1"},"remove":["x"],"statuses":[[200,299],[304,304]]}}"#,
        r#"{"response_headers":{"add":{"all":"1"}}}"#,
        r#"{"response_headers":{"set":{"bad":"1"},"statuses":[[500,599]]}}"#,
    ]);
    assert_eq!(added(&chain, 200), "all: 1;good: 1;");
    assert_eq!(added(&chain, 304), "all: 1;good: 1;");
    assert_eq!(added(&chain, 503), "bad: 1;all: 1;");
    assert_eq!(added(&chain, 404), "all: 1;");
    let drops = |status| chain.response_headers(Stage::FORWARDED, status).drops(b"x");
    assert!(drops(299) && !drops(300));
    assert!(!chain.is_empty() && chain.is_literal(Stage::FORWARDED));
}

#[test]
fn what_one_status_alone_needs_of_a_request_is_kept() {
    let one = r#"{"response_headers":{"set":{"x":"${host}"},"statuses":[[404,404]]}}"#;
    let chain = chain(&[one]);
    assert!(!chain.is_empty() && !chain.is_literal(Stage::FORWARDED));
}

#[test]
fn mistakes_are_explained() {
    let json = |statuses: &str| format!(r#"{{"response_headers":{{"statuses":[{statuses}]}}}}"#);
    for wrong in ["[99,200]", "[200,600]", "[300,200]"] {
        let told = problem(&json(wrong));
        assert!(told.contains("response_headers.statuses[0]: "), "{told}");
    }
    assert!(chain(&[&json("[100,599]")]).is_empty());
}

#[test]
fn a_chain_has_few_lists_of_statuses() {
    let one = |n: u16| {
        let json =
            format!(r#"{{"response_headers":{{"add":{{"a":"{n}"}},"statuses":[[{n},{n}]]}}}}"#);
        serde_json::from_str(&json).unwrap()
    };
    let compiled = |last: u16| {
        let uses: Vec<_> = (200..last).map(one).chain([one(200)]).collect();
        Chain::compile(&[&uses], None, &|_| None)
    };
    assert!(compiled(204).is_ok());
    let problems = compiled(205).unwrap_err();
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].path, "middlewares[4]");
    assert!(problems[0].message.contains("at most 4"), "{}", problems[0].message);
}

proptest! {
    /// An answer gets what a chain of only those middlewares does that are for its status.
    #[test]
    fn it_is_as_if_the_others_were_not_there(
        ranges in proptest::collection::vec((0_usize..4, 0_u8..3), 0..6),
        status in 200_u16..206,
    ) {
        let lists = ["[200,201]", "[201,203]", "[204,204],[200,200]", ""];
        let has = |at: usize| match at {
            0 => (200..=201).contains(&status),
            1 => (201..=203).contains(&status),
            2 => status == 204 || status == 200,
            _ => true,
        };
        let all: Vec<String> = ranges
            .iter()
            .enumerate()
            .map(|(n, (at, name))| {
                let only = lists[*at];
                let only = if only.is_empty() { String::new() } else { format!(r#","statuses":[{only}]"#) };
                format!(r#"{{"response_headers":{{"set":{{"h{name}":"{n}"}}{only}}}}}"#)
            })
            .collect();
        let every: Vec<&str> = all.iter().map(String::as_str).collect();
        let some: Vec<&str> =
            every.iter().zip(&ranges).filter(|(_, (at, _))| has(*at)).map(|(one, _)| *one).collect();
        prop_assert_eq!(added(&chain(&every), status), added(&chain(&some), status));
    }
}
