//! TLS towards upstreams.

use crate::certificate::{Certified, Problem};
use crate::context::Blobs;
use crate::roots::SystemRoots;
use crate::tunnel::Tunnel;
use crate::verify::AnyCertificate;
use crate::{HandshakeKind, PeerCertificate, Received, TlsError, TlsErrorKind, algorithms, policy};
use hg_plan::{Digest, TlsVersion, UpstreamTls};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ClientSessionMemoryCache, Resumption, UnbufferedClientConnection};
use rustls::crypto::{CryptoProvider, aws_lc_rs as provider};
use rustls::{CipherSuite, ClientConfig, ProtocolVersion};
use rustls_pki_types::ServerName;
use std::sync::Arc;

/// Server names whose sessions are kept, per upstream.
const SESSIONS: usize = 64;
/// The tickets that rustls keeps of each server; it counts those, not servers.
const TICKETS: usize = 8;

/// The protocols that a session offers by ALPN.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Offer {
    /// HTTP/1.1.
    Http1,
    /// HTTP/2.
    Http2,
    /// HTTP/2, else HTTP/1.1.
    Either,
}

/// TLS settings towards the endpoints of an upstream.
pub struct ClientTls {
    object: UpstreamTls,
    config: Arc<ClientConfig>,
    http2: Arc<ClientConfig>,
    either: Arc<ClientConfig>,
    digest: Digest,
}

impl ClientTls {
    /// Compiles the TLS settings of an upstream.
    ///
    /// # Errors
    /// Returns the path in the upstream's `tls` and what is wrong there.
    pub(crate) fn compile(
        tls: &UpstreamTls,
        certificate: Option<&Certified>,
        blobs: &Blobs<'_>,
    ) -> Result<Self, Problem> {
        let at = |path: &'static str| move |message: String| (path.to_owned(), message);
        if let Some(name) = &tls.verify_name {
            server_name(name).map_err(at("verify_name"))?;
        }
        let provider = Arc::new(CryptoProvider {
            kx_groups: algorithms::default_groups(),
            ..provider::default_provider()
        });
        let builder = ClientConfig::builder_with_provider(provider.clone())
            .with_protocol_versions(&algorithms::protocol_versions(
                tls.min_version,
                TlsVersion::V13,
            ))
            .map_err(|e| at("min_version")(e.to_string()))?;
        let builder = if tls.verify {
            let verifier: Arc<dyn ServerCertVerifier> = match &tls.ca {
                Some(sha256) => {
                    let roots = policy::roots(blobs, sha256).map_err(at("ca"))?;
                    let builder = WebPkiServerVerifier::builder_with_provider(roots, provider);
                    builder.build().map_err(|e| at("ca")(e.to_string()))?
                }
                None => Arc::new(SystemRoots::new(provider)),
            };
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.dangerous().with_custom_certificate_verifier(Arc::new(AnyCertificate(provider)))
        };
        let mut config = match certificate {
            None => builder.with_no_client_auth(),
            Some(certified) => {
                let offer = rustls::sign::SingleCertAndKey::from(certified.key.clone());
                builder.with_client_cert_resolver(Arc::new(offer))
            }
        };
        config.enable_sni = tls.sni;
        config.enable_secret_extraction = true;
        config.resumption = Resumption::store(Arc::new(sessions()));
        Ok(Self {
            object: tls.clone(),
            config: offering(&config, &[b"http/1.1"]),
            http2: offering(&config, &[b"h2"]),
            either: offering(&config, &[b"h2", b"http/1.1"]),
            digest: digest(tls, certificate),
        })
    }

    pub(crate) fn is_of(&self, tls: &UpstreamTls, certificate: Option<&Certified>) -> bool {
        self.object == *tls && self.digest == digest(tls, certificate)
    }

    /// Identifies everything that a pooled connection depends on: versions, verification, name,
    /// roots and the client certificate's material.
    pub fn digest(&self) -> &Digest {
        &self.digest
    }

    /// Makes a session with an endpoint that offers HTTP/1.1, as [`Self::session_offering`] does.
    ///
    /// # Errors
    /// If `host` is needed and is neither a name nor an address (for example, a Unix socket).
    pub fn session(&self, host: &str) -> Result<ClientSession, TlsError> {
        self.session_offering(host, Offer::Http1)
    }

    /// Makes a session with an endpoint. `host` is the endpoint's host name or IP address (no port,
    /// no brackets). It is sent as SNI (a name only) and verified unless `verify_name` is
    /// configured.
    ///
    /// # Errors
    /// If `host` is needed and is neither a name nor an address (for example, a Unix socket).
    pub fn session_offering(&self, host: &str, offer: Offer) -> Result<ClientSession, TlsError> {
        self.session_with(
            host,
            match offer {
                Offer::Http1 => &self.config,
                Offer::Http2 => &self.http2,
                Offer::Either => &self.either,
            },
        )
    }

    /// Makes a session that offers this protocol alone, or none, as [`Self::session_offering`] does.
    ///
    /// # Errors
    /// If `host` is needed and is neither a name nor an address (for example, a Unix socket).
    pub fn session_for(
        &self,
        host: &str,
        protocol: Option<&[u8]>,
    ) -> Result<ClientSession, TlsError> {
        self.session_with(host, &offering(&self.config, protocol.as_slice()))
    }

