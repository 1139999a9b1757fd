use super::KeySet;
use crate::jwt::signing_tests::{all, edwards, secret, url};
use crate::{Policy, Refusal};
use proptest::prelude::*;

fn verdict(set: &str, token: &str) -> Result<(), Refusal> {
    let keys = KeySet::parse(set).unwrap();
    Policy::default().verify(token.as_bytes(), &keys, 0).map(|_| ())
}

fn wrong(set: &str) -> String {
    let (path, message) = KeySet::parse(set).unwrap_err();
    format!("{path}: {message}")
}

/// Examples of RFC 7515 (appendix A.1 to A.4) and RFC 8037 (A.4): keys, token, and what comes of it;
/// payloads that are no JSON are refused after their signature was found right.
const PUBLISHED: [(&str, &str, Result<(), Refusal>); 5] = [
    (
        r#"{"keys":[{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}]}"#,
        "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
        Ok(()),
    ),
    (
        r#"{"keys":[{"kty":"RSA","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ","e":"AQAB"}]}"#,
        "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZcAcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOkHWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
        Ok(()),
    ),
    (
        r#"{"keys":[{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}"#,
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
        Ok(()),
    ),
    (
        r#"{"keys":[{"kty":"EC","crv":"P-521","x":"AekpBQ8ST8a8VcfVOTNl353vSrDCLLJXmPk06wTjxrrjcBpXp5EOnYG_NjFZ6OvLFV1jSfS9tsz4qUxcWceqwQGk","y":"ADSmRA43Z1DSNx_RvcLI87cdL07l6jQyyBXMoxVg_l2Th-x3S1WDhjDly79ajL4Kkd0AZMaZmh9ubmf63e3kyMj2"}]}"#,
        "eyJhbGciOiJFUzUxMiJ9.UGF5bG9hZA.AdwMgeerwtHoh-l192l60hp9wAHZFVJbLfD_UxMi70cwnZOYaRI1bKPWROc-mZZqwqT2SI-KGDKB34XO0aw_7XdtAG8GaSwFKdCAPZgoXD2YBJZCPEX3xKpRwcdOO8KpEHwJjyqOgzDO7iKvU8vcnwNrmxYbSW9ERBXukOXolLzeO_Jn",
        Err(Refusal::Malformed),
    ),
    (
        r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}]}"#,
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
        Err(Refusal::Malformed),
    ),
];

#[test]
fn published_tokens_are_verified_and_altered_ones_are_not() {
    for (set, token, expected) in PUBLISHED {
        assert_eq!(verdict(set, token), expected, "{token}");
        let (head, signature) = token.rsplit_once('.').unwrap();
        let other = if signature.starts_with('A') { 'B' } else { 'A' };
        let altered = format!("{head}.{other}{}", signature.get(1..).unwrap());
        assert_eq!(verdict(set, &altered), Err(Refusal::Signature), "{altered}");
    }
}

