use super::*;
use crate::testing::used;
use hg_plan::MiddlewareUse;

#[test]
fn what_a_chain_names_is_found_and_each_claim_once() {
    let mut wanted = Wanted::default();
    for json in [
        r#"{"request_headers":{"set":{"a":"${jwt:sub}-${jwt:/a/b}","b":"${host}"}}}"#,
        r#"{"rate_limit":{"key":["jwt:sub","header:jwt"]}}"#,
        r#"{"jwt":{"keys":"{}"}}"#,
    ] {
        let MiddlewareUse::Inline(middleware) = used(json) else { panic!("{json}") };
        wanted.of(&middleware);
    }
    let kept = wanted.and(&["team", "sub", "team"].map(Box::from));
    assert_eq!(*kept.names, ["/a/b", "sub", "team"].map(Box::from));
    assert_eq!(kept.needed, 2);
}

#[test]
fn a_claim_is_found_by_its_name() {
    let values = [Some("header"), Some("joe"), None].map(|value| value.map(Box::from));
    let claims = Claims::new(&["sub", "team"].map(Box::from).into(), &values.into());
    assert_eq!(["sub", "team", "iss"].map(|name| claims.get(name)), ["joe", "", ""]);
}