    fn session_with(
        &self,
        host: &str,
        config: &Arc<ClientConfig>,
    ) -> Result<ClientSession, TlsError> {
        let name = self.object.verify_name.as_deref().unwrap_or(host);
        let name =
            server_name(name).map_err(|message| TlsError::new(TlsErrorKind::Internal, message))?;
        let conn = UnbufferedClientConnection::new(config.clone(), name)?;
        Ok(ClientSession { tunnel: Tunnel::new(conn), config: config.clone(), peer: None })
    }
}

/// Returns the same settings with these protocols for ALPN.
fn offering(config: &ClientConfig, names: &[&[u8]]) -> Arc<ClientConfig> {
    let mut config = config.clone();
    config.alpn_protocols = names.iter().map(|name| name.to_vec()).collect();
    Arc::new(config)
}

/// Computes the digest that [`ClientTls::digest`] returns.
fn digest(tls: &UpstreamTls, certificate: Option<&Certified>) -> Digest {
    let certificate = certificate.map(|c| (&c.object.cert, &c.object.key));
    Digest::of(
        format!(
            "upstream tls 1 {} {} {:?} {:?} {:?} {:?}",
            tls.verify, tls.sni, tls.verify_name, tls.ca, tls.min_version, certificate
        )
        .as_bytes(),
    )
}

fn server_name(name: &str) -> Result<ServerName<'static>, String> {
    ServerName::try_from(name.to_owned()).map_err(|_| {
        format!("`{name}` is not a host name or an IP address; write one, such as `a.example`")
    })
}

/// Makes the store of an upstream's sessions.
fn sessions() -> ClientSessionMemoryCache {
    ClientSessionMemoryCache::new(SESSIONS * TICKETS)
}

/// A session with an endpoint, used as [`crate::ServerSession`] is.
pub struct ClientSession {
    tunnel: Tunnel<UnbufferedClientConnection>,
    config: Arc<ClientConfig>,
    peer: Option<Box<PeerCertificate>>,
}

impl ClientSession {
    /// Appends the ClientHello. Call it once, first.
    ///
    /// # Errors
    /// If the ClientHello cannot be made (for example, without random bytes).
    pub fn start(&mut self, out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.receive(&mut [], &mut Vec::new(), out).map(|_| ())
    }

    /// Takes received bytes; see [`crate::ServerSession::receive`].
    ///
    /// # Errors
    /// If the session is over; send `out`, which ends with the alert, and close.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        let Self { tunnel, config, peer } = self;
        tunnel.receive(input, plain, out, &config.alpn_protocols, |common| {
            *peer = PeerCertificate::of(common).map(Box::new);
            Ok(())
        })
    }

    /// Encrypts `plain` into records of at most 16 KiB, appended to `out`.
    ///
    /// # Errors
    /// Before the handshake is over, after the end, or when the keys are used up.
    pub fn send(&mut self, plain: &[u8], out: &mut Vec<u8>) -> Result<(), TlsError> {
        self.tunnel.send(plain, &[], out)
    }

    /// Encrypts a head and a body that are apart: no record ends between them unless it is full,
    /// and neither is copied except into `out`.
    ///
    /// # Errors
    /// As [`Self::send`].
    pub fn send_parts(
        &mut self,
        head: &[u8],
        body: &[u8],
        out: &mut Vec<u8>,
    ) -> Result<(), TlsError> {
        self.tunnel.send(head, body, out)
    }

    /// Appends close_notify; a second call appends nothing, nor does one during the handshake.
    pub fn close(&mut self, out: &mut Vec<u8>) {
        self.tunnel.close(out);
    }

    /// Reports whether the handshake is over and the session is not.
    pub fn is_established(&self) -> bool {
        self.tunnel.facts().is_some()
    }

    /// Reports whether the handshake is over for us before the endpoint has seen our certificate, so
    /// that it may refuse the session later: so it is in TLS 1.3 (RFC 8446 appendix E.1.2).
    pub fn is_ended_by_client(&self) -> bool {
        self.version() == Some(ProtocolVersion::TLSv1_3)
    }

    /// Returns the protocol agreed by ALPN, if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        let index = self.tunnel.facts()?.alpn?;
        self.config.alpn_protocols.get(usize::from(index)).map(Vec::as_slice)
    }

    /// Returns the TLS version; `None` until the handshake is over.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.tunnel.facts().map(|f| f.version)
    }

    /// Returns the cipher suite; `None` until the handshake is over.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.tunnel.facts().map(|f| f.suite)
    }

    /// Returns whether the handshake was full or resumed; `None` until it is over.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.tunnel.facts().map(|f| f.kind)
    }

    /// Returns the endpoint's certificate; `None` until the handshake is over.
    pub fn peer_certificate(&self) -> Option<&PeerCertificate> {
        self.peer.as_deref()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "tests")]

    use super::*;
    use rustls::NamedGroup;
    use rustls::client::ClientSessionStore;

    #[test]
    fn the_sessions_with_so_many_servers_are_kept() {
        let (kept, group) = (sessions(), NamedGroup::X25519);
        let names: Vec<_> =
            (0..=SESSIONS).map(|i| server_name(&format!("{i}.example")).unwrap()).collect();
        names.iter().for_each(|name| kept.set_kx_hint(name.clone(), group));
        let known = names.iter().filter(|name| kept.kx_hint(name).is_some());
        assert_eq!(known.count(), SESSIONS);
    }
}
