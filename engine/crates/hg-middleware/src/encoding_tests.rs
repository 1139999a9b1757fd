use super::*;
use crate::testing::view;
use hg_route::Headers;

struct Sent<'a>(&'a [(&'a str, &'a str)]);

impl Headers for Sent<'_> {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        self.0.iter().filter(|(n, _)| *n == name).for_each(|(_, value)| line(value.as_bytes()));
    }
}

fn encoding() -> Encoding {
    Encoding {
        types: ["text/html".into(), "application/json".into()].into(),
        least: 1000,
        offered: [Coding::Zstd, Coding::Gzip].into(),
        levels: Levels::default(),
        results: None,
    }
}

const PAGE: AnswerHead<'static> = AnswerHead {
    status: 200,
    content_type: Some(b"text/html; charset=utf-8"),
    content_length: Some(5000),
    is_made: false,
    no_transform: false,
};

fn verdict(head: &AnswerHead<'_>, sent: &[(&str, &str)]) -> Verdict {
    encoding().verdict(head, &RequestView { headers: &Sent(sent), ..view() })
}

const GZIP: &[(&str, &str)] = &[("accept-encoding", "gzip")];

fn encoded(head: &AnswerHead<'_>) -> bool {
    verdict(head, GZIP) == Verdict::Encode(Coding::Gzip, Levels::default())
}

#[test]
fn an_answer_of_a_listed_type_is_encoded() {
    assert!(encoded(&PAGE));
    for content_type in ["TEXT/HTML", "application/json;charset=utf-8", " text/html ;x"] {
        assert!(encoded(&AnswerHead { content_type: Some(content_type.as_bytes()), ..PAGE }));
    }
    assert!(encoded(&AnswerHead { content_length: None, ..PAGE }));
    assert!(encoded(&AnswerHead { status: 404, ..PAGE }));
    assert!(encoded(&AnswerHead { content_length: Some(1000), ..PAGE }));
}

#[test]
fn other_answers_stay_and_do_not_vary() {
    for head in [
        AnswerHead { content_type: None, ..PAGE },
        AnswerHead { content_type: Some(b"image/png"), ..PAGE },
        AnswerHead { content_type: Some(b"text/htmlx"), ..PAGE },
        AnswerHead { content_length: Some(999), ..PAGE },
        AnswerHead { status: 206, ..PAGE },
        AnswerHead { status: 204, ..PAGE },
        AnswerHead { status: 304, ..PAGE },
        AnswerHead { status: 101, ..PAGE },
        AnswerHead { is_made: true, ..PAGE },
        AnswerHead { no_transform: true, ..PAGE },
    ] {
        assert_eq!(verdict(&head, GZIP), Verdict::Leave, "{head:?}");
    }
}

#[test]
fn the_client_decides_and_the_answer_varies() {
    let zstd = Verdict::Encode(Coding::Zstd, Levels::default());
    assert_eq!(verdict(&PAGE, &[("accept-encoding", "gzip, zstd")]), zstd);
    assert_eq!(verdict(&PAGE, &[("accept-encoding", "gzip"), ("accept-encoding", "zstd")]), zstd);
    for sent in [
        &[][..],
        &[("accept-encoding", "br, identity")],
        &[("accept-encoding", "gzip;q=0")],
        &[("accept-encoding", "gzip"), ("cache-control", "max-age=0, No-Transform")],
    ] {
        assert_eq!(verdict(&PAGE, sent), Verdict::Vary, "{sent:?}");
    }
    let old = RequestView { headers: &Sent(GZIP), protocol: "HTTP/1.0", ..view() };
    assert_eq!(encoding().verdict(&PAGE, &old), Verdict::Vary);
}

#[test]
fn no_transform_is_a_whole_word() {
    for (value, expected) in [
        ("no-transform", true),
        ("max-age=1,NO-TRANSFORM ,x", true),
        ("no-transformx", false),
        ("x=\"no-transform\"", false),
        ("", false),
    ] {
        assert_eq!(says_no_transform(value.as_bytes()), expected, "{value}");
    }
}

#[test]
fn a_validator_becomes_weak_once() {
    for (etag, expected) in [("\"a\"", "W/\"a\""), ("W/\"a\"", "W/\"a\"")] {
        let mut out = Vec::new();
        weak(etag.as_bytes(), &mut out);
        assert_eq!(out, expected.as_bytes());
    }
}

#[test]
fn what_is_said_of_the_bytes_goes() {
    for name in ["Content-Length", "accept-ranges", "Digest", "content-digest"] {
        assert!(is_outdated(name.as_bytes()), "{name}");
    }
    assert!(!is_outdated(b"content-type") && !is_outdated(b"etag"));
}

#[test]
fn what_became_of_answers_is_counted() {
    let keep = crate::Keep::new(1);
    let encoding =
        Encoding { results: Some(keep.results_of("m", "compress", RESULTS)), ..encoding() };
    let levels = Levels::default();
    for (verdict, got) in [
        (Verdict::Encode(Coding::Zstd, levels), Some(Coding::Zstd)),
        (Verdict::Encode(Coding::Brotli, levels), Some(Coding::Brotli)),
        (Verdict::Encode(Coding::Gzip, levels), Some(Coding::Gzip)),
        (Verdict::Vary, None),
        (Verdict::Encode(Coding::Gzip, levels), None),
        (Verdict::Leave, None),
    ] {
        encoding.count(0, verdict, got);
    }
    let counts: Vec<_> = keep.results().iter().map(|one| (one.result, one.count)).collect();
    let words = ["zstd", "br", "gzip", "not_accepted", "busy", "unsuited"];
    assert_eq!(counts, words.map(|word| (word, 1)));
}
