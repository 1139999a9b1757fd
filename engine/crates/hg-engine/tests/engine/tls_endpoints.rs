//! Endpoints over TLS: what they say before a request, and how their answers end.

use crate::common::{Node, Upstream, read_head, upstream_json};
use rustls::pki_types::PrivateKeyDer;
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use std::io::Write;
use std::sync::Arc;

/// The settings of an endpoint of TLS 1.2 with a certificate of its own.
fn settings() -> Arc<ServerConfig> {
    let made = rcgen::generate_simple_self_signed(["a.example".to_owned()]).unwrap();
    let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
    let provider = rustls::crypto::aws_lc_rs::default_provider();
    let config = ServerConfig::builder_with_provider(provider.into())
        .with_protocol_versions(&[&rustls::version::TLS12])
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![made.cert.der().clone()], key);
    Arc::new(config.unwrap())
}

/// Starts an endpoint that sends these bytes together with the end of its handshake, then answers
/// requests.
fn speaking(first: &'static [u8]) -> Upstream {
    let config = settings();
    Upstream::play(move |s| {
        let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), s);
        // The session keeps it until its last message of the handshake goes out.
        tls.conn.writer().write_all(first).unwrap();
        while read_head(&mut tls).is_some() {
            if tls.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok").is_err() {
                return;
            }
        }
    })
}

/// An answer before the request is none (RFC 9112 §9.2): the next request would get it.
#[test]
fn an_endpoint_that_speaks_before_the_request_is_refused() {
    for (first, status, error) in [
        (&b""[..], "200", ""),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nearly", "502", "data before the request"),
    ] {
        let up = speaking(first);
        let json = upstream_json(&[up.address], r#","tls":{"verify":false}"#);
        let node = Node::start(&json, "", 1);
        let answer = node.get("/");
        assert_eq!(answer.split(' ').nth(1), Some(status), "{answer}");
        let endpoint = &node.engine.status().upstreams[0].endpoints[0];
        assert!(endpoint.last_error.contains(error), "{endpoint:?}");
    }
}

/// Somebody on the way may have ended it (RFC 9112 §9.8).
#[test]
fn an_answer_without_length_is_whole_only_if_its_endpoint_says_the_end() {
    for says_it in [true, false] {
        let config = settings();
        let up = Upstream::play(move |s| {
            let mut tls = StreamOwned::new(ServerConnection::new(config.clone()).unwrap(), s);
            read_head(&mut tls);
            tls.write_all(b"HTTP/1.1 200 OK\r\n\r\nhalf of it").unwrap();
            if says_it {
                tls.conn.send_close_notify();
            }
            tls.flush().unwrap();
        });
        let json = upstream_json(&[up.address], r#","tls":{"verify":false}"#);
        let node = Node::start(&json, "", 1);
        let answer = node.get("/");
        assert!(answer.contains("half of it"), "{answer}");
        assert_eq!(answer.ends_with("\r\n0\r\n\r\n"), says_it, "{answer}");
    }
}
