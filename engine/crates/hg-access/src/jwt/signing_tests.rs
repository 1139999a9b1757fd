//! Keys that sign, for tests: their JWK and what they make of a header and a payload.

use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING,
    ECDSA_P521_SHA512_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use std::sync::OnceLock;

pub(crate) fn url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

type Sign = Box<dyn Fn(&[u8]) -> Vec<u8>>;

/// A key that signs.
pub(crate) struct Signer {
    pub(crate) alg: &'static str,
    /// Members of the JWK, without `kid`.
    pub(crate) jwk: String,
    sign: Sign,
}

impl Signer {
    pub(crate) fn token(&self, header: &str, payload: &str) -> String {
        let signed = format!("{}.{}", url(header), url(payload));
        let signature = (self.sign)(signed.as_bytes());
        format!("{signed}.{}", url(signature))
    }

    /// A token whose header has the right algorithm alone.
    pub(crate) fn plain(&self, payload: &str) -> String {
        self.token(&format!(r#"{{"alg":"{}"}}"#, self.alg), payload)
    }

    /// The key in a set of its own.
    pub(crate) fn set(&self) -> String {
        format!(r#"{{"keys":[{{{}}}]}}"#, self.jwk)
    }
}

pub(crate) fn secret() -> Signer {
    let bytes = [9; 64];
    let key = hmac::Key::new(hmac::HMAC_SHA256, &bytes);
    Signer {
        alg: "HS256",
        jwk: format!(r#""kty":"oct","alg":"HS256","k":"{}""#, url(bytes)),
        sign: Box::new(move |signed| hmac::sign(&key, signed).as_ref().to_vec()),
    }
}

fn rsa_pair() -> &'static RsaKeyPair {
    static PAIR: OnceLock<RsaKeyPair> = OnceLock::new();
    PAIR.get_or_init(|| RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
}

fn rsa(alg: &'static str, how: &'static dyn signature::RsaEncoding) -> Signer {
    let pair = rsa_pair();
    // RSAPublicKey (RFC 8017, A.1.1) of 2048 bits: nine bytes, n, two bytes, e.
    let public = pair.public_key().as_ref();
    let (n, e) = (url(&public[9..265]), url(&public[267..]));
    Signer {
        alg,
        jwk: format!(r#""kty":"RSA","alg":"{alg}","n":"{n}","e":"{e}""#),
        sign: Box::new(move |signed| {
            let mut out = vec![0; pair.public_modulus_len()];
            pair.sign(how, &SystemRandom::new(), signed, &mut out).unwrap();
            out
        }),
    }
}

fn curve(
    alg: &'static str,
    crv: &'static str,
    how: &'static signature::EcdsaSigningAlgorithm,
) -> Signer {
    let pair = EcdsaKeyPair::generate(how).unwrap();
    let point = pair.public_key().as_ref()[1..].to_vec();
    let (x, y) = point.split_at(point.len() / 2);
    Signer {
        alg,
        jwk: format!(r#""kty":"EC","crv":"{crv}","x":"{}","y":"{}""#, url(x), url(y)),
        sign: Box::new(move |signed| {
            pair.sign(&SystemRandom::new(), signed).unwrap().as_ref().to_vec()
        }),
    }
}

pub(crate) fn edwards() -> Signer {
    let pair = Ed25519KeyPair::generate().unwrap();
    let x = url(pair.public_key().as_ref());
    Signer {
        alg: "EdDSA",
        jwk: format!(r#""kty":"OKP","crv":"Ed25519","x":"{x}""#),
        sign: Box::new(move |signed| pair.sign(signed).as_ref().to_vec()),
    }
}

/// One of each kind.
pub(crate) fn all() -> Vec<Signer> {
    vec![
        secret(),
        rsa("RS256", &signature::RSA_PKCS1_SHA256),
        rsa("RS384", &signature::RSA_PKCS1_SHA384),
        rsa("RS512", &signature::RSA_PKCS1_SHA512),
        rsa("PS256", &signature::RSA_PSS_SHA256),
        rsa("PS384", &signature::RSA_PSS_SHA384),
        rsa("PS512", &signature::RSA_PSS_SHA512),
        curve("ES256", "P-256", &ECDSA_P256_SHA256_FIXED_SIGNING),
        curve("ES384", "P-384", &ECDSA_P384_SHA384_FIXED_SIGNING),
        curve("ES512", "P-521", &ECDSA_P521_SHA512_FIXED_SIGNING),
        edwards(),
    ]
}
