//! The reason why a session ended.

use std::fmt;

/// The class of a [`TlsError`], for counters and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TlsErrorKind {
    /// The peer broke the protocol or offered nothing that the policy allows.
    Protocol,
    /// The peer's certificate is missing, invalid or not the required one.
    Certificate,
    /// The peer sent a fatal alert.
    Alert,
    /// A limit of the session was reached, or it was used after its end.
    Internal,
}

impl TlsErrorKind {
    /// Returns the error type of RFC 9209 §2.3 for `Proxy-Status` and counters.
    pub fn proxy_status(self) -> &'static str {
        match self {
            TlsErrorKind::Protocol => "tls_protocol_error",
            TlsErrorKind::Certificate => "tls_certificate_error",
            TlsErrorKind::Alert => "tls_alert_received",
            TlsErrorKind::Internal => "proxy_internal_error",
        }
    }
}

/// A session has ended. The alert for the peer is already in the caller's output buffer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsError {
    kind: TlsErrorKind,
    detail: Box<str>,
}

impl TlsError {
    pub(crate) fn new(kind: TlsErrorKind, detail: impl Into<Box<str>>) -> Self {
        Self { kind, detail: detail.into() }
    }

    /// Its class.
    pub fn kind(&self) -> TlsErrorKind {
        self.kind
    }

    /// Returns what happened, for logs; it contains no secrets.
    pub fn detail(&self) -> &str {
        &self.detail
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.detail)
    }
}

impl std::error::Error for TlsError {}

impl From<rustls::Error> for TlsError {
    fn from(e: rustls::Error) -> Self {
        let kind = match &e {
            rustls::Error::InvalidCertificate(_)
            | rustls::Error::NoCertificatesPresented
            | rustls::Error::UnsupportedNameType
            | rustls::Error::InvalidCertRevocationList(_) => TlsErrorKind::Certificate,
            rustls::Error::AlertReceived(_) => TlsErrorKind::Alert,
            rustls::Error::EncryptError
            | rustls::Error::FailedToGetCurrentTime
            | rustls::Error::FailedToGetRandomBytes
            | rustls::Error::HandshakeNotComplete
            | rustls::Error::General(_) => TlsErrorKind::Internal,
            _ => TlsErrorKind::Protocol,
        };
        Self::new(kind, e.to_string())
    }
}
