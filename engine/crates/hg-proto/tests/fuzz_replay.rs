//! The fuzz targets' checks on a stable toolchain: every seed of every target, the malformed
//! message corpus, and mutations of both. `make fuzz` runs the same checks under libFuzzer.

#![allow(clippy::expect_used, clippy::panic, clippy::indexing_slicing, missing_docs)]

#[path = "../../../../fuzz/src/lib.rs"]
mod checks;

use checks::{Check, TARGETS};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use std::fs;
use std::path::PathBuf;

/// Longest seed that is mutated; longer ones are only replayed.
const MAX_MUTATED_BYTES: usize = 4096;

/// What mutations insert: words that mean something to one of the targets.
const WORDS: [&str; 32] = [
    "\r\n",
    "\n",
    "\r",
    "\r\n\r\n",
    " ",
    "\t",
    ":",
    ";",
    ",",
    "\0",
    "\u{7f}",
    "Content-Length: 5\r\n",
    "Transfer-Encoding: chunked\r\n",
    "Host: b\r\n",
    "Connection: close, x\r\n",
    "chunked",
    "0\r\n\r\n",
    "ffffffffffffffff",
    "HTTP/1.0",
    "HTTP/2.0",
    "%2F",
    "%2e",
    "..",
    "//",
    "#",
    "[",
    "{",
    "\"",
    "*x",
    "&x ",
    "null",
    "18446744073709551616",
];

fn root() -> PathBuf {
    PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../.."))
}

/// Returns the inputs of the message corpus, one code point per byte.
fn messages(file: &str) -> Vec<Vec<u8>> {
    let text = fs::read_to_string(root().join("tests/corpus").join(file)).expect("the corpus");
    let bytes = |text: &str| text.chars().map(|c| c as u8).collect::<Vec<u8>>();
    let part = |part: &serde_json::Value| match part.as_str() {
        Some(text) => bytes(text),
        None => {
            let times = part["times"].as_u64().unwrap_or_default();
            bytes(part["text"].as_str().unwrap_or_default()).repeat(times as usize)
        }
    };
    let input = |line: &str| {
        let case: serde_json::Value = serde_json::from_str(line).expect("a JSON object a line");
        case["input"].as_array().into_iter().flatten().flat_map(part).collect()
    };
    text.lines().map(input).collect()
}

fn seeds(target: &str) -> Vec<Vec<u8>> {
    let files = fs::read_dir(root().join("fuzz/corpus").join(target)).expect("seeds");
    let mut paths: Vec<_> = files.map(|f| f.expect("a file").path()).collect();
    paths.sort();
    let mut seeds: Vec<_> = paths.iter().map(|p| fs::read(p).expect("readable")).collect();
    match target {
        "request_head" | "h2_forward" => seeds.extend(messages("requests.jsonl")),
        "response_head" => seeds.extend(messages("responses.jsonl")),
        _ => {}
    }
    seeds
}

#[derive(Clone, Debug)]
enum Mutation {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, &'static str),
    Delete(prop::sample::Index, u8),
    Repeat(prop::sample::Index, u8),
    Splice(prop::sample::Index, prop::sample::Index),
}

fn mutation() -> impl Strategy<Value = Mutation> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        (at(), 1u8..=255).prop_map(|(at, mask)| Mutation::Flip(at, mask)),
        (at(), prop::sample::select(&WORDS[..])).prop_map(|(at, w)| Mutation::Insert(at, w)),
        (at(), 1u8..20).prop_map(|(at, n)| Mutation::Delete(at, n)),
        (at(), 1u8..40).prop_map(|(at, n)| Mutation::Repeat(at, n)),
        (at(), at()).prop_map(|(at, other)| Mutation::Splice(at, other)),
    ]
}

fn mutate(mut data: Vec<u8>, mutations: &[Mutation], seeds: &[Vec<u8>]) -> Vec<u8> {
    for mutation in mutations {
        let place = |at: &prop::sample::Index| at.index(data.len() + 1);
        match mutation {
            Mutation::Flip(at, mask) => {
                let at = at.index(data.len().max(1));
                if let Some(byte) = data.get_mut(at) {
                    *byte ^= mask;
                }
            }
            Mutation::Insert(at, word) => {
                let at = place(at);
                data.splice(at..at, word.bytes());
            }
            Mutation::Delete(at, n) => {
                let at = place(at);
                let end = (at + usize::from(*n)).min(data.len());
                data.drain(at..end);
            }
            Mutation::Repeat(at, n) => {
                let at = place(at);
                let end = (at + usize::from(*n)).min(data.len());
                let again = data[at..end].to_vec();
                data.splice(at..at, again);
            }
            Mutation::Splice(at, other) => {
                let at = place(at);
                data.truncate(at);
                let other = other.get(seeds);
                data.extend_from_slice(&other[at.min(other.len())..]);
            }
        }
    }
    data
}

/// Replays every seed of a target, then so many mutations.
fn replay(target: &str, mutations: u32) {
    let check: Check =
        TARGETS.iter().find(|(name, _)| *name == target).map(|(_, c)| *c).expect("a target");
    let seeds = seeds(target);
    assert!(seeds.len() >= 20, "{target} has {} seeds", seeds.len());
    seeds.iter().for_each(|seed| check(seed));
    let short: Vec<_> = seeds.iter().filter(|s| s.len() <= MAX_MUTATED_BYTES).cloned().collect();
    let inputs = (prop::sample::select(short.clone()), prop::collection::vec(mutation(), 1..6));
    let config =
        ProptestConfig { cases: mutations, failure_persistence: None, ..ProptestConfig::default() };
    let outcome = TestRunner::new(config).run(&inputs, |(seed, mutations)| {
        check(&mutate(seed, &mutations, &short));
        Ok(())
    });
    if let Err(failure) = outcome {
        panic!("{target}: {failure}");
    }
}

#[test]
fn request_heads_hold_on_mutations() {
    replay("request_head", 4000);
}

#[test]
fn response_heads_hold_on_mutations() {
    replay("response_head", 4000);
}

#[test]
fn chunked_bodies_hold_on_mutations() {
    replay("chunked", 10_000);
}

#[test]
fn codings_hold_on_mutations() {
    replay("codings", 1500);
}

#[test]
fn config_texts_hold_on_mutations() {
    replay("text", 3000);
}

#[test]
fn plan_objects_hold_on_mutations() {
    replay("plan", 1500);
}

#[test]
fn paths_hold_on_mutations() {
    replay("path", 6000);
}

#[test]
fn tls_hellos_hold_on_mutations() {
    replay("tls_hello", 6000);
}

#[test]
fn quic_initials_hold_on_mutations() {
    replay("quic_initials", 2000);
}

#[test]
fn proxy_headers_hold_on_mutations() {
    replay("proxy_header", 10_000);
}

#[test]
fn http2_sessions_hold_on_mutations() {
    replay("h2_session", 6000);
}

#[test]
fn http2_blocks_hold_on_mutations() {
    replay("h2_block", 10_000);
}

#[test]
fn heads_for_http2_hold_on_mutations() {
    replay("h2_forward", 3000);
}

#[test]
fn credentials_hold_on_mutations() {
    replay("credentials", 6000);
}

#[test]
fn tokens_hold_on_mutations() {
    replay("token", 3000);
}
