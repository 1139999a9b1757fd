use crate::chain::Chain;
use crate::testing::{chain, problem, view};
use crate::view::{Rewritten, Stage};
use crate::{Context, Outcome};
use hg_plan::Action;

/// Sun, 06 Nov 1994 08:49:37 GMT, and a part of a second.
fn then() -> u64 {
    784_111_777_900_000
}

fn appended(chain: &Chain, status: u16, unix_us: fn() -> u64) -> String {
    let mut out = Vec::new();
    chain.response_headers(Stage::FORWARDED, status).append(&view(), unix_us, &mut out);
    String::from_utf8(out).unwrap().replace("\r\n", ";")
}

#[test]
fn the_date_is_that_of_each_answer_and_the_age_is_the_time() {
    let hour = chain(&[r#"{"expires":{"after_s":3600}}"#]);
    assert_eq!(
        appended(&hour, 200, then),
        "expires: Sun, 06 Nov 1994 09:49:37 GMT;cache-control: max-age=3600;"
    );
    assert_eq!(
        appended(&hour, 200, || 784_111_778_000_000),
        "expires: Sun, 06 Nov 1994 09:49:38 GMT;cache-control: max-age=3600;"
    );
    let now = chain(&[r#"{"expires":{}}"#]);
    assert_eq!(
        appended(&now, 304, then),
        "expires: Sun, 06 Nov 1994 08:49:37 GMT;cache-control: max-age=0;"
    );
}

#[test]
fn fixed_dates_are_those_of_nginx() {
    let lines = |word: &str| {
        appended(&chain(&[&format!(r#"{{"expires":{{"fixed":"{word}"}}}}"#)]), 200, then)
    };
    assert_eq!(
        lines("max"),
        "expires: Thu, 31 Dec 2037 23:55:55 GMT;cache-control: max-age=315360000;"
    );
    assert_eq!(lines("past"), "expires: Thu, 01 Jan 1970 00:00:01 GMT;cache-control: no-cache;");
}

#[test]
fn answers_of_other_statuses_stay_as_they_are() {
    let chain = chain(&[r#"{"expires":{"after_s":60}}"#]);
    for status in [200, 201, 204, 206, 301, 302, 303, 304, 307, 308] {
        let program = chain.response_headers(Stage::FORWARDED, status);
        assert!(program.drops(b"Expires") && program.drops(b"Cache-Control"), "{status}");
    }
    for status in [101, 202, 205, 300, 305, 309, 404, 429, 500, 503] {
        assert!(chain.response_headers(Stage::FORWARDED, status).is_empty(), "{status}");
    }
}

#[test]
fn the_lines_need_nothing_of_a_request_and_no_list_of_their_own() {
    let own = r#"{"response_headers":{"add":{"x":"1"},"statuses":[[200,200],[201,201],[204,204],[206,206],[301,304],[307,308]]}}"#;
    let lists = [202, 203, 205]
        .map(|n| format!(r#"{{"response_headers":{{"add":{{"y":"1"}},"statuses":[[{n},{n}]]}}}}"#));
    let mut uses: Vec<&str> = lists.iter().map(String::as_str).collect();
    uses.extend([own, r#"{"expires":{"after_s":60}}"#]);
    assert!(chain(&uses).is_literal(Stage::FORWARDED));
}

#[test]
fn of_two_the_first_counts_and_what_is_added_before_it_stays() {
    let chain = chain(&[
        r#"{"response_headers":{"add":{"cache-control":"public"}}}"#,
        r#"{"expires":{"fixed":"past"}}"#,
        r#"{"expires":{"after_s":60}}"#,
    ]);
    assert_eq!(
        appended(&chain, 200, then),
        "expires: Thu, 01 Jan 1970 00:00:01 GMT;cache-control: no-cache;cache-control: public;"
    );
    assert_eq!(appended(&chain, 404, then), "cache-control: public;");
}

#[test]
fn an_own_answer_has_the_lines_and_an_explanation_no_date() {
    let action: Action = serde_json::from_str(
        r#"{"respond":{"status":200,"headers":{"cache-control":"no-store"}}}"#,
    )
    .unwrap();
    let uses = [crate::testing::used(r#"{"expires":{"after_s":60}}"#)];
    let chain = Chain::compile(&[&uses], Some(&action), &|_| None).unwrap();
    let mut out = Rewritten::new();
    let mut random = || 0;
    let mut cx =
        Context { now_us: 1, unix_us: then, random: &mut random, worker: 0, accounts: None };
    assert_eq!(chain.begin(&view(), &mut out, &mut cx), Ok(Outcome::Answer));
    let lines = String::from_utf8(out.answer.headers.clone()).unwrap();
    assert_eq!(lines, "expires: Sun, 06 Nov 1994 08:50:37 GMT\r\ncache-control: max-age=60\r\n");
    assert_eq!(chain.request(&view(), &mut out), Ok(Outcome::Answer));
    let lines = String::from_utf8(out.answer.headers).unwrap();
    assert_eq!(lines, "cache-control: max-age=60\r\n");
}

#[test]
fn mistakes_are_explained() {
    let told = problem(r#"{"expires":{"fixed":"soon"}}"#);
    assert!(told.contains("expires.fixed: `soon` is not a time"), "{told}");
    let told = problem(r#"{"expires":{"after_s":-1}}"#);
    assert!(told.contains("expires: "), "{told}");
}