#[test]
fn each_kind_of_key_verifies_its_own_tokens_alone() {
    let signers = all();
    for signer in &signers {
        let set = signer.set();
        assert_eq!(verdict(&set, &signer.plain("{}")), Ok(()), "{}", signer.alg);
        for other in signers.iter().filter(|other| other.alg != signer.alg) {
            let refusal = verdict(&set, &other.plain("{}"));
            assert_eq!(refusal, Err(Refusal::Algorithm), "{} by {}", other.alg, signer.alg);
            // The header may say what it likes: the key decides.
            let lying = other.token(&format!(r#"{{"alg":"{}"}}"#, signer.alg), "{}");
            assert_eq!(verdict(&set, &lying), Err(Refusal::Signature), "{}", signer.alg);
        }
    }
}

#[test]
fn a_public_key_is_never_the_secret_of_a_token() {
    let set = &all()[1].set();
    let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, set.as_bytes());
    let signed = format!("{}.{}", url(r#"{"alg":"HS256"}"#), url("{}"));
    let signature = aws_lc_rs::hmac::sign(&key, signed.as_bytes());
    let token = format!("{signed}.{}", url(signature));
    assert_eq!(verdict(set, &token), Err(Refusal::Algorithm));
}

#[test]
fn unsigned_tokens_are_refused() {
    for alg in ["none", "None", "NONE", ""] {
        let head = url(format!(r#"{{"alg":"{alg}"}}"#));
        for signature in ["", "AA"] {
            let token = format!("{head}.{}.{signature}", url("{}"));
            assert_eq!(verdict(&secret().set(), &token), Err(Refusal::Algorithm));
        }
    }
}

#[test]
fn a_kid_names_the_key() {
    let (one, two) = (edwards(), edwards());
    let set = format!(r#"{{"keys":[{{{},"kid":"1"}},{{{},"kid":"2"}}]}}"#, one.jwk, two.jwk);
    let head = |kid: &str| format!(r#"{{"alg":"EdDSA","kid":"{kid}"}}"#);
    assert_eq!(verdict(&set, &one.token(&head("1"), "{}")), Ok(()));
    assert_eq!(verdict(&set, &two.token(&head("2"), "{}")), Ok(()));
    assert_eq!(verdict(&set, &one.token(&head("2"), "{}")), Err(Refusal::Signature));
    assert_eq!(verdict(&set, &one.token(&head("3"), "{}")), Err(Refusal::UnknownKey));
    assert_eq!(verdict(&set, &one.plain("{}")), Err(Refusal::UnknownKey));
    assert_eq!(verdict(&one.set(), &one.token(&head("1"), "{}")), Err(Refusal::UnknownKey));
}

#[test]
fn keys_for_other_things_are_passed_over() {
    let signer = edwards();
    let set = format!(
        r#"{{"keys":[{{"kty":"OKP","crv":"X25519","x":"AA"}},{{"kty":"EC","crv":"secp256k1"}},
        {{"kty":"RSA","use":"enc"}},{{"kty":"RSA","alg":"RSA-OAEP"}},{{"kty":"new"}},
        {{"kty":"oct","key_ops":["encrypt"]}},{{{}}}]}}"#,
        signer.jwk
    );
    assert_eq!(KeySet::parse(&set).unwrap().keys().len(), 1);
    assert_eq!(verdict(&set, &signer.plain("{}")), Ok(()));
}

#[test]
fn wrong_sets_are_refused_with_the_place() {
    let small = url([0xff; 128]);
    for (set, expected) in [
        ("[]", "this is no JWK set"),
        (r#"{"keys":{}}"#, "this is no JWK set"),
        (r#"{"keys":[],"keys":[]}"#, "this is no JWK set"),
        (r#"{"keys":[]}"#, "no key that verifies"),
        (r#"{"keys":[{"kty":"RSA","use":"enc"}]}"#, "no key that verifies"),
        (r#"{"keys":[1]}"#, "keys[0]: a key is an object"),
        (r#"{"keys":[{}]}"#, "keys[0].kty: `kty` is missing"),
        (r#"{"keys":[{"kty":"oct","k":"AAAA"}]}"#, "keys[0].alg: `alg` of a secret"),
        (
            r#"{"keys":[{"kty":"oct","alg":"HS256","k":"AAAA"}]}"#,
            "keys[0].k: `k` has 3 bytes; HS256 needs 32",
        ),
        (r#"{"keys":[{"kty":"oct","alg":"HS256","k":"AA=="}]}"#, "is not base64url"),
        (
            &format!(r#"{{"keys":[{{"kty":"RSA","n":"{small}","e":"AQAB"}}]}}"#),
            "keys[0].n: `n` has 1024 bits",
        ),
        (
            r#"{"keys":[{"kty":"RSA","alg":"HS256","n":"AA","e":"AQAB"}]}"#,
            "keys[0].alg: `alg` does not fit",
        ),
        (
            r#"{"keys":[{"kty":"EC","crv":"P-256","alg":"ES384","x":"AA","y":"AA"}]}"#,
            "this curve has ES256",
        ),
        (r#"{"keys":[{"kty":"EC","crv":"P-256","x":"AA","y":"AA"}]}"#, "`x` and `y` have 32 bytes"),
        (
            &format!(
                r#"{{"keys":[{{"kty":"EC","crv":"P-256","x":"{0}","y":"{0}"}}]}}"#,
                url([7; 32])
            ),
            "no point of the curve",
        ),
        (r#"{"keys":[{"kty":"RSA","d":"AA"}]}"#, "keys[0].d: `d` is the private half"),
        (r#"{"keys":[{"kty":"OKP","crv":"Ed25519","x":"AA"}]}"#, "keys[0].x"),
        (r#"{"keys":[{"kty":"OKP","kid":1,"crv":"Ed25519","x":"AA"}]}"#, "keys[0]."),
    ] {
        assert!(wrong(set).contains(expected), "{set}: {}", wrong(set));
    }
    let jwk = edwards().jwk;
    let twice = format!(r#"{{"keys":[{{{jwk}}},{{{}}}]}}"#, edwards().jwk);
    assert!(wrong(&twice).contains("two keys have one `kid`"));
}

#[test]
fn nothing_of_a_key_is_shown() {
    let keys = KeySet::parse(&secret().set()).unwrap();
    assert_eq!(format!("{keys:?}"), "KeySet([Key(None, HS256)])");
}

proptest! {
    #[test]
    fn any_text_is_a_set_or_refused(text in "\\{\"keys\":\\[(\\{\"kty\":\"(RSA|EC|OKP|oct)\",\"[neykdx]\":\"[A-Za-z0-9_-]{0,20}\"\\},?){0,3}\\]\\}") {
        let _ = KeySet::parse(&text);
    }
}
