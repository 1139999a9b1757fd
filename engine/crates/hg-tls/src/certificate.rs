//! A certificate object of the plan, loaded: chain, key, staple, and its own fields.

use crate::context::Blobs;
use crate::x509::{self, Owner};
use hg_plan::{Certificate, Digest};
use rustls::SignatureAlgorithm;
use rustls::crypto::CryptoProvider;
use rustls::sign::{CertifiedKey, SigningKey};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use std::sync::Arc;

/// Fields of a certificate, for metrics, alerts and coverage checks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateInfo {
    /// Name of the certificate object.
    pub name: Arc<str>,
    /// Valid from, seconds since 1970.
    pub not_before_unix_s: i64,
    /// Valid until, seconds since 1970.
    pub not_after_unix_s: i64,
    /// DNS names it covers, lower case, wildcards as `*.example`.
    pub names: Box<[Box<str>]>,
    /// Subject, as RFC 4514 writes it.
    pub subject: Box<str>,
    /// Issuer, as RFC 4514 writes it.
    pub issuer: Box<str>,
    /// `ecdsa`, `rsa` or `ed25519`.
    pub key: &'static str,
    /// sha256 of the leaf's DER form.
    pub fingerprint: Digest,
}

impl CertificateInfo {
    /// Reports whether a host (lower case, no port) is one of its names. A wildcard stands for
    /// exactly one label (RFC 9525 §6.3).
    pub fn covers(&self, host: &str) -> bool {
        self.names.iter().any(|name| match name.strip_prefix("*.") {
            Some(parent) => host.split_once('.').is_some_and(|(l, p)| !l.is_empty() && p == parent),
            None => **name == *host,
        })
    }
}

/// A usable key pair.
pub(crate) struct Certified {
    pub object: Certificate,
    pub key: Arc<CertifiedKey>,
    pub info: CertificateInfo,
}

/// A problem of a certificate object: (path in it, message).
pub(crate) type Problem = (String, String);

impl Certified {
    /// Loads and checks a pair.
    ///
    /// # Errors
    /// Every problem that prevents serving the pair.
    pub fn load(
        name: &Arc<str>,
        object: &Certificate,
        blobs: &Blobs<'_>,
        provider: &CryptoProvider,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let chain = blob(blobs, &object.cert).and_then(|pem| chain(&pem));
        let chain = note(&mut problems, "cert", chain);
        let key = blob(blobs, &object.key).and_then(|pem| private_key(&pem));
        let key = note(&mut problems, "key", key);
        let ocsp = object.ocsp.as_ref().map(|sha256| staple(blobs, sha256)).transpose();
        let ocsp = note(&mut problems, "ocsp", ocsp);
        let (Some(chain), Some(key), Some(ocsp)) = (chain, key, ocsp) else {
            return Err(problems);
        };
        let key = signing_key(key, provider).map_err(|problem| vec![problem])?;
        let leaf = chain.first().ok_or_else(|| cert(NOT_DER));
        let info =
            leaf.and_then(|leaf| info(name, leaf, &*key)).map_err(|problem| vec![problem])?;
        let mut pair = CertifiedKey::new(chain, key);
        pair.ocsp = ocsp;
        Ok(Self { object: object.clone(), key: Arc::new(pair), info })
    }

    /// Orders signatures by cost: a client that accepts several gets the cheapest.
    pub fn cost(&self) -> u8 {
        match self.key.key.algorithm() {
            SignatureAlgorithm::ECDSA | SignatureAlgorithm::ED25519 => 0,
            _ => 1,
        }
    }
}

const NOT_DER: &str =
    "the leaf certificate is not valid DER; name a file with an X.509 certificate";
const BAD_NAMES: &str = "the names of the leaf certificate (subjectAltName) are not as RFC 5280 §4.2.1.6 requires; issue it again";
const OTHER_KEY: &str = "the private key does not belong to the certificate; name the key of the leaf, and put the leaf first";
const UNUSUAL_KEY: &str = "the certificate describes its key with explicit curve parameters or as RSASSA-PSS, which many clients refuse; issue it for a named curve, or for plain RSA";

