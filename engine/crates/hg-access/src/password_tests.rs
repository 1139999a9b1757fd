use super::{PasswordHash, Users, hash_argon2, hash_bcrypt};
use proptest::prelude::*;

fn bcrypt_of(password: &str) -> PasswordHash {
    PasswordHash::parse(&hash_bcrypt(password, 4, [7; 16]).unwrap()).unwrap()
}

#[test]
fn a_hash_fits_its_password_alone() {
    for text in
        [hash_bcrypt("secret", 4, [7; 16]).unwrap(), hash_argon2("secret", [7; 16]).unwrap()]
    {
        let hash = PasswordHash::parse(&text).unwrap();
        assert!(hash.verify("secret"), "{text}");
        assert!(!hash.verify("Secret") && !hash.verify("") && !hash.verify("secret "), "{text}");
    }
}

#[test]
fn published_hashes_are_verified() {
    // The test vectors of crypt_blowfish (Openwall) and of the reference implementation of argon2.
    for (password, text) in [
        ("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW"),
        ("U*U*U", "$2y$05$XXXXXXXXXXXXXXXXXXXXXOAcXxm9kjPGEMsLznoKqmqw7tc8WCx4a"),
        (
            "password",
            "$argon2id$v=19$m=65536,t=2,p=1$c29tZXNhbHQ$CTFhFdXPJO1aFaMaO6Mm5c8y7cJHAph8ArZWb2GRPPc",
        ),
        (
            "password",
            "$argon2i$v=19$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
        ),
    ] {
        let hash = PasswordHash::parse(text).unwrap();
        assert!(hash.verify(password), "{text}");
        assert!(!hash.verify("other"), "{text}");
    }
}

#[test]
fn weak_kinds_and_costly_ones_are_refused() {
    for text in [
        "secret",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "$apr1$salt$xxxxxxxx",
        "$6$salt$hash",
        "$2x$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2a$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2a$05$short",
        "$argon2id$v=16$m=256,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
        "$argon2id$v=19$m=4194304,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
        "$argon2id$v=19$m=256,t=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
        "$argon2id$v=19$m=256,t=2,p=2$c29tZXNhbHQ$AA",
        "$argon2id$v=19$m=1,t=2,p=2$c29tZXNhbHQ$T/XOJ2mh1/TIpJHfCdQan76Q5esCFVoT5MAeIM1Oq2E",
    ] {
        let message = PasswordHash::parse(text).unwrap_err();
        assert!(message.contains("bcrypt hash ($2b$"), "{text}: {message}");
        assert!(!message.contains("c29tZXNhbHQ") && !message.contains("CCCCC"), "{message}");
    }
}

#[test]
fn users_pass_with_their_own_password() {
    let users = Users::new([("alice".into(), bcrypt_of("one")), ("bob".into(), bcrypt_of("two"))]);
    assert_eq!(users.verify("alice", "one"), Some("alice"));
    assert_eq!(users.verify("alice", "two"), None);
    assert_eq!(users.verify("bob", "two"), Some("bob"));
}

#[test]
fn a_name_that_nobody_has_never_passes_even_with_a_password_of_a_user() {
    let users = Users::new([("alice".into(), bcrypt_of("one"))]);
    assert_eq!(users.verify("mallory", "one"), None);
    assert_eq!(Users::default().verify("alice", "one"), None);
}

#[test]
fn a_password_to_hash_is_not_cut() {
    assert!(hash_bcrypt(&"a".repeat(73), 4, [7; 16]).unwrap_err().contains("at most 72"));
    assert!(hash_bcrypt("", 4, [7; 16]).is_err() && hash_argon2("", [7; 16]).is_err());
}

#[test]
fn a_hash_is_not_shown() {
    assert_eq!(format!("{:?}", bcrypt_of("x")), "Bcrypt(…)");
}

proptest! {
    #[test]
    fn any_text_is_parsed_or_refused(text in "\\$?(2b|argon2id|6)?\\$?[a-zA-Z0-9$=,./+é]{0,80}") {
        let _ = PasswordHash::parse(&text);
    }
}
