use crate::testing::{Got, Lived, chain, live, problem, run, view};
use crate::{Chain, Context, RequestView, Rewritten};
use hg_codec::{Bound, Coding, Readable};
use hg_route::Headers;

struct Sent(&'static str);

impl Headers for Sent {
    fn each(&self, name: &str, line: &mut dyn FnMut(&[u8])) {
        if name == "content-encoding" && !self.0.is_empty() {
            line(self.0.as_bytes());
        }
    }
}

fn coded(sent: &Sent) -> RequestView<'_> {
    RequestView { method: "POST", headers: sent, ..view() }
}

/// Returns how a chain has a body decoded.
fn decoding(chain: &Chain, coding: &'static str) -> Option<(Vec<Readable>, Bound)> {
    let mut random = || 0;
    let mut cx =
        Context { now_us: 1, unix_us: || 2, random: &mut random, worker: 0, accounts: None };
    let mut out = Rewritten::new();
    chain.begin(&coded(&Sent(coding)), &mut out, &mut cx).unwrap();
    let decoding = out.take_later()?.take_decoding()?;
    Some((decoding.codings.iter().collect(), decoding.bound))
}

#[test]
fn the_defaults_decode_what_we_can_read() {
    let chain = chain(&[r#"{"decompress":{}}"#]);
    let bound = Bound { bytes: 16 << 20, ratio: 100 };
    for coding in Readable::ALL {
        assert_eq!(decoding(&chain, coding.token()), Some((vec![coding], bound)));
    }
    assert_eq!(decoding(&chain, ""), None);
    assert_eq!(decoding(&chain, "identity"), None);
}

#[test]
fn other_codings_are_refused_with_those_that_are_taken() {
    let chain = chain(&[r#"{"decompress":{"codings":["gzip","br","gzip"]}}"#]);
    for sent in ["zstd", "compress", "gzip, br", "gzip, gzip"] {
        let Ok(Got::Answer(415, headers, body)) = run(&chain, &coded(&Sent(sent))) else {
            panic!("{sent}");
        };
        assert!(headers.ends_with("\r\naccept-encoding: gzip, br\r\n"), "{headers}");
        assert!(headers.contains("\r\nproxy-status: headgate; error=http_request_denied; "));
        assert!(body.starts_with("415 Unsupported Media Type\n"), "{body}");
        assert_eq!(live(&chain, &coded(&Sent(sent)), &[]), [Lived::Answered(415)]);
    }
}

#[test]
fn several_codings_are_taken_where_that_is_said() {
    let chain = chain(&[r#"{"decompress":{"layers":2,"codings":["gzip","br"]}}"#]);
    let both = vec![Coding::Gzip.into(), Coding::Brotli.into()];
    let bound = Bound { bytes: 16 << 20, ratio: 100 };
    assert_eq!(decoding(&chain, "gzip, br"), Some((both, bound)));
    for sent in ["gzip, gzip, gzip", "gzip, zstd", "zstd, gzip"] {
        let got = run(&chain, &coded(&Sent(sent)));
        assert!(matches!(got, Ok(Got::Answer(415, ..))), "{sent}");
    }
}

#[test]
fn other_codings_may_pass_as_they_are() {
    let chain = chain(&[r#"{"decompress":{"unsupported":"pass"}}"#]);
    for sent in ["compress", "gzip, br"] {
        assert_eq!(run(&chain, &coded(&Sent(sent))), Ok(Got::Forward(None, None)), "{sent}");
        assert_eq!(decoding(&chain, sent), None);
    }
}

#[test]
fn the_last_one_of_a_chain_counts() {
    let chain = chain(&[
        r#"{"decompress":{"limit_bytes":1}}"#,
        r#"{"decompress":{"limit_bytes":2,"ratio":3}}"#,
    ]);
    let bound = Bound { bytes: 2, ratio: 3 };
    assert_eq!(decoding(&chain, "gzip"), Some((vec![Coding::Gzip.into()], bound)));
}

#[test]
fn mistakes_are_explained() {
    for (json, message) in [
        (
            r#"{"decompress":{"codings":[]}}"#,
            "decompress.codings: there is none; write zstd, br, gzip or deflate",
        ),
        (
            r#"{"decompress":{"codings":["compress"]}}"#,
            "decompress.codings[0]: `compress` is not a coding; write zstd, br, gzip or deflate",
        ),
        (
            r#"{"decompress":{"limit_bytes":0}}"#,
            "decompress.limit_bytes: 0 leaves no room; write 1 or more",
        ),
        (r#"{"decompress":{"ratio":0}}"#, "decompress.ratio: 0 leaves no room; write 1 or more"),
        (
            r#"{"decompress":{"layers":0}}"#,
            "decompress.layers: 0 is not a number of codings; write 1 to 3",
        ),
        (
            r#"{"decompress":{"layers":4}}"#,
            "decompress.layers: 4 is not a number of codings; write 1 to 3",
        ),
    ] {
        assert_eq!(problem(json), format!("middlewares[0].{message}"));
    }
}
