use super::Claims;
use crate::Refusal;

fn claims(text: &str) -> Claims {
    Claims::parse(text.as_bytes()).unwrap()
}

#[test]
fn a_claim_is_one_line_of_text() {
    let claims = claims(
        r#"{"sub":"alice","n":7,"admin":true,"roles":["a","b",3],"none":[],"null":null,
        "deep":{"roles":["x"],"a/b":"slash"},"https://a.example/role":"ops","name":"Zoë"}"#,
    );
    for (name, expected) in [
        ("sub", Some("alice")),
        ("n", Some("7")),
        ("admin", Some("true")),
        ("roles", Some("a,b,3")),
        ("none", Some("")),
        ("null", None),
        ("missing", None),
        ("/deep/roles", Some("x")),
        ("/deep/a~1b", Some("slash")),
        ("/deep/missing/x", None),
        ("https://a.example/role", Some("ops")),
        ("name", Some("Zoë")),
    ] {
        assert_eq!(claims.line(name), Ok(expected.map(str::to_owned)), "{name}");
    }
}

#[test]
fn what_is_no_line_is_refused() {
    let long = format!(r#"{{"a":"{}"}}"#, "x".repeat(4097));
    for text in [
        r#"{"a":{"b":1}}"#,
        r#"{"a":["x,y"]}"#,
        r#"{"a":[["x"]]}"#,
        r#"{"a":[null]}"#,
        r#"{"a":"x\r\nset-cookie: y"}"#,
        r#"{"a":"\u0000"}"#,
        r#"{"a":"\u007f"}"#,
        &long,
    ] {
        assert_eq!(claims(text).line("a"), Err(Refusal::Unprintable), "{text}");
    }
}

#[test]
fn the_end_is_in_whole_seconds() {
    assert_eq!(claims(r#"{"exp":12.9}"#).expires_s(), Some(12));
    assert_eq!(claims(r#"{"exp":-5}"#).expires_s(), Some(0));
    assert_eq!(claims("{}").expires_s(), None);
}
