//! TLS towards upstreams: our client against our server and against rustls' own.

use crate::common::*;
use hg_plan::Kind;
use hg_tls::{
    ClientSession, ClientTls, HandshakeKind, Received, ServerSession, TlsContext, TlsError,
    TlsErrorKind,
};
use std::sync::Arc;

/// A world like `simple`, with an upstream `u` that has this TLS.
fn world(ca: &Authority, tls: &str) -> World {
    let mut world = simple(ca);
    upstream(&mut world, tls);
    world
}

fn upstream(world: &mut World, tls: &str) {
    let json = format!(r#"{{"endpoints":[{{"address":"a.example:443"}}],"tls":{tls}}}"#);
    world.put(Kind::Upstream, "u", &json);
}

fn trusting(ca: &Authority, more: &str) -> (World, Arc<ClientTls>) {
    let mut world = simple(ca);
    let bundle = world.blob(ca.pem.as_bytes());
    upstream(&mut world, &format!(r#"{{"ca":"{bundle}"{more}}}"#));
    let client = world.context().upstream("u").unwrap().clone();
    (world, client)
}

/// One end of a connection between our two kinds of session.
struct End<S> {
    session: S,
    pending: Vec<u8>,
    plain: Vec<u8>,
    out: Vec<u8>,
    last: Received,
}

impl<S> End<S> {
    fn new(session: S) -> Self {
        let (pending, plain, out) = Default::default();
        Self { session, pending, plain, out, last: Received::default() }
    }
}

trait Side {
    fn take_in(
        &mut self,
        i: &mut [u8],
        p: &mut Vec<u8>,
        o: &mut Vec<u8>,
    ) -> Result<Received, TlsError>;
}
impl Side for ServerSession {
    fn take_in(
        &mut self,
        i: &mut [u8],
        p: &mut Vec<u8>,
        o: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        self.receive(i, p, o)
    }
}
impl Side for ClientSession {
    fn take_in(
        &mut self,
        i: &mut [u8],
        p: &mut Vec<u8>,
        o: &mut Vec<u8>,
    ) -> Result<Received, TlsError> {
        self.receive(i, p, o)
    }
}

fn feed<S: Side>(end: &mut End<S>, bytes: &[u8], step: usize) -> Result<(), TlsError> {
    for piece in bytes.chunks(step) {
        end.pending.extend_from_slice(piece);
        end.last = end.session.take_in(&mut end.pending, &mut end.plain, &mut end.out)?;
        end.pending.drain(..end.last.consumed);
    }
    Ok(())
}

type Pair = (End<ClientSession>, End<ServerSession>);

/// Passes bytes between both sides; returns the client's error, or else the server's.
fn settle((client, server): &mut Pair, step: usize) -> Result<(), TlsError> {
    while !client.out.is_empty() || !server.out.is_empty() {
        let bytes = std::mem::take(&mut client.out);
        let served = feed(server, &bytes, step);
        let bytes = std::mem::take(&mut server.out);
        feed(client, &bytes, step)?;
        served?;
    }
    Ok(())
}

fn meet(tls: &ClientTls, host: &str, context: &TlsContext, step: usize) -> Result<Pair, TlsError> {
    let mut client = End::new(tls.session(host)?);
    client.session.start(&mut client.out)?;
    let hello = hg_tls::peek_client_hello(&client.out).unwrap();
    let hg_tls::Parse::Complete(hello) = hello else { panic!("a whole hello") };
    let session = session_for(context, hello.sni.as_deref());
    let mut pair = (client, End::new(session));
    settle(&mut pair, step)?;
    assert!(pair.0.last.handshake_done && pair.1.last.handshake_done);
    Ok(pair)
}

fn session_for(context: &TlsContext, sni: Option<&str>) -> ServerSession {
    ServerSession::new(select(context, "a.example"), sni).unwrap()
}

fn exchange_both(pair: &mut Pair) {
    pair.0.session.send(b"question", &mut pair.0.out).unwrap();
    settle(pair, usize::MAX).unwrap();
    pair.1.session.send(b"answer", &mut pair.1.out).unwrap();
    settle(pair, usize::MAX).unwrap();
    assert_eq!((&pair.1.plain[..], &pair.0.plain[..]), (&b"question"[..], &b"answer"[..]));
    pair.0.plain.clear();
    pair.1.plain.clear();
}

#[test]
fn our_client_and_server_talk_at_every_read_size() {
    let ca = Authority::new("ca");
    let (world, tls) = trusting(&ca, "");
    let context = world.context();
    for step in (1..60).chain([usize::MAX]) {
        let mut pair = meet(&tls, "a.example", &context, step).unwrap();
        exchange_both(&mut pair);
        assert_eq!(pair.0.session.alpn(), Some(&b"http/1.1"[..]));
        assert_eq!(pair.1.session.sni(), Some("a.example"));
        let peer = pair.0.session.peer_certificate().unwrap();
        assert_eq!(&*peer.subject, "O=Ex\\, ample,CN=a.example");
        pair.0.session.close(&mut pair.0.out);
        settle(&mut pair, step).unwrap();
        assert!(pair.1.last.peer_closed);
    }
}

#[test]
fn sessions_to_an_upstream_are_resumed() {
    let ca = Authority::new("ca");
    let (world, tls) = trusting(&ca, "");
    let context = world.context();
    let mut kinds = Vec::new();
    for _ in 0..3 {
        let mut pair = meet(&tls, "a.example", &context, 100).unwrap();
        exchange_both(&mut pair);
        kinds.push(pair.0.session.handshake_kind().unwrap());
    }
    assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
}

#[test]
fn the_wrong_name_or_authority_is_refused_with_an_alert() {
    let ca = Authority::new("ca");
    let (world, tls) = trusting(&ca, "");
    let context = world.context();
    let mut stranger = world.clone();
    let bundle = stranger.blob(Authority::new("other").pem.as_bytes());
    upstream(&mut stranger, &format!(r#"{{"ca":"{bundle}"}}"#));
    let stranger = stranger.context().upstream("u").unwrap().clone();
    for (tls, host) in [(&tls, "b.example"), (&tls, "192.0.2.1"), (&stranger, "a.example")] {
        let mut client = End::new(tls.session(host).unwrap());
        client.session.start(&mut client.out).unwrap();
        let mut server = End::new(session_for(&context, None));
        feed(&mut server, &client.out, usize::MAX).unwrap();
        client.out.clear();
        let error = feed(&mut client, &server.out, usize::MAX).unwrap_err();
        assert_eq!(error.kind(), TlsErrorKind::Certificate, "{host}");
        let error = feed(&mut server, &client.out, usize::MAX).unwrap_err();
        assert_eq!(error.kind(), TlsErrorKind::Alert, "{host}");
    }
}

#[test]
fn without_verification_any_certificate_will_do() {
    let ca = Authority::new("ca");
    let world = world(&ca, r#"{"verify":false}"#);
    let context = world.context();
    let tls = context.upstream("u").unwrap();
    for host in ["b.example", "192.0.2.1"] {
        exchange_both(&mut meet(tls, host, &context, usize::MAX).unwrap());
    }
}

#[test]
fn verify_name_is_what_is_sent_and_verified() {
    let ca = Authority::new("ca");
    let (world, tls) = trusting(&ca, r#","verify_name":"a.example""#);
    let context = world.context();
    for host in ["10.0.0.1", "/run/a.sock"] {
        let pair = meet(&tls, host, &context, usize::MAX).unwrap();
        assert_eq!(pair.1.session.sni(), Some("a.example"));
    }
    let (_, without) = trusting(&ca, "");
    assert!(without.session("/run/a.sock").is_err());
}

#[test]
fn the_client_certificate_is_offered_where_it_is_asked_for() {
    let ca = Authority::new("ca");
    let (mut world, _) = trusting(&ca, r#","client_certificate":"a""#);
    let bundle = world.blob(ca.pem.as_bytes());
    let policy = format!(r#"{{"client_auth":{{"ca":"{bundle}"}}}}"#);
    world.put(Kind::TlsPolicy, "default", &policy);
    let context = world.context();
    let mut pair = meet(context.upstream("u").unwrap(), "a.example", &context, usize::MAX).unwrap();
    exchange_both(&mut pair);
    assert!(pair.1.session.peer_certificate().is_some());
    let plain = trusting(&ca, "").1;
    assert!(meet(&plain, "a.example", &context, usize::MAX).is_err());
}

#[test]
fn the_lowest_version_is_kept_to() {
    let ca = Authority::new("ca");
    let (mut world, new) = trusting(&ca, r#","min_version":"1.3""#);
    world.put(Kind::TlsPolicy, "default", r#"{"max_version":"1.2"}"#);
    let context = world.context();
    assert!(meet(&new, "a.example", &context, usize::MAX).is_err());
    let old = trusting(&ca, "").1;
    let mut pair = meet(&old, "a.example", &context, 7).unwrap();
    exchange_both(&mut pair);
    assert_eq!(pair.0.session.version(), Some(rustls::ProtocolVersion::TLSv1_2));
}

#[test]
fn the_digest_names_what_a_pooled_connection_depends_on() {
    let ca = Authority::new("ca");
    let variants = [
        "",
        r#","verify_name":"a.example""#,
        r#","min_version":"1.3""#,
        r#","client_certificate":"a""#,
    ];
    let digests: Vec<_> = variants.iter().map(|v| *trusting(&ca, v).1.digest()).collect();
    let distinct: std::collections::HashSet<_> = digests.iter().collect();
    // The last one depends on a certificate that each world makes anew; the others do not.
    assert_eq!(distinct.len(), variants.len());
    assert_eq!(*trusting(&ca, "").1.digest(), digests[0]);
}
