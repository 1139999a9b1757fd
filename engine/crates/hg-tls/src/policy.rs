//! A TLS policy of the plan, compiled: the rustls configuration that all its certificates share,
//! and the digest that binds sessions and tickets to it.

use crate::algorithms::{Protocols, Speaks, groups, suites, versions};
use crate::certificate::{self, Problem};
use crate::context::Blobs;
use crate::ticket::Ticketer;
use crate::x509;
use hg_plan::{ClientAuth, Digest, TlsPolicy, TlsVersion};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::server::danger::ClientCertVerifier;
use rustls::server::{
    NoServerSessionStorage, ResolvesServerCert, VerifierBuilderError, WebPkiClientVerifier,
};
use rustls::{CertRevocationListError, RootCertStore, ServerConfig, SupportedProtocolVersion};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject;
use std::sync::Arc;

/// A compiled policy. One per distinct content, however many names refer to it.
pub(crate) struct Policy {
    pub digest: Digest,
    pub protocols: Protocols,
    /// Everything but the certificate and the protocols.
    template: ServerConfig,
    verifier: Option<Arc<dyn ClientCertVerifier>>,
    auth: Option<ClientAuth>,
}

/// Tickets sent after a full handshake. One is enough: clients that open several connections at
/// once reuse a ticket or do a full handshake, and each further ticket costs a sealing and a
/// quarter of a kilobyte on every connection, used or not.
const TICKETS: usize = 1;

impl Policy {
    /// Compiles a policy.
    ///
    /// # Errors
    /// Every problem found.
    pub fn compile(
        policy: &TlsPolicy,
        blobs: &Blobs<'_>,
        ticketer: &Arc<Ticketer>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = Vec::new();
        let versions = versions(policy, &mut problems);
        let suites = suites(policy, &versions, &mut problems);
        let groups = groups(&policy.groups, &mut problems);
        let protocols = Protocols::new(&policy.alpn, &mut problems);
        if !problems.is_empty() {
            return Err(problems);
        }
        let provider = Arc::new(CryptoProvider {
            cipher_suites: suites,
            kx_groups: groups,
            ..provider::default_provider()
        });
        let verifier = policy
            .client_auth
            .as_ref()
            .map(|auth| verifier(auth, blobs, &provider))
            .transpose()
            .map_err(|problem| vec![problem])?;
        let digest = digest(policy);
        let mut template = template(provider, &versions, verifier.clone())
            .map_err(|message| vec![(String::new(), message)])?;
        template.time_provider = ticketer.time();
        if policy.tickets {
            template.ticketer = ticketer.for_policy(&digest);
            template.send_tls13_tickets = TICKETS;
        }
        Ok(Self { digest, protocols, template, verifier, auth: policy.client_auth.clone() })
    }

    /// Returns the configuration of this policy with a certificate resolver, for clients that speak
    /// this.
    pub fn config(
        &self,
        resolver: Arc<dyn ResolvesServerCert>,
        speaks: Speaks,
    ) -> Arc<ServerConfig> {
        let mut config = self.template.clone();
        config.alpn_protocols = self.protocols.offered(speaks);
        config.cert_resolver = resolver;
        Arc::new(config)
    }

    /// Returns the verifier of clients' certificates.
    pub fn verifier(&self) -> Option<&Arc<dyn ClientCertVerifier>> {
        self.verifier.as_ref()
    }

    /// Reports whether clients without a certificate are refused.
    pub fn requires_client_certificate(&self) -> bool {
        self.auth.as_ref().is_some_and(|auth| auth.required)
    }

    /// Reports whether a client that was accepted under an earlier policy might not be under this one: it
    /// begins to ask for a certificate or to require it, or has other roots.
    pub fn tightens(&self, before: &Self) -> bool {
        match (&self.auth, &before.auth) {
            (None, _) => false,
            (Some(_), None) => true,
            (Some(now), Some(then)) => now.ca != then.ca || (now.required && !then.required),
        }
    }

    /// Reports whether clients are asked for a certificate.
    pub fn asks_client_certificate(&self) -> bool {
        self.auth.is_some()
    }
}

/// Hashes what the policy means, without its name.
pub(crate) fn digest(policy: &TlsPolicy) -> Digest {
    let version = |v| match v {
        TlsVersion::V12 => "1.2",
        TlsVersion::V13 => "1.3",
    };
    let mut text = String::from("headgate tls policy 1\n");
    let mut line = |key: &str, values: &[&str]| {
        text.push_str(key);
        for value in values {
            text.push_str(&format!(" {}:{value}", value.len()));
        }
        text.push('\n');
    };
    let list = |l: &'_ Vec<String>| l.iter().map(String::as_str).collect::<Vec<_>>().join(",");
    line("versions", &[version(policy.min_version), version(policy.max_version)]);
    line("suites", &[&list(&policy.cipher_suites)]);
    line("groups", &[&list(&policy.groups)]);
    line("alpn", &[&list(&policy.alpn)]);
    line("tickets", &[if policy.tickets { "on" } else { "off" }]);
    if let Some(auth) = &policy.client_auth {
        line("client", &[&auth.ca, if auth.required { "required" } else { "optional" }]);
        line("revoked", &[auth.crl.as_deref().unwrap_or_default()]);
    }
    Digest::of(text.as_bytes())
}

