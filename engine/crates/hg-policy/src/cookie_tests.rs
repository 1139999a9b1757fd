#![allow(clippy::unwrap_used, reason = "tests")]

use super::*;

const KEY: &str = "a-key-of-at-least-thirty-two-characters";

fn cookie(plan: &str) -> Cookie {
    Cookie::new(&serde_json::from_str(plan).unwrap(), &["split", "shop"])
}

fn written(of: &Cookie, token: Token, is_tls: bool) -> String {
    let mut out = Vec::new();
    of.write(token, is_tls, || 1_000, &mut out);
    String::from_utf8(out).unwrap()
}

fn pair(of: &Cookie, token: Token) -> String {
    written(of, token, false).split(';').next().unwrap().to_owned()
}

/// Returns what a line says; only the tokens below 100 are known.
fn named_in(of: &Cookie, line: &[u8], unix_s: impl Fn() -> u64) -> Named {
    let mut named = Named::Nothing;
    of.read(line, &mut named, unix_s, |token| token < 100);
    named
}

#[test]
fn what_is_no_token_is_forged() {
    let of = cookie(r#"{"cookie":"at"}"#);
    for line in
        ["at=", "at=1", "at=00000000000000000", "at=ABCDEFABCDEFABCD", "at=+000000000000000"]
    {
        assert_eq!(named_in(&of, line.as_bytes(), || 0), Named::Forged, "{line}");
    }
    for line in ["", "AT=0000000000000000", "b=0000000000000000"] {
        assert_eq!(named_in(&of, line.as_bytes(), || 0), Named::Nothing, "{line}");
    }
    assert_eq!(named_in(&of, b"at=\"0000000000000010\"", || 0), Named::Token(16));
}

#[test]
fn the_attributes_are_those_of_the_plan() {
    let of = cookie(r#"{"cookie":"at"}"#);
    assert!(written(&of, 1, false).ends_with("; Path=/; HttpOnly; SameSite=Lax"));
    assert!(written(&of, 1, true).ends_with("; SameSite=Lax; Secure"));
    let text = r#"{"cookie":"at","max_age_s":60,"path":"/x","http_only":false,"same_site":"none","secure":true}"#;
    let of = cookie(text);
    assert!(written(&of, 1, false).ends_with("; Path=/x; Max-Age=60; SameSite=None; Secure"));
}

#[test]
fn with_keys_only_signed_tokens_count() {
    let of = cookie(&format!(r#"{{"cookie":"at","keys":["{KEY}"]}}"#));
    let line = pair(&of, 7);
    assert_eq!(named_in(&of, line.as_bytes(), || u64::MAX), Named::Token(7));
    assert_eq!(named_in(&of, b"at=0000000000000007", || 0), Named::Forged, "an unsigned one");
}

#[test]
fn a_signed_token_ends_with_its_time() {
    let of = cookie(&format!(r#"{{"cookie":"at","max_age_s":60,"keys":["{KEY}"]}}"#));
    let line = pair(&of, 7);
    assert_eq!(named_in(&of, line.as_bytes(), || 1_059), Named::Token(7));
    assert_eq!(named_in(&of, line.as_bytes(), || 1_060), Named::Nothing);
}

#[test]
fn of_several_cookies_the_first_one_that_says_most_counts() {
    let of = cookie(&format!(r#"{{"cookie":"at","max_age_s":60,"keys":["{KEY}"]}}"#));
    let later = cookie(&format!(r#"{{"cookie":"at","keys":["{KEY}"]}}"#));
    let (old, forged) = (pair(&of, 1), "at=forged");
    let [gone, other_gone, known, other] = [500, 600, 7, 8].map(|token| pair(&later, token));
    for (pairs, named) in [
        ([&*old, forged, "x=1"], Named::Forged),
        ([forged, &*old, "x=1"], Named::Forged),
        ([&*gone, forged, &*other_gone], Named::Token(500)),
        ([forged, &*other_gone, &*gone], Named::Token(600)),
        ([&*gone, &*old, &*known], Named::Token(7)),
        ([forged, &*other, &*known], Named::Token(8)),
        ([&*known, &*other, &*gone], Named::Token(7)),
    ] {
        let line = pairs.join("; ");
        assert_eq!(named_in(&of, line.as_bytes(), || 2_000), named, "{line}");
        let mut over_lines = Named::Nothing;
        for line in pairs {
            of.read(line.as_bytes(), &mut over_lines, || 2_000, |token| token < 100);
        }
        assert_eq!(over_lines, named, "{pairs:?}");
    }
}

#[test]
fn a_line_of_endless_cookies_is_not_read_to_its_end() {
    let of = cookie(r#"{"cookie":"at"}"#);
    let line = |forged: usize| format!("{}at=0000000000000007", "at=x; ".repeat(forged));
    assert_eq!(named_in(&of, line(MOST - 1).as_bytes(), || 0), Named::Token(7));
    assert_eq!(named_in(&of, line(MOST).as_bytes(), || 0), Named::Forged);
}
