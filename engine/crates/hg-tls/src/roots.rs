//! The roots of the system, which may come later than the plan that needs them.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::{DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};
use std::sync::{Arc, OnceLock};

/// Verifies by the system's roots. While there are none, every certificate is refused, and each
/// handshake looks for them.
#[derive(Debug)]
pub(crate) struct SystemRoots {
    provider: Arc<CryptoProvider>,
    verifier: OnceLock<Arc<WebPkiServerVerifier>>,
}

impl SystemRoots {
    pub(crate) fn new(provider: Arc<CryptoProvider>) -> Self {
        let it = Self { provider, verifier: OnceLock::new() };
        // Now, so that no worker has to read them.
        let _ = it.verifier();
        it
    }

    fn verifier(&self) -> Result<&WebPkiServerVerifier, Error> {
        if let Some(verifier) = self.verifier.get() {
            return Ok(verifier);
        }
        let roots = system_roots().map_err(Error::General)?;
        let built =
            WebPkiServerVerifier::builder_with_provider(roots, self.provider.clone()).build();
        let built = built.map_err(|error| Error::General(error.to_string()))?;
        Ok(self.verifier.get_or_init(|| built))
    }
}

impl ServerCertVerifier for SystemRoots {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let verifier = self.verifier()?;
        verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// Checks that the system has roots.
///
/// # Errors
/// Returns why there are none, fit for the path `ca`.
pub fn check_system_roots() -> Result<(), String> {
    system_roots().map(drop)
}

/// Returns the system's roots.
fn system_roots() -> Result<Arc<RootCertStore>, String> {
    static ROOTS: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    kept_roots(&ROOTS, read_system_roots)
}

/// Returns the roots that were read once; as long as that fails they are read again, because the
/// system may get some.
fn kept_roots(
    kept: &OnceLock<Arc<RootCertStore>>,
    read: impl FnOnce() -> Result<Arc<RootCertStore>, String>,
) -> Result<Arc<RootCertStore>, String> {
    if let Some(roots) = kept.get() {
        return Ok(roots.clone());
    }
    let roots = read()?;
    Ok(kept.get_or_init(|| roots).clone())
}

fn read_system_roots() -> Result<Arc<RootCertStore>, String> {
    let found = rustls_native_certs::load_native_certs();
    let mut roots = RootCertStore::empty();
    let (added, _) = roots.add_parsable_certificates(found.certs);
    if added == 0 {
        let why = found.errors.first().map(|e| format!(": {e}")).unwrap_or_default();
        return Err(format!("the system has no usable CA certificates{why}; set ca_file"));
    }
    Ok(Arc::new(roots))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use std::cell::Cell;

    #[test]
    fn roots_that_cannot_be_read_are_read_again_until_they_can() {
        let (kept, reads) = (OnceLock::new(), Cell::new(0));
        let read = |found: Result<(), String>| {
            kept_roots(&kept, || {
                reads.set(reads.get() + 1);
                found.map(|()| Arc::new(RootCertStore::empty()))
            })
        };
        assert_eq!(read(Err("none".into())).unwrap_err(), "none");
        assert_eq!(read(Err("still none".into())).unwrap_err(), "still none");
        let first = read(Ok(())).unwrap();
        assert!(Arc::ptr_eq(&first, &read(Err("none".into())).unwrap()));
        assert_eq!(reads.get(), 3);
    }
}
