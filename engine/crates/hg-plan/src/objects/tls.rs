//! Certificates and TLS policies.

use super::defaults::yes;
use serde::Deserialize;

/// A key pair, by sha256 (hex) of its PEM material; the material itself is sent separately.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// sha256 of the PEM chain, leaf first.
    pub cert: String,
    /// sha256 of the PEM private key.
    pub key: String,
    /// sha256 of the DER OCSP response to staple.
    #[serde(default)]
    pub ocsp: Option<String>,
}

/// A TLS version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Default, Deserialize)]
pub enum TlsVersion {
    /// TLS 1.2.
    #[default]
    #[serde(rename = "1.2")]
    V12,
    /// TLS 1.3.
    #[serde(rename = "1.3")]
    V13,
}

/// Versions, ciphers and client authentication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TlsPolicy {
    /// Lowest version.
    #[serde(default)]
    pub min_version: TlsVersion,
    /// Highest version.
    #[serde(default = "v13")]
    pub max_version: TlsVersion,
    /// rustls names in order of preference; empty = all safe ones.
    #[serde(default)]
    pub cipher_suites: Vec<String>,
    /// `x25519mlkem768`, `x25519`, `secp256r1`, `secp384r1`, in order; empty = this order.
    #[serde(default)]
    pub groups: Vec<String>,
    /// ALPN protocols in order of preference; empty = `h2`, `http/1.1`.
    #[serde(default)]
    pub alpn: Vec<String>,
    /// Client authentication; absent = clients are not asked for a certificate.
    #[serde(default)]
    pub client_auth: Option<ClientAuth>,
    /// Issue session tickets.
    #[serde(default = "yes")]
    pub tickets: bool,
}

fn v13() -> TlsVersion {
    TlsVersion::V13
}

impl Default for TlsPolicy {
    fn default() -> Self {
        Self {
            min_version: TlsVersion::V12,
            max_version: TlsVersion::V13,
            cipher_suites: Vec::new(),
            groups: Vec::new(),
            alpn: Vec::new(),
            client_auth: None,
            tickets: true,
        }
    }
}

/// Client authentication.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClientAuth {
    /// sha256 (hex) of the PEM bundle of roots.
    pub ca: String,
    /// sha256 (hex) of the PEM bundle of revocation lists; absent = no list is checked.
    #[serde(default)]
    pub crl: Option<String>,
    /// Refuse clients that send no certificate.
    #[serde(default = "yes")]
    pub required: bool,
}
