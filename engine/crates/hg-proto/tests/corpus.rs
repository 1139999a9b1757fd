//! Replays `tests/corpus` against the parser: every case must get the result in its line, whole and
//! in two pieces.

#![allow(clippy::expect_used, clippy::indexing_slicing)]

use hg_proto::{
    Admission, BodyReader, Framing, HeaderSlots, Limits, Method, Parse, Reject, RespFraming,
    parse_request, parse_response, websocket,
};
use serde_json::Value;

fn load(name: &str) -> Vec<Value> {
    let path = format!("{}/../../../tests/corpus/{name}", env!("CARGO_MANIFEST_DIR"));
    let text = std::fs::read_to_string(path).expect("the corpus is there");
    text.lines().map(|line| serde_json::from_str(line).expect("a JSON object a line")).collect()
}

/// Turns each code point into one byte.
fn latin1(text: &str) -> Vec<u8> {
    text.chars().map(|c| u8::try_from(u32::from(c)).expect("a byte")).collect()
}

fn input(case: &Value) -> Vec<u8> {
    let parts = case["input"].as_array().expect("parts");
    let part = |p: &Value| match p.as_str() {
        Some(text) => latin1(text),
        None => {
            let times = usize::try_from(p["times"].as_u64().expect("times")).expect("small");
            latin1(p["text"].as_str().expect("text")).repeat(times)
        }
    };
    parts.iter().flat_map(part).collect()
}

/// The result of one input.
#[derive(Debug, PartialEq)]
struct Outcome {
    accepted: Vec<Message>,
    refusal: Option<(u16, &'static str, &'static str)>,
}

#[derive(Debug, Default, PartialEq)]
struct Message {
    start: String,
    host: String,
    framing: String,
    keep_alive: bool,
    interim: bool,
    kept: Vec<String>,
    dropped: Vec<String>,
    body: Vec<u8>,
    trailers: Vec<u8>,
}

