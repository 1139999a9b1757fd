//! Checks that want a TLS connection alone, at endpoints that look at our certificate when our
//! handshake is over.

use crate::common::{Node, Upstream, eventually, put, read_head, upstream_json};
use hg_engine::HealthReport;
use hg_plan::{Digest, Kind};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig, ServerConnection, StreamOwned};
use std::collections::HashMap;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

/// A certificate that signs itself, and its key.
struct Own {
    cert: CertificateDer<'static>,
    key: PrivateKeyDer<'static>,
    pem: [String; 2],
}

impl Own {
    fn new(name: &str) -> Self {
        let made = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
        Self {
            cert: made.cert.der().clone(),
            key: PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap(),
            pem: [made.cert.pem(), made.signing_key.serialize_pem()],
        }
    }
}

/// Returns the settings of a TLS 1.3 server that wants the certificate of `trusted`, if any.
fn settings(trusted: Option<&Own>) -> ServerConfig {
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let builder = ServerConfig::builder_with_provider(provider.clone())
        .with_protocol_versions(&[&rustls::version::TLS13])
        .unwrap();
    let builder = match trusted {
        None => builder.with_no_client_auth(),
        Some(own) => {
            let mut roots = RootCertStore::empty();
            roots.add(own.cert.clone()).unwrap();
            let verifier = WebPkiClientVerifier::builder_with_provider(roots.into(), provider);
            builder.with_client_cert_verifier(verifier.build().unwrap())
        }
    };
    let own = Own::new("a.example");
    builder.with_single_cert(vec![own.cert], own.key).unwrap()
}

/// Serves sessions with these settings; `talk` has each one whose handshake succeeded.
fn serving(
    settings: ServerConfig,
    talk: impl Fn(&mut StreamOwned<ServerConnection, TcpStream>) + Send + Sync + 'static,
) -> Upstream {
    let settings = Arc::new(settings);
    Upstream::play(move |stream| {
        let session = ServerConnection::new(settings.clone()).unwrap();
        let mut tls = StreamOwned::new(session, stream);
        while tls.conn.is_handshaking() {
            if tls.conn.complete_io(&mut tls.sock).is_err() {
                // The alert goes out before the connection closes.
                let _ = tls.conn.write_tls(&mut tls.sock);
                return;
            }
        }
        talk(&mut tls);
    })
}

/// Answers requests, and otherwise waits for the end of the connection.
fn answers(tls: &mut StreamOwned<ServerConnection, TcpStream>) {
    while read_head(tls).is_some() {
        if tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
            return;
        }
    }
}

/// Starts a node that checks the endpoint with this certificate, if any, and this timeout.
fn checking(up: &Upstream, own: Option<&Own>, timeout_ms: u64) -> Node {
    let mut blobs: HashMap<String, Arc<[u8]>> = HashMap::new();
    let mut changes = Vec::new();
    let mut named = "";
    if let Some(own) = own {
        let [cert, key] = own.pem.clone().map(|text| {
            let hex = Digest::of(text.as_bytes()).hex();
            blobs.insert(hex.clone(), text.into_bytes().into());
            hex
        });
        let json = format!(r#"{{"cert":"{cert}","key":"{key}"}}"#);
        changes.push(put(Kind::Certificate, "own", json));
        named = r#","client_certificate":"own""#;
    }
    let tls = format!(r#""tls":{{"verify":false,"verify_name":"a.example"{named}}}"#);
    let times = format!(r#""timeout_ms":{timeout_ms},"interval_ms":30,"max_interval_ms":60"#);
    let rest = format!(r#","health":{{"check":{{{times}}}}},{tls}"#);
    changes.push(put(Kind::Upstream, "u", upstream_json(&[up.address], &rest)));
    let mut node = Node::simple(up);
    node.apply_with(&changes, &|sha| blobs.get(sha).cloned());
    node
}

fn health(node: &Node) -> HealthReport {
    node.engine.status().upstreams[0].endpoints[0].health.clone()
}

#[test]
fn a_check_of_a_connection_alone_sees_that_our_certificate_is_refused_late() {
    let (trusted, other) = (Own::new("trusted"), Own::new("other"));
    let up = serving(settings(Some(&trusted)), answers);
    for own in [None, Some(&other)] {
        let node = checking(&up, own, 60_000);
        eventually("it is down", || health(&node).state == "down");
        assert_eq!(health(&node).reason, "check-tls");
    }
    let node = checking(&up, Some(&trusted), 60_000);
    eventually("it is checked", || health(&node).checks_passed > 1);
    assert_eq!(health(&node).checks_failed, 0);
    assert!(node.get("/").ends_with("ok"));
}

#[test]
fn an_endpoint_that_says_nothing_after_the_handshake_is_well_after_a_grace() {
    let mut silent = settings(None);
    silent.send_tls13_tickets = 0;
    silent.session_storage = Arc::new(NoServerSessionStorage {});
    let up = serving(silent, |tls| {
        let _ = tls.read(&mut [0]);
    });
    // Where the check has less time than the grace, it passes at the end of that.
    for timeout_ms in [5_000, 400] {
        let node = checking(&up, None, timeout_ms);
        eventually("it has passed", || health(&node).checks_passed > 0);
        assert_eq!(health(&node).state, "up");
    }
}

#[test]
fn an_endpoint_that_ends_the_session_in_good_order_is_well_and_one_that_breaks_it_off_is_not() {
    let is_orderly = Arc::new(AtomicBool::new(false));
    let orderly = is_orderly.clone();
    let mut silent = settings(None);
    silent.send_tls13_tickets = 0;
    silent.session_storage = Arc::new(NoServerSessionStorage {});
    let up = serving(silent, move |tls| {
        if orderly.load(SeqCst) {
            tls.conn.send_close_notify();
            let _ = tls.flush();
        }
    });
    let node = checking(&up, None, 60_000);
    eventually("it is down", || health(&node).state == "down");
    assert_eq!(health(&node).reason, "check-tls");
    is_orderly.store(true, SeqCst);
    eventually("it is up", || health(&node).state == "up");
}
