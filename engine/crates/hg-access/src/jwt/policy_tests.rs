use super::{Policy, Refusal};
use crate::jwt::signing_tests::{Signer, secret, url};
use crate::{Claims, KeySet, MAX_TOKEN_BYTES};
use proptest::prelude::*;

const NOW: u64 = 1_000_000;

fn verify(policy: &Policy, token: &str) -> Result<Claims, Refusal> {
    policy.verify(token.as_bytes(), &KeySet::parse(&secret().set()).unwrap(), NOW)
}

fn refusal(policy: &Policy, payload: &str) -> Option<Refusal> {
    verify(policy, &secret().plain(payload)).err()
}

fn open() -> Policy {
    Policy { leeway_s: 60, ..Policy::default() }
}

#[test]
fn times_count_with_leeway() {
    for (payload, expected) in [
        (r#"{"exp":1000000}"#, None),
        (r#"{"exp":999941}"#, None),
        (r#"{"exp":999940}"#, Some(Refusal::Expired)),
        (r#"{"exp":999940.5}"#, None),
        (r#"{"nbf":1000060}"#, None),
        (r#"{"nbf":1000061}"#, Some(Refusal::NotYet)),
        (r#"{"exp":1e300}"#, None),
        (r#"{"exp":-1}"#, Some(Refusal::Expired)),
        (r#"{"exp":"1000000"}"#, Some(Refusal::Claim)),
        (r#"{"exp":null}"#, Some(Refusal::Claim)),
        (r#"{"nbf":[]}"#, Some(Refusal::Claim)),
    ] {
        assert_eq!(refusal(&open(), payload), expected, "{payload}");
    }
}

#[test]
fn issuer_and_audience_are_those_of_the_policy() {
    let policy = Policy {
        issuers: vec!["https://a.example".into()],
        audiences: vec!["shop".into(), "store".into()],
        ..open()
    };
    for (payload, expected) in [
        (r#"{"iss":"https://a.example","aud":"shop"}"#, None),
        (r#"{"iss":"https://a.example","aud":["x","store"]}"#, None),
        (r#"{"iss":"https://a.example/","aud":"shop"}"#, Some(Refusal::Issuer)),
        (r#"{"aud":"shop"}"#, Some(Refusal::Issuer)),
        (r#"{"iss":["https://a.example"],"aud":"shop"}"#, Some(Refusal::Issuer)),
        (r#"{"iss":"https://a.example"}"#, Some(Refusal::Audience)),
        (r#"{"iss":"https://a.example","aud":[]}"#, Some(Refusal::Audience)),
        (r#"{"iss":"https://a.example","aud":{"shop":1}}"#, Some(Refusal::Audience)),
    ] {
        assert_eq!(refusal(&policy, payload), expected, "{payload}");
    }
}

#[test]
fn claims_that_are_required_must_be_there_and_fit() {
    let policy = Policy {
        required: vec!["exp".into(), "/a/b".into()],
        allowed: vec![
            ("scope".into(), vec!["read".into()]),
            ("role".into(), vec!["ops".into(), "7".into()]),
        ],
        ..open()
    };
    for (rest, expected) in [
        (r#","a":{"b":1},"scope":"write read","role":"ops""#, None),
        (r#","a":{"b":1},"scope":"write read","role":["x",7]"#, None),
        (r#","a":{"b":null},"scope":"read","role":"ops""#, Some(Refusal::Claim)),
        (r#","scope":"read","role":"ops""#, Some(Refusal::Claim)),
        (r#","a":{"b":1},"scope":"reader","role":"ops""#, Some(Refusal::Forbidden)),
        (r#","a":{"b":1},"scope":"read","role":"x ops""#, Some(Refusal::Forbidden)),
        (r#","a":{"b":1},"scope":"read""#, Some(Refusal::Forbidden)),
    ] {
        assert_eq!(refusal(&policy, &format!(r#"{{"exp":2000000{rest}}}"#)), expected, "{rest}");
    }
}

fn with_header(header: &str) -> Result<Claims, Refusal> {
    verify(&open(), &secret().token(header, "{}"))
}

#[test]
fn odd_headers_are_refused_though_signed() {
    for (header, expected) in [
        (r#"{"alg":"HS256","crit":["exp"]}"#, Refusal::Critical),
        (r#"{"alg":"HS256","crit":[]}"#, Refusal::Critical),
        (r#"{"alg":"HS256","b64":false}"#, Refusal::Critical),
        (r#"{"alg":"HS256","alg":"HS256"}"#, Refusal::Malformed),
        (r#"{"alg":"HS256","kid":1}"#, Refusal::Malformed),
        (r#"{"alg":1}"#, Refusal::Malformed),
        (r#"{}"#, Refusal::Malformed),
        (r#"["HS256"]"#, Refusal::Malformed),
        (r#"{"alg":"HS256"} x"#, Refusal::Malformed),
        (r#"{"alg":"hs256"}"#, Refusal::Algorithm),
    ] {
        assert_eq!(with_header(header).unwrap_err(), expected, "{header}");
    }
    assert!(with_header(r#"{"typ":"at+jwt","jku":"http://e.example","alg":"HS256"}"#).is_ok());
}

#[test]
fn payloads_that_two_parsers_read_differently_are_refused() {
    assert_eq!(refusal(&open(), r#"{"sub":"a","sub":"b"}"#), Some(Refusal::Malformed));
    assert_eq!(refusal(&open(), "[]"), Some(Refusal::Malformed));
    assert_eq!(refusal(&open(), &"[".repeat(4000)), Some(Refusal::Malformed));
}

#[test]
fn a_token_has_one_text() {
    let token = secret().plain("{}");
    for altered in [
        format!("{token}="),
        format!("{token}."),
        format!(" {token}"),
        token.replace('.', ".."),
        token.replacen('.', "", 1),
        format!("{token}\n"),
        String::new(),
    ] {
        assert_eq!(verify(&open(), &altered).unwrap_err(), Refusal::Malformed, "{altered}");
    }
}

#[test]
fn long_tokens_are_not_looked_at() {
    assert_eq!(verify(&open(), &"a".repeat(MAX_TOKEN_BYTES + 1)).unwrap_err(), Refusal::TooLong);
}

fn altered(signer: &Signer, at: usize, by: u8) -> Option<String> {
    let mut bytes = signer.plain(r#"{"sub":"alice","exp":2000000}"#).into_bytes();
    let at = at % bytes.len();
    bytes[at] ^= by;
    String::from_utf8(bytes).ok()
}

proptest! {
    #[test]
    fn a_token_with_any_byte_altered_is_refused(at in any::<usize>(), by in 1u8..128) {
        if let Some(token) = altered(&secret(), at, by) {
            prop_assert!(verify(&open(), &token).is_err());
        }
    }

    #[test]
    fn any_bytes_are_refused(token in prop::collection::vec(any::<u8>(), 0..200)) {
        let keys = KeySet::parse(&secret().set()).unwrap();
        prop_assert!(open().verify(&token, &keys, NOW).is_err());
    }

    #[test]
    fn any_signed_json_is_judged(header in "\\{(\"(alg|kid|crit|b64)\":(\"HS256\"|1|\\[\\]|false),?){0,3}\\}", payload in "\\PC{0,80}") {
        let _ = verify(&open(), &secret().token(&header, &payload));
        let _ = url(payload);
    }
}