fn note<T>(problems: &mut Vec<Problem>, path: &str, result: Result<T, String>) -> Option<T> {
    result.map_err(|message| problems.push((path.to_owned(), message))).ok()
}

/// Returns a blob by its sha256.
pub(crate) fn blob(blobs: &Blobs<'_>, sha256: &str) -> Result<Arc<[u8]>, String> {
    blobs(sha256).ok_or_else(|| format!("its content (sha256 {sha256:.12}…) was not handed over"))
}

/// Returns PEM without the mark of UTF-8 that some editors put before the first line.
pub(crate) fn text(pem: &[u8]) -> &[u8] {
    pem.strip_prefix(b"\xef\xbb\xbf").unwrap_or(pem)
}

/// Parses the certificates of a PEM file, in its order.
pub(crate) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(text(pem))
        .collect::<Result<_, _>>()
        .map_err(|e| format!("the file is not readable PEM: {e}; name a file in PEM format"))?;
    if chain.is_empty() {
        return Err(
            "the file has no certificate; name one with a PEM block `BEGIN CERTIFICATE`".into()
        );
    }
    Ok(chain)
}

fn private_key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    const ENCRYPTED: &[u8] = b"ENCRYPTED";
    PrivateKeyDer::from_pem_slice(text(pem)).map_err(|e| {
        // Search the text for the reason, because the parser skips blocks that it does not know.
        if pem.windows(ENCRYPTED.len()).any(|w| w == ENCRYPTED) {
            "the private key is encrypted; store it without a passphrase".to_owned()
        } else if matches!(e, rustls_pki_types::pem::Error::NoItemsFound) {
            "the file has no private key; name one with a PEM block `BEGIN PRIVATE KEY` (or `RSA`, `EC`)"
                .to_owned()
        } else {
            format!("the file is not readable PEM: {e}; name a file in PEM format")
        }
    })
}

fn staple(blobs: &Blobs<'_>, sha256: &str) -> Result<Vec<u8>, String> {
    let der = blob(blobs, sha256)?;
    // OCSPResponse is a SEQUENCE that opens with its ENUMERATED status, 0 = successful (RFC 6960).
    match x509::ocsp_status(&der) {
        Some(0) => Ok(der.to_vec()),
        Some(status) => Err(format!(
            "the OCSP response has the status {status}, not `successful`; fetch a new one"
        )),
        None => {
            Err("the file is not an OCSP response in DER; write one with `openssl ocsp -respout`"
                .into())
        }
    }
}

fn signing_key(
    key: PrivateKeyDer<'static>,
    provider: &CryptoProvider,
) -> Result<Arc<dyn SigningKey>, Problem> {
    const UNUSABLE: &str = "the private key is damaged, too short, or of a kind that is not supported; use RSA (2048 bits or more), ECDSA P-256, P-384 or P-521, or Ed25519";
    provider.key_provider.load_private_key(key).map_err(|_| ("key".into(), UNUSABLE.into()))
}

fn info(
    name: &Arc<str>,
    leaf: &CertificateDer<'_>,
    key: &dyn SigningKey,
) -> Result<CertificateInfo, Problem> {
    let fields = x509::fields(leaf).ok_or_else(|| cert(NOT_DER))?;
    let owner = key.public_key().map_or(Owner::Same, |own| x509::owner(fields.public_key, &own));
    match owner {
        Owner::Same => {}
        Owner::SameOtherwiseDescribed => return Err(cert(UNUSUAL_KEY)),
        Owner::Other => return Err(("key".into(), OTHER_KEY.into())),
    }
    let names = fields.names.ok_or_else(|| cert(BAD_NAMES))?;
    Ok(CertificateInfo {
        name: name.clone(),
        not_before_unix_s: fields.not_before,
        not_after_unix_s: fields.not_after,
        names,
        subject: fields.subject.into(),
        issuer: fields.issuer.into(),
        key: match key.algorithm() {
            SignatureAlgorithm::ECDSA => "ecdsa",
            SignatureAlgorithm::ED25519 => "ed25519",
            _ => "rsa",
        },
        fingerprint: Digest::of(leaf),
    })
}

fn cert(message: &str) -> Problem {
    ("cert".into(), message.into())
}