enum Step {
    /// The input began with a message, which used so many bytes.
    Took(Message, usize),
    Refused(Reject, &'static str),
    /// More bytes are needed.
    Partial,
}

/// Feeds a body that follows a head; `cut_is_fault` says what the end of the input means.
fn body(
    reader: &mut BodyReader,
    rest: &[u8],
    message: &mut Message,
) -> Result<Option<usize>, Reject> {
    let mut copy = rest.to_vec();
    let fed = reader.feed(&mut copy)?;
    message.body = copy[..fed.data_len].to_vec();
    message.trailers = reader.trailers().to_vec();
    let over = fed.done || matches!(reader, BodyReader::UntilClose);
    Ok(over.then_some(fed.consumed))
}

fn request(rest: &[u8]) -> Step {
    let mut slots = HeaderSlots::new();
    let head = match parse_request(rest, &mut slots, &Limits::default(), Admission::MOST) {
        Ok(Parse::Complete(head)) => head,
        Ok(Parse::Partial) => return Step::Partial,
        Err(reject) => return Step::Refused(reject, "head"),
    };
    if head.connection.upgrade_websocket
        && let Err(reject) = websocket::check_request(&head)
    {
        return Step::Refused(reject, "upgrade");
    }
    let names = |hop: bool| {
        let these = head.fields.iter().filter(move |f| f.hop == hop);
        these.map(|f| f.name.to_ascii_lowercase()).collect()
    };
    let query = head.query.map(|q| format!("?{q}")).unwrap_or_default();
    let mut message = Message {
        start: format!("{} {}{query}", head.method.as_str(), head.path),
        host: head.host.into(),
        framing: match head.framing {
            Framing::None => "none".into(),
            Framing::Length(n) => format!("length:{n}"),
            Framing::Chunked => "chunked".into(),
        },
        keep_alive: head.connection.keep_alive,
        kept: names(false),
        dropped: names(true),
        ..Message::default()
    };
    match body(&mut head.framing.into(), &rest[head.head_len..], &mut message) {
        Ok(Some(used)) => Step::Took(message, head.head_len + used),
        Ok(None) => Step::Partial,
        Err(reject) => Step::Refused(reject, "body"),
    }
}

fn response(rest: &[u8], method: Method<'_>) -> Step {
    let mut slots = HeaderSlots::new();
    let head = match parse_response(rest, &mut slots, &Limits::default(), method) {
        Ok(Parse::Complete(head)) => head,
        Ok(Parse::Partial) => return Step::Partial,
        Err(reject) => return Step::Refused(reject, "head"),
    };
    let mut message = Message {
        start: head.status.to_string(),
        framing: match head.framing {
            RespFraming::NoBody => "none".into(),
            RespFraming::Length(n) => format!("length:{n}"),
            RespFraming::Chunked => "chunked".into(),
            RespFraming::UntilClose => "close".into(),
        },
        keep_alive: head.keep_alive || head.is_interim,
        interim: head.is_interim,
        ..Message::default()
    };
    let mut reader = BodyReader::from(head.framing);
    match body(&mut reader, &rest[head.head_len..], &mut message) {
        Ok(Some(used)) => Step::Took(message, head.head_len + used),
        Ok(None) => match reader.eof() {
            Ok(()) => Step::Partial,
            Err(reject) => Step::Refused(reject.in_response(), "body"),
        },
        Err(reject) => Step::Refused(reject.in_response(), "body"),
    }
}

/// Returns all messages of an input; a response ends with its first final one.
fn run(bytes: &[u8], method: Option<Method<'_>>) -> Outcome {
    let mut outcome = Outcome { accepted: Vec::new(), refusal: None };
    let mut at = 0;
    while at < bytes.len() {
        let rest = &bytes[at..];
        match method.map_or_else(|| request(rest), |m| response(rest, m)) {
            Step::Partial => break,
            Step::Refused(reject, layer) => {
                outcome.refusal = Some((reject.status, reject.code, layer));
                break;
            }
            Step::Took(message, used) => {
                at += used;
                let last = method.is_some() && !message.interim;
                outcome.accepted.push(message);
                if last {
                    break;
                }
            }
        }
    }
    outcome
}

fn check_message(id: &str, expected: &Value, got: &Message) {
    let text = |key: &str| expected[key].as_str().unwrap_or_default();
    let start = match expected["status"].as_u64() {
        Some(status) => status.to_string(),
        None => format!("{} {}", text("method"), text("target")),
    };
    assert_eq!(got.start, start, "{id}");
    assert_eq!(got.host, text("host"), "{id}");
    assert_eq!(got.framing, text("framing"), "{id}");
    assert_eq!(got.body, latin1(text("body")), "{id}");
    assert_eq!(Value::from(got.keep_alive), expected["keep_alive"], "{id}");
    assert_eq!(got.interim, expected["interim"].as_bool().unwrap_or_default(), "{id}");
    if let Some(trailers) = expected["trailers"].as_str() {
        assert_eq!(got.trailers, latin1(trailers), "{id}");
    }
    for (key, names) in [("kept", &got.kept), ("dropped", &got.dropped)] {
        for name in expected[key].as_array().into_iter().flatten() {
            assert!(names.iter().any(|n| name == n.as_str()), "{id}: {name} {key}");
        }
    }
}

fn check(case: &Value, method: Option<Method<'_>>) {
    let id = case["id"].as_str().expect("an id");
    let bytes = input(case);
    let got = run(&bytes, method);
    let accepts = case["accepts"].as_array().map_or(&[][..], Vec::as_slice);
    assert_eq!(got.accepted.len(), accepts.len(), "{id}: {got:?}");
    for (expected, message) in accepts.iter().zip(&got.accepted) {
        check_message(id, expected, message);
    }
    let refusal = &case["refusal"];
    match got.refusal {
        Some((status, code, layer)) => {
            assert_eq!(refusal["code"], code, "{id}");
            assert_eq!(refusal["status"], status, "{id}");
            assert_eq!(refusal["layer"], layer, "{id}");
        }
        None => assert!(refusal.is_null() || refusal["layer"] == "path", "{id}: taken"),
    }
    for at in [1, 7, bytes.len() / 2, bytes.len().saturating_sub(1)] {
        let part = run(&bytes[..at.min(bytes.len())], method);
        let known = part.accepted.len().min(got.accepted.len());
        assert!(part.accepted.len() <= got.accepted.len(), "{id} at {at}");
        // A body that lasts to the close grows with more bytes; everything else is final.
        if part.accepted.iter().all(|m| m.framing != "close") {
            assert_eq!(part.accepted[..known], got.accepted[..known], "{id} at {at}");
        }
        let incomplete = matches!(part.refusal, Some((_, "response-incomplete", _)));
        assert!(
            part.refusal.is_none() || incomplete || part.refusal == got.refusal,
            "{id} at {at}"
        );
    }
}

/// Checks every case and names all that fail.
fn check_all(
    cases: &[Value],
    method: impl Fn(&Value) -> Option<Method<'_>> + std::panic::RefUnwindSafe,
) {
    let fails = |case: &&Value| std::panic::catch_unwind(|| check(case, method(case))).is_err();
    let failed: Vec<_> = cases.iter().filter(fails).map(|case| case["id"].as_str()).collect();
    assert!(failed.is_empty(), "{} of {}: {failed:?}", failed.len(), cases.len());
}

#[test]
fn every_request_gets_what_the_corpus_says() {
    let cases = load("requests.jsonl");
    assert!(cases.len() >= 500);
    check_all(&cases, |_| None);
}

#[test]
fn every_response_gets_what_the_corpus_says() {
    check_all(&load("responses.jsonl"), |case| case["method"].as_str().map(Method::of));
}

#[test]
fn the_corpus_reaches_every_refusal() {
    let all: Vec<Value> =
        [load("requests.jsonl"), load("responses.jsonl")].into_iter().flatten().collect();
    for reject in hg_proto::rejects::ALL {
        // Cases that depend on the connection and not on the bytes of one message: a body that ends
        // early, an answer to an upgrade, the number of interim answers.
        let by_connection =
            matches!(reject.code, "body-incomplete" | "response-upgrade" | "response-interim");
        let reached = all.iter().any(|case| case["refusal"]["code"] == reject.code);
        assert!(reached || by_connection, "no case for {}", reject.code);
    }
}
