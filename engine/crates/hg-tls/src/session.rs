//! A TLS session with a client.

use crate::alert;
use crate::identity::PeerCertificate;
use crate::policy::Policy;
use crate::selector::{self, Selection};
use crate::tunnel::{HandshakeKind, Tunnel};
use crate::{Received, TlsError};
use hg_plan::Digest;
use rustls::server::UnbufferedServerConnection;
use rustls::{CertificateError, CipherSuite, CommonState, Error, NamedGroup, ProtocolVersion};
use rustls_pki_types::UnixTime;
use std::sync::Arc;

/// A session with a client: pass it what was read, and write out what it appends.
///
/// It owns no socket and no buffer. Between calls an established session holds its keys and a few
/// words; steady traffic allocates nothing beyond the caller's buffers.
pub struct ServerSession {
    tunnel: Tunnel<UnbufferedServerConnection>,
    selection: Selection,
    sni: Option<Arc<str>>,
    peer: Option<Arc<PeerCertificate>>,
    /// Index of the certificate offered.
    picked: u8,
}

impl ServerSession {
    /// Makes a session with the selected configuration. `sni` is the name for which it was
    /// selected, as [`crate::peek_client_hello`] returned it.
    ///
    /// # Errors
    /// When no session can be made from the configuration.
    pub fn new(selection: Selection, sni: Option<&str>) -> Result<Self, TlsError> {
        Ok(Self {
            tunnel: Tunnel::new(UnbufferedServerConnection::new(selection.config().clone())?),
            selection,
            sni: sni.map(Into::into),
            peer: None,
            picked: 0,
        })
    }

    /// Takes received bytes: decrypts in place, appends plaintext to `plain` and whatever must be
    /// sent (handshake, tickets, alerts) to `out`.
    ///
    /// # Errors
    /// If the session is over; send `out`, which ends with the alert, and close.
    pub fn receive(
        &mut self,
        input: &mut [u8],
        plain: &mut Vec<u8>,
        out: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        let Self { tunnel, selection, peer, .. } = self;
        if tunnel.facts().is_some() {
            return tunnel.receive(input, plain, out, &[], |_| Ok(()));
        }
        let policy = selection.compiled_policy();
        let config = selection.config();
        let received = tunnel.receive(input, plain, out, &config.alpn_protocols, |common| {
            *peer = PeerCertificate::of(common).map(Arc::new);
            check_resumed(policy, common, config.time_provider.current_time())
        });
        if let Some(picked) = selector::take_picked() {
            self.picked = picked;
        }
        received
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

    /// Returns the protocol agreed by ALPN, if any.
    pub fn alpn(&self) -> Option<&[u8]> {
        let index = self.tunnel.facts()?.alpn?;
        self.selection.config().alpn_protocols.get(usize::from(index)).map(Vec::as_slice)
    }

    /// Returns the name that the client asked for.
    pub fn sni(&self) -> Option<&str> {
        self.sni.as_deref()
    }

    /// Returns the same name to be kept.
    pub fn shared_sni(&self) -> Option<&Arc<str>> {
        self.sni.as_ref()
    }

    /// Returns the TLS version; `None` until the handshake is over.
    pub fn version(&self) -> Option<ProtocolVersion> {
        self.tunnel.facts().map(|f| f.version)
    }

    /// Returns the cipher suite; `None` until the handshake is over.
    pub fn cipher_suite(&self) -> Option<CipherSuite> {
        self.tunnel.facts().map(|f| f.suite)
    }

    /// Returns the key exchange group; `None` until the handshake is over and for a resumed TLS 1.2
    /// session.
    pub fn group(&self) -> Option<NamedGroup> {
        self.tunnel.facts()?.group
    }

    /// Returns whether the handshake was full or resumed; `None` until it is over.
    pub fn handshake_kind(&self) -> Option<HandshakeKind> {
        self.tunnel.facts().map(|f| f.kind)
    }

    /// Returns the digest of the policy under which this session was made.
    pub fn policy(&self) -> &Digest {
        self.selection.policy()
    }

    /// Returns the name of the certificate object that was offered.
    pub fn certificate(&self) -> &Arc<str> {
        self.selection.certificate(self.picked)
    }

    /// Returns the selection from which this session was made.
    pub fn selection(&self) -> &Selection {
        &self.selection
    }

    /// Returns the index of the offered certificate in the selection.
    pub(crate) fn picked(&self) -> u8 {
        self.picked
    }

    /// Returns the client's verified certificate, if the policy asked for one and the client sent
    /// it.
    pub fn peer_certificate(&self) -> Option<&Arc<PeerCertificate>> {
        self.peer.as_ref()
    }
}

/// Checks a resumed session's client certificate, which a ticket carries unchanged: it must still
/// be valid, and must be there if the policy requires one.
fn check_resumed(policy: &Policy, common: &CommonState, now: Option<UnixTime>) -> Result<(), u8> {
    let Some(verifier) = policy.verifier() else {
        return Ok(());
    };
    let chain = common.peer_certificates().unwrap_or_default();
    let Some((leaf, intermediates)) = chain.split_first() else {
        return if policy.requires_client_certificate() {
            Err(alert::BAD_CERTIFICATE)
        } else {
            Ok(())
        };
    };
    if common.handshake_kind() != Some(rustls::HandshakeKind::Resumed) {
        return Ok(());
    }
    let now = now.ok_or(alert::INTERNAL_ERROR)?;
    match verifier.verify_client_cert(leaf, intermediates, now) {
        Ok(_) => Ok(()),
        Err(Error::InvalidCertificate(
            CertificateError::Expired | CertificateError::ExpiredContext { .. },
        )) => Err(alert::CERTIFICATE_EXPIRED),
        Err(_) => Err(alert::BAD_CERTIFICATE),
    }
}
