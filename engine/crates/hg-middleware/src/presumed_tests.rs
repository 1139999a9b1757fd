use super::*;
use crate::claims::Claims;

#[test]
fn a_claim_has_a_word_that_passes_everywhere() {
    assert_eq!(&*of_claim("sub"), "JWT-SUB");
    assert_eq!(&*of_claim("https://a.example/role"), "JWT-HTTPS---A-EXAMPLE-ROLE");
}

#[test]
fn only_words_that_the_text_has_are_told() {
    let mut out = Rewritten::new();
    assert_eq!(presumed_in("/JWT-SUB/REQUEST-ID", &out).len(), 1);
    out.later().claims = Some(Claims::presumed(&["sub", "team"].map(Box::from).into()));
    let told = |text| presumed_in(text, &out).into_iter().map(|(_, of)| of).collect::<Vec<_>>();
    assert_eq!(told("/JWT-SUB/x"), ["${jwt:sub}"]);
    assert_eq!(told("JWT-TEAM.example"), ["${jwt:team}"]);
    assert_eq!(told("/REQUEST-ID"), ["${request_id}"]);
    assert_eq!(told("TLS-SNI TLS-VERSION"), ["${sni}", "${tls_version}"]);
    assert_eq!(told("x: BASIC-AUTH-USER"), ["the name of the user"]);
    assert_eq!(told("/request-id/x-request-id: 1"), [""; 0]);
}
