//! A listener with a certificate of its own, and clients that trust it.

use super::{Node, put};
use hg_plan::{Digest, Kind};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use std::collections::HashMap;
use std::net::TcpStream;
use std::sync::Arc;

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// What a client needs to trust the node.
pub struct Authority(CertificateDer<'static>);

impl Authority {
    /// Gives the node's listener TLS, for `a.example`.
    pub fn serve(node: &mut Node) -> Self {
        Self::serve_with(node, "")
    }

    /// Gives the node's listener TLS with a policy of these further keys.
    pub fn serve_with(node: &mut Node, policy: &str) -> Self {
        let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
        let mut blobs: HashMap<String, Arc<[u8]>> = HashMap::new();
        let mut blob = |text: String| {
            let hex = Digest::of(text.as_bytes()).hex();
            blobs.insert(hex.clone(), text.into_bytes().into());
            hex
        };
        let (cert, key) = (blob(made.cert.pem()), blob(made.signing_key.serialize_pem()));
        let listener = node.listener_json(r#","tls":{"default_certificate":"c","policy":"p"}"#);
        let changes = [
            put(Kind::TlsPolicy, "p", format!(r#"{{"tickets":true{policy}}}"#)),
            put(Kind::Certificate, "c", format!(r#"{{"cert":"{cert}","key":"{key}"}}"#)),
            put(Kind::Host, "a.example", r#"{"certificates":["c"]}"#),
            put(Kind::Listener, "web", listener),
        ];
        node.apply_with(&changes, &|sha| blobs.get(sha).cloned());
        Self(made.cert.der().clone())
    }

    /// Opens a client's session on a connection to the node.
    pub fn connect(&self, node: &Node) -> TlsStream {
        self.connect_with(node, &[])
    }

    /// Opens a client's session that offers these protocols by ALPN.
    pub fn connect_with(&self, node: &Node, alpn: &[&[u8]]) -> TlsStream {
        self.over(node.connect(), alpn)
    }

    /// Opens such a session on this connection.
    pub fn over(&self, stream: TcpStream, alpn: &[&[u8]]) -> TlsStream {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        let name = ServerName::try_from("a.example").unwrap();
        let session = ClientConnection::new(config.into(), name).unwrap();
        StreamOwned::new(session, stream)
    }
}