fn template(
    provider: Arc<CryptoProvider>,
    versions: &[&'static SupportedProtocolVersion],
    verifier: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, String> {
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(versions)
        .map_err(|e| e.to_string())?;
    let builder = match verifier {
        Some(verifier) => builder.with_client_cert_verifier(verifier),
        None => builder.with_no_client_auth(),
    };
    let mut config = builder.with_cert_resolver(Arc::new(NoCertificate));
    // Only tickets hold state: the server keeps nothing per client.
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.send_tls13_tickets = 0;
    // The configured order decides; the default order puts the cheapest safe suite first.
    config.ignore_client_order = true;
    config.max_early_data_size = 0;
    // `channel` protects records once the handshake is over.
    config.enable_secret_extraction = true;
    Ok(config)
}

/// Takes the place of the real resolver until [`Policy::config`] sets it.
#[derive(Debug)]
struct NoCertificate;

impl ResolvesServerCert for NoCertificate {
    fn resolve(
        &self,
        _: rustls::server::ClientHello<'_>,
    ) -> Option<Arc<rustls::sign::CertifiedKey>> {
        None
    }
}

fn verifier(
    auth: &ClientAuth,
    blobs: &Blobs<'_>,
    provider: &Arc<CryptoProvider>,
) -> Result<Arc<dyn ClientCertVerifier>, Problem> {
    let at = |key: &'static str| move |message: String| (format!("client_auth.{key}"), message);
    let roots = roots(blobs, &auth.ca).map_err(at("ca"))?;
    let mut builder = WebPkiClientVerifier::builder_with_provider(roots, provider.clone());
    if let Some(crl) = &auth.crl {
        let lists = revocations(blobs, crl).map_err(at("crl"))?;
        // Check every authority of a chain, and refuse lists past their time, as nginx does.
        builder = builder.with_crls(lists).enforce_revocation_expiration();
    }
    let builder = if auth.required { builder } else { builder.allow_unauthenticated() };
    builder.build().map_err(|e| match (&auth.crl, e) {
        (Some(crl), VerifierBuilderError::InvalidCrl(e)) => at("crl")(unusable(blobs, crl, &e)),
        (_, e) => at("ca")(e.to_string()),
    })
}

/// Says what is wrong with the lists of a bundle that was not accepted.
fn unusable(blobs: &Blobs<'_>, sha256: &str, error: &CertRevocationListError) -> String {
    let lists = revocations(blobs, sha256).unwrap_or_default();
    match lists.iter().position(|der| x509::is_list_of_version_1(der)) {
        Some(i) => format!(
            "revocation list {} is of version 1, which has no extensions; issue version 2 (for `openssl ca`, set `crl_extensions` in its configuration)",
            i + 1
        ),
        None => {
            format!("a revocation list is not usable ({error:?}); issue it as RFC 5280 §5 requires")
        }
    }
}

/// Parses the revocation lists of a bundle.
fn revocations(
    blobs: &Blobs<'_>,
    sha256: &str,
) -> Result<Vec<CertificateRevocationListDer<'static>>, String> {
    let pem = certificate::blob(blobs, sha256)?;
    let lists: Vec<_> = CertificateRevocationListDer::pem_slice_iter(certificate::text(&pem))
        .collect::<Result<_, _>>()
        .map_err(|e| format!("the file is not readable PEM: {e}; name a file in PEM format"))?;
    if lists.is_empty() {
        return Err(
            "the file has no revocation list; name one with a PEM block `BEGIN X509 CRL`".into()
        );
    }
    Ok(lists)
}

/// Parses the roots of a CA bundle.
pub(crate) fn roots(blobs: &Blobs<'_>, sha256: &str) -> Result<Arc<RootCertStore>, String> {
    let mut roots = RootCertStore::empty();
    for (i, root) in certificate::chain(&certificate::blob(blobs, sha256)?)?.into_iter().enumerate()
    {
        roots.add(root).map_err(|e| {
            format!(
                "certificate {} of the bundle is not usable: {e}; remove it, or name another file",
                i + 1
            )
        })?;
    }
    Ok(Arc::new(roots))
}
