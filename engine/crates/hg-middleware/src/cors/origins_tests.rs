use super::*;

fn allows(texts: &[&str], patterns: &[&str], origin: &str) -> bool {
    let owned = |texts: &[&str]| texts.iter().map(|t| (*t).to_owned()).collect::<Vec<_>>();
    let mut problems = Vec::new();
    let origins = Origins::compile(&owned(texts), &owned(patterns), &mut problems);
    assert_eq!(problems, []);
    origins.allow(origin.as_bytes())
}

#[test]
fn an_origin_is_compared_whole() {
    let only = ["https://app.example.com"];
    assert!(allows(&only, &[], "https://app.example.com"));
    for other in [
        "http://app.example.com",
        "https://app.example.com:8443",
        "https://app.example.com.evil.test",
        "https://app.example.com/",
        "https://evil.test/https://app.example.com",
        "https://APP.example.com",
        "null",
        "",
        "*",
    ] {
        assert!(!allows(&only, &[], other), "{other}");
    }
}

#[test]
fn a_star_stands_for_the_names_below_a_host() {
    let below = ["https://*.example.com"];
    assert!(allows(&below, &[], "https://a.example.com"));
    assert!(allows(&below, &[], "https://a.b-1.example.com"));
    for other in [
        "https://example.com",
        "https://.example.com",
        "https://evilexample.com",
        "https://a.example.com.evil.test",
        "https://a.example.com:8443",
        "http://a.example.com",
        "https://evil.test/.example.com",
        "https://evil.test:1.example.com",
        "https://user@evil.example.com",
        "https://a..example.com",
        "https://*.example.com",
    ] {
        assert!(!allows(&below, &[], other), "{other}");
    }
    assert!(allows(&["http://*.example.com:81"], &[], "http://a.example.com:81"));
}

#[test]
fn an_expression_matches_the_whole_origin() {
    let pattern = [r"https://(a|b)\.example\.com"];
    assert!(allows(&[], &pattern, "https://a.example.com"));
    assert!(!allows(&[], &pattern, "https://a.example.com.evil.test"));
    assert!(!allows(&[], &pattern, "xhttps://a.example.com"));
    assert!(!allows(&[], &["a|b"], "ab"));
}

#[test]
fn null_is_an_origin_that_has_to_be_named() {
    assert!(allows(&["null"], &[], "null"));
    assert!(!allows(&["https://*.example.com"], &[], "null"));
}

#[test]
fn everyone_is_everyone() {
    assert!(allows(&["*"], &[], "https://anywhere.test"));
}
