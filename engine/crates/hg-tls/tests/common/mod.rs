//! A small world for TLS tests: an authority, a plan under construction with its blobs, and clients.
#![allow(dead_code, reason = "each test binary uses its own part")]

use hg_plan::{Change, Digest, Kind, ObjectError, Plan};
use hg_tls::{Received, Selection, Selector, ServerSession, Ticketer, TlsContext, TlsError};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, SignatureAlgorithm,
};
use rustls::client::{ClientConnectionData, Resumption};
use rustls::crypto::aws_lc_rs as provider;
use rustls::{ClientConfig, ClientConnection, ConnectionCommon, RootCertStore};
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::sync::Arc;

pub const SECRET_A: &str = "1111111111111111111111111111111111111111111111111111111111111111";
pub const SECRET_B: &str = "2222222222222222222222222222222222222222222222222222222222222222";

/// An authority that signs what tests need.
pub struct Authority {
    pub issuer: Issuer<'static, KeyPair>,
    pub pem: String,
    pub der: CertificateDer<'static>,
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(&key).unwrap();
        Self {
            pem: certificate.pem(),
            der: certificate.der().clone(),
            issuer: Issuer::new(params, key),
        }
    }

    /// Returns (chain, key), both PEM.
    pub fn issue(&self, names: &[&str], key: &KeyPair) -> String {
        self.issue_for(names, key, (2020, 2096))
    }

    pub fn issue_for(&self, names: &[&str], key: &KeyPair, years: (i32, i32)) -> String {
        let names: Vec<String> = names.iter().map(|n| (*n).to_owned()).collect();
        let mut params = CertificateParams::new(names.clone()).unwrap();
        params.not_before = rcgen::date_time_ymd(years.0, 1, 1);
        params.not_after = rcgen::date_time_ymd(years.1, 1, 1);
        params
            .distinguished_name
            .push(DnType::CommonName, names.first().map_or("", String::as_str));
        params.distinguished_name.push(DnType::OrganizationName, "Ex, ample");
        params.signed_by(key, &self.issuer).unwrap().pem()
    }

    /// Issues a certificate with the given serial number.
    pub fn issue_serial(&self, name: &str, key: &KeyPair, serial: u64) -> String {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.serial_number = Some(rcgen::SerialNumber::from(serial));
        params.distinguished_name.push(DnType::CommonName, name);
        params.signed_by(key, &self.issuer).unwrap().pem()
    }

    pub fn roots(&self) -> RootCertStore {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone()).unwrap();
        roots
    }
}

pub fn key(algorithm: &'static SignatureAlgorithm) -> KeyPair {
    KeyPair::generate_for(algorithm).unwrap()
}

pub fn ecdsa() -> KeyPair {
    key(&rcgen::PKCS_ECDSA_P256_SHA256)
}

/// Makes an RSA key of 2048 bits.
pub fn rsa() -> KeyPair {
    KeyPair::generate_rsa_for(&rcgen::PKCS_RSA_SHA256, rcgen::RsaKeySize::_2048).unwrap()
}

/// A plan under construction.
#[derive(Clone, Default)]
pub struct World {
    pub plan: Plan,
    pub blobs: HashMap<String, Arc<[u8]>>,
}

impl World {
    pub fn put(&mut self, kind: Kind, name: &str, json: &str) -> &mut Self {
        let bytes = Some(json.as_bytes().to_vec());
        self.plan.apply(&[Change { kind, name: name.into(), bytes }]).unwrap();
        self
    }

    pub fn blob(&mut self, content: &[u8]) -> String {
        let hex = Digest::of(content).hex();
        self.blobs.insert(hex.clone(), content.into());
        hex
    }

