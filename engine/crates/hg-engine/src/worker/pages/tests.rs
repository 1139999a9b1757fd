//! The pages that a route has, and the lines that they leave of an answer.

#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;
use crate::worker::tests::{GET, on_request, waiting};

const PAGES: &str = r#","middlewares":[{"error_pages":{"pages":[
    {"statuses":[[500,599]],"body":"a page","content_type":"text/x-page"}]}}]"#;

#[test]
fn a_page_takes_the_place_of_errors_that_the_route_names_but_not_of_calls() {
    let (node, _s) = waiting("", PAGES, GET);
    on_request(&node, |w, x, _| {
        let e = w.exchanges.get_mut(x).unwrap();
        for source in [Source::Node, Source::Endpoint] {
            let (page, body) = e.page((503, source), 0).unwrap();
            assert_eq!((&*page.content_type, &body[..]), ("text/x-page", &b"a page"[..]));
            assert!(e.page((404, source), 0).is_none());
        }
        e.stream.is_grpc = true;
        assert!(e.page((503, Source::Node), 0).is_none());
    });
}

#[test]
fn lines_of_an_answer_stay_unless_they_describe_its_body() {
    let (node, _s) = waiting("", PAGES, GET);
    on_request(&node, |w, x, _| {
        let (page, _) = w.exchanges.get(x).unwrap().page((503, Source::Node), 0).unwrap();
        let lines = b"WWW-Authenticate: a: b\r\nContent-Type: text/plain\r\nDigest: c\r\n\
                      Content-Languages: d\r\nContent-Language: e\r\n";
        let mut out = Vec::new();
        lines_of_page(lines, &page, &mut out);
        let expected =
            "WWW-Authenticate: a: b\r\nContent-Languages: d\r\ncontent-type: text/x-page\r\n";
        assert_eq!(std::str::from_utf8(&out).unwrap(), expected);
    });
}
