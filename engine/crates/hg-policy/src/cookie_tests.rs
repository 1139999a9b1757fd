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

#[test]
fn what_is_no_token_is_forged() {
    let of = cookie(r#"{"cookie":"at"}"#);
    for line in
        ["at=", "at=1", "at=00000000000000000", "at=ABCDEFABCDEFABCD", "at=+000000000000000"]
    {
        assert_eq!(of.named_in(line.as_bytes(), || 0), Named::Forged, "{line}");
    }
    for line in ["", "AT=0000000000000000", "b=0000000000000000"] {
        assert_eq!(of.named_in(line.as_bytes(), || 0), Named::Nothing, "{line}");
    }
    assert_eq!(of.named_in(b"at=\"0000000000000010\"", || 0), Named::Token(16));
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
    assert_eq!(of.named_in(line.as_bytes(), || u64::MAX), Named::Token(7));
    assert_eq!(of.named_in(b"at=0000000000000007", || 0), Named::Forged, "an unsigned one");
}

#[test]
fn a_signed_token_ends_with_its_time() {
    let of = cookie(&format!(r#"{{"cookie":"at","max_age_s":60,"keys":["{KEY}"]}}"#));
    let line = pair(&of, 7);
    assert_eq!(of.named_in(line.as_bytes(), || 1_059), Named::Token(7));
    assert_eq!(of.named_in(line.as_bytes(), || 1_060), Named::Nothing);
}
