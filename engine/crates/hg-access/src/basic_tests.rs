use super::{Credentials, basic_credentials};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use proptest::prelude::*;

fn pair(user: &str, password: &str) -> Option<(String, String)> {
    Some((user.into(), password.into()))
}

fn read(value: &str) -> Option<(String, String)> {
    basic_credentials(value.as_bytes()).map(|Credentials { user, password }| (user, password))
}

fn encoded(text: &[u8]) -> String {
    format!("Basic {}", STANDARD.encode(text))
}

#[test]
fn the_examples_of_the_rfc_are_read() {
    let aladdin = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";
    assert_eq!(read(aladdin), pair("Aladdin", "open sesame"));
    assert_eq!(read("basic dGVzdDoxMjPCow=="), pair("test", "123£"));
}

#[test]
fn a_password_may_have_colons_and_may_be_empty() {
    assert_eq!(read(&encoded(b"a:b:c")), pair("a", "b:c"));
    assert_eq!(read(&encoded(b"a:")), pair("a", ""));
}

#[test]
fn what_is_no_credential_is_none() {
    for value in [
        "",
        "Basic",
        "Basic ",
        "Bearer QWxhZGRpbjpvcGVuIHNlc2FtZQ==",
        "Basic QWxhZGRpbjpvcGVuIHNlc2FtZR==",
        "Basic QWxh ZGRpbjpv",
        "Basic !!!!",
    ] {
        assert_eq!(read(value), None, "{value}");
    }
    for text in [&b"noColon"[..], b":nameless", b"a\0b:c", b"a:b\n", b"\xff:a", b"a:\xff"] {
        assert_eq!(read(&encoded(text)), None, "{text:?}");
    }
}

#[test]
fn long_values_are_refused_before_they_are_decoded() {
    assert_eq!(read(&encoded(&[b'a'; 10_000])), None);
    assert_eq!(read(&encoded(format!("{}:b", "a".repeat(257)).as_bytes())), None);
    assert_eq!(read(&encoded(format!("a:{}", "b".repeat(1025)).as_bytes())), None);
}

proptest! {
    #[test]
    fn any_value_is_read_or_refused(value in prop::collection::vec(any::<u8>(), 0..256)) {
        basic_credentials(&value);
    }

    #[test]
    fn what_a_client_encodes_is_read_back(user in "[^:\\p{Cc}]{1,40}", password in "\\P{Cc}{0,60}") {
        let value = encoded(format!("{user}:{password}").as_bytes());
        prop_assert_eq!(read(&value), pair(&user, &password));
    }
}
