//! The facts about the TLS of a client's connection that requests, templates and logs get.

use super::Worker;
use super::conn::{Conn, Session};
use super::exchange::ExId;
use crate::snapshot::RouteEntry;
use hg_log::CertificateRecord;
use hg_middleware::{Client, ClientTls, RequestView};
use hg_route::ClientCertificate;
use hg_tls::PeerCertificate;
use std::sync::Arc;

/// The version of TLS, and the name that the client asked for.
pub(super) type KeptTls = (&'static str, Option<Arc<str>>);

/// Converts a client's certificate to the form that templates use.
pub(crate) fn of_peer(peer: &PeerCertificate) -> ClientCertificate<'_> {
    let PeerCertificate { subject, fingerprint, names, spiffe } = peer;
    ClientCertificate { subject, fingerprint, names: names.as_deref(), spiffe }
}

/// Returns a request whose connection is known.
pub(super) fn told<'a>(view: &RequestView<'a>, (version, sni): &'a KeptTls) -> RequestView<'a> {
    let tls = Some(ClientTls { version, sni: sni.as_deref().unwrap_or_default() });
    RequestView { client: Client { tls, ..view.client }, ..*view }
}

impl Worker {
    /// Returns what middlewares are told of a connection. A route without them never asks.
    pub(super) fn kept_tls(
        &self,
        x: ExId,
        view: &RequestView<'_>,
        route: &RouteEntry,
    ) -> Option<KeptTls> {
        if view.scheme != "https" || route.terms.chain.is_empty() {
            return None;
        }
        self.clients.get(self.exchanges.get(x)?.client)?.conn.kept_tls()
    }
}

impl Conn {
    /// Returns the name that a client asked for in its handshake.
    pub(crate) fn sni(&self) -> Option<&str> {
        match self.session()? {
            Session::Server(session) => session.sni(),
            Session::Client(_) => None,
        }
    }

    /// Returns the client's verified certificate, if it sent one.
    pub(crate) fn peer_certificate(&self) -> Option<&Arc<PeerCertificate>> {
        match self.session()? {
            Session::Server(session) => session.peer_certificate(),
            Session::Client(_) => None,
        }
    }

    /// Returns the client's verified certificate in the form that templates use.
    pub(crate) fn client_certificate(&self) -> Option<ClientCertificate<'_>> {
        self.peer_certificate().map(|peer| of_peer(peer))
    }

    /// Returns the client's verified certificate in the form that the log uses.
    pub(crate) fn certificate_record(&self) -> Option<CertificateRecord<'_>> {
        let ClientCertificate { subject, fingerprint, names, spiffe } =
            self.client_certificate()?;
        let names = names.unwrap_or_default();
        Some(CertificateRecord { subject, names, spiffe, fingerprint })
    }

    /// Returns `TLSv1.2` or `TLSv1.3`; nothing on a plain connection.
    pub(crate) fn tls_version(&self) -> Option<&'static str> {
        let session = self.session()?;
        Some(if session.version_word() == "1.2" { "TLSv1.2" } else { "TLSv1.3" })
    }

    /// Returns what templates use of its TLS, if it has any.
    pub(crate) fn client_tls(&self) -> Option<ClientTls<'_>> {
        Some(ClientTls { version: self.tls_version()?, sni: self.sni().unwrap_or_default() })
    }

    /// Returns the same to be kept for a request: the version, and the name that was asked for.
    fn kept_tls(&self) -> Option<KeptTls> {
        let Session::Server(session) = self.session()? else { return None };
        Some((self.tls_version()?, session.shared_sni().cloned()))
    }
}
