//! A listener with a certificate of its own, and clients that trust it.

use super::{Node, Upstream, put, route_json};
use hg_plan::{Digest, Kind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use rustls::{ServerConfig, ServerConnection, SupportedProtocolVersion};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;

pub type TlsStream = StreamOwned<ClientConnection, TcpStream>;

/// Starts a node with TLS, with a policy of these further keys, that answers by itself, as an endpoint
/// for another node.
pub fn own_answers(policy: &str) -> Node {
    let mut node = Node::simple(&Upstream::answering(b""));
    let own =
        route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":200,"body":"own"}"#);
    node.apply(&[put(Kind::Route, "r", own)]);
    Authority::serve_with(&mut node, policy);
    node
}

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
        session(self.config(alpn).into(), stream)
    }

    /// Returns what a client needs to offer these protocols; it resumes its sessions.
    pub fn config(&self, alpn: &[&[u8]]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.clone()).unwrap();
        let provider = rustls::crypto::aws_lc_rs::default_provider();
        let mut config = ClientConfig::builder_with_provider(provider.into())
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
        config
    }
}

/// Opens a client's session of this configuration.
pub fn session(config: Arc<ClientConfig>, stream: TcpStream) -> TlsStream {
    let name = ServerName::try_from("a.example").unwrap();
    StreamOwned::new(ClientConnection::new(config, name).unwrap(), stream)
}

/// Returns what an endpoint needs for this version; nobody vouches for its certificate.
pub fn server_config(version: &'static SupportedProtocolVersion) -> ServerConfig {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[version])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key)
        .unwrap()
}

/// Starts an endpoint of this version that ends its session with its handshake.
pub fn ending(version: &'static SupportedProtocolVersion) -> Upstream {
    let config = Arc::new(server_config(version));
    Upstream::play(move |mut s| {
        let mut tls = ServerConnection::new(config.clone()).unwrap();
        while tls.is_handshaking() {
            if tls.wants_write() {
                tls.write_tls(&mut s).unwrap();
            } else if !matches!(tls.read_tls(&mut s), Ok(1..)) || tls.process_new_packets().is_err()
            {
                let _ = tls.write_tls(&mut s);
                return;
            }
        }
        // The last message of the handshake, and the end, in one piece.
        tls.send_close_notify();
        let mut last = Vec::new();
        while tls.wants_write() {
            tls.write_tls(&mut last).unwrap();
        }
        let _ = s.write_all(&last);
        let _ = s.read_to_end(&mut Vec::new());
    })
}
