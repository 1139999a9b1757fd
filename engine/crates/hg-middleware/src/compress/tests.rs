use crate::encoding::{AnswerHead, Verdict};
use crate::testing::{chain, compile, problem, view};
use hg_codec::Coding;

fn offered(uses: &[&str]) -> Vec<Coding> {
    chain(uses).encoding().unwrap().offered.to_vec()
}

#[test]
fn without_it_nothing_is_encoded() {
    assert!(chain(&[]).encoding().is_none());
    assert!(chain(&[r#"{"respond":{"status":204}}"#]).encoding().is_none());
}

#[test]
fn the_defaults_are_for_texts() {
    assert_eq!(offered(&[r#"{"compress":{}}"#]), [Coding::Zstd, Coding::Brotli, Coding::Gzip]);
    let chain = chain(&[r#"{"compress":{}}"#]);
    assert!(!chain.is_empty());
    let text = AnswerHead { status: 200, content_type: Some(b"text/css"), ..AnswerHead::default() };
    let verdict = |head: &AnswerHead<'_>| chain.encoding().unwrap().verdict(head, &view());
    assert_eq!(verdict(&text), Verdict::Vary);
    assert_eq!(verdict(&AnswerHead { content_length: Some(1023), ..text }), Verdict::Leave);
    assert_eq!(verdict(&AnswerHead { content_type: Some(b"image/png"), ..text }), Verdict::Leave);
}

#[test]
fn the_one_that_is_nearest_to_the_route_counts() {
    let uses = [r#"{"compress":{"codings":["br"]}}"#, r#"{"compress":{"codings":["gzip"]}}"#];
    assert_eq!(offered(&uses), [Coding::Gzip]);
    assert_eq!(
        offered(&[r#"{"compress":{"codings":["gzip","br","gzip"]}}"#]),
        [Coding::Gzip, Coding::Brotli]
    );
}

#[test]
fn one_behind_an_answer_is_never_reached() {
    let compiled = compile(&[r#"{"respond":{"status":204}}"#, r#"{"compress":{}}"#], None);
    assert!(compiled.unwrap().encoding().is_none());
}

#[test]
fn mistakes_are_explained() {
    for (json, message) in [
        (r#"{"compress":{"codings":[]}}"#, "codings: there is none; write zstd, br or gzip"),
        (
            r#"{"compress":{"codings":["deflate"]}}"#,
            "codings[0]: `deflate` is not a coding; write zstd, br or gzip",
        ),
        (
            r#"{"compress":{"types":["text/*x y"]}}"#,
            "types[0]: `text/*x y` is not a type; write one such as `text/html`",
        ),
        (r#"{"compress":{"gzip_level":0}}"#, "gzip_level: 0 is not a level; write 1 to 9"),
        (r#"{"compress":{"zstd_level":13}}"#, "zstd_level: 13 is not a level; write 1 to 12"),
        (r#"{"compress":{"brotli_level":10}}"#, "brotli_level: 10 is not a level; write 0 to 9"),
    ] {
        assert_eq!(problem(json), format!("middlewares[0].compress.{message}"));
    }
}