    pub fn certificate(&mut self, name: &str, cert_pem: &str, key_pem: &str) -> &mut Self {
        let (cert, key) = (self.blob(cert_pem.as_bytes()), self.blob(key_pem.as_bytes()));
        self.put(Kind::Certificate, name, &format!(r#"{{"cert":"{cert}","key":"{key}"}}"#))
    }

    pub fn listener(&mut self, tls: &str) -> &mut Self {
        let json = format!(r#"{{"addresses":["127.0.0.1:1"],"protocol":"http","tls":{tls}}}"#);
        self.put(Kind::Listener, "l", &json)
    }

    pub fn build(
        &self,
        ticketer: &Arc<Ticketer>,
        previous: Option<&TlsContext>,
    ) -> Result<TlsContext, Vec<ObjectError>> {
        TlsContext::build(&self.plan, &|sha| self.blobs.get(sha).cloned(), ticketer, previous)
    }

    /// Returns what is wrong with the plan.
    pub fn errors(&self) -> Vec<String> {
        let errors = self.build(&ticketer(), None).map(|_| ()).unwrap_err();
        errors.iter().map(|e| format!("{}: {}: {}", e.name, e.path, e.message)).collect()
    }

    pub fn context(&self) -> TlsContext {
        self.build(&ticketer(), None).unwrap()
    }
}

pub fn ticketer() -> Arc<Ticketer> {
    Ticketer::new(&[SECRET_A]).unwrap()
}

/// One listener, one certificate for a.example and *.wild.example.
pub fn simple(ca: &Authority) -> World {
    let mut world = World::default();
    let key = ecdsa();
    let pem = ca.issue(&["a.example", "*.wild.example"], &key);
    world
        .certificate("a", &pem, &key.serialize_pem())
        .put(Kind::Host, "a.example", r#"{"certificates":["a"]}"#)
        .listener("{}");
    world
}

pub fn selector(context: &TlsContext) -> Arc<Selector> {
    context.listener("l").unwrap().clone()
}

pub fn select(context: &TlsContext, sni: &str) -> Selection {
    selector(context).select(Some(sni)).unwrap()
}

pub fn session(context: &TlsContext, sni: &str) -> ServerSession {
    ServerSession::new(select(context, sni), Some(sni)).unwrap()
}

/// How a test client differs from the usual one.
#[derive(Clone)]
pub struct ClientOptions {
    pub versions: Vec<&'static rustls::SupportedProtocolVersion>,
    pub groups: Vec<&'static dyn rustls::crypto::SupportedKxGroup>,
    pub suites: Option<Vec<rustls::SupportedCipherSuite>>,
    pub alpn: Vec<Vec<u8>>,
    pub identity: Option<(String, String)>,
}

impl Default for ClientOptions {
    fn default() -> Self {
        Self {
            versions: vec![&rustls::version::TLS13],
            groups: vec![provider::kx_group::X25519],
            suites: None,
            alpn: vec![b"http/1.1".to_vec()],
            identity: None,
        }
    }
}

pub fn client_config(ca: &Authority, options: &ClientOptions) -> Arc<ClientConfig> {
    use rustls_pki_types::pem::PemObject;
    let mut crypto = provider::default_provider();
    crypto.kx_groups = options.groups.clone();
    if let Some(suites) = &options.suites {
        crypto.cipher_suites = suites.clone();
    }
    let builder = ClientConfig::builder_with_provider(Arc::new(crypto))
        .with_protocol_versions(&options.versions)
        .unwrap()
        .with_root_certificates(ca.roots());
    let mut config = match &options.identity {
        None => builder.with_no_client_auth(),
        Some((cert, key)) => builder
            .with_client_auth_cert(
                vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()],
                PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap(),
            )
            .unwrap(),
    };
    config.alpn_protocols = options.alpn.clone();
    config.resumption = Resumption::in_memory_sessions(32);
    Arc::new(config)
}

pub fn client(config: &Arc<ClientConfig>, name: &str) -> ClientConnection {
    ClientConnection::new(config.clone(), ServerName::try_from(name.to_owned()).unwrap()).unwrap()
}

/// A server session with its pending input and its output.
pub struct Server {
    pub session: ServerSession,
    pub pending: Vec<u8>,
    pub plain: Vec<u8>,
    pub out: Vec<u8>,
    pub last: Received,
    pub error: Option<TlsError>,
}

impl Server {
    pub fn new(session: ServerSession) -> Self {
        Self {
            session,
            pending: Vec::new(),
            plain: Vec::new(),
            out: Vec::new(),
            last: Received::default(),
            error: None,
        }
    }

    /// Feeds bytes in pieces of at most `step`.
    pub fn feed(&mut self, bytes: &[u8], step: usize) {
        for piece in bytes.chunks(step) {
            self.pending.extend_from_slice(piece);
            match self.session.receive(&mut self.pending, &mut self.plain, &mut self.out) {
                Ok(received) => {
                    self.pending.drain(..received.consumed);
                    self.last = received;
                }
                Err(e) => {
                    self.error = Some(e);
                    return;
                }
            }
        }
    }
}

pub fn take(client: &mut ConnectionCommon<ClientConnectionData>) -> Vec<u8> {
    let mut bytes = Vec::new();
    while client.wants_write() {
        client.write_tls(&mut bytes).unwrap();
    }
    bytes
}

pub fn give(
    client: &mut ConnectionCommon<ClientConnectionData>,
    mut bytes: &[u8],
) -> Result<(), rustls::Error> {
    while !bytes.is_empty() {
        client.read_tls(&mut bytes).unwrap();
        client.process_new_packets()?;
    }
    Ok(())
}

/// Passes bytes between both sides until neither has any to send; returns the client's error, if
/// any.
pub fn converse(
    client: &mut ClientConnection,
    server: &mut Server,
    step: usize,
) -> Result<(), rustls::Error> {
    loop {
        let bytes = take(client);
        server.feed(&bytes, step);
        let answer = std::mem::take(&mut server.out);
        if bytes.is_empty() && answer.is_empty() {
            return Ok(());
        }
        give(client, &answer)?;
        if server.error.is_some() {
            return Ok(());
        }
    }
}

pub fn connect(
    config: &Arc<ClientConfig>,
    context: &TlsContext,
    sni: &str,
) -> (ClientConnection, Server) {
    let mut client = client(config, sni);
    let mut server = Server::new(session(context, sni));
    converse(&mut client, &mut server, usize::MAX).unwrap();
    assert_eq!(server.error, None);
    assert!(server.last.handshake_done && !client.is_handshaking());
    (client, server)
}

/// Sends text in both directions.
pub fn exchange(client: &mut ClientConnection, server: &mut Server) {
    client.writer().write_all(b"question").unwrap();
    server.session.send(b"answer", &mut server.out).unwrap();
    converse(client, server, usize::MAX).unwrap();
    assert_eq!(server.plain, b"question");
    assert_eq!(read(client), b"answer");
    server.plain.clear();
}

pub fn read(client: &mut ClientConnection) -> Vec<u8> {
    let mut text = Vec::new();
    let _ = client.reader().read_to_end(&mut text);
    text
}
