//! Sessions with real clients: bytes in, bytes out.

use crate::common::*;
use hg_tls::{HandshakeKind, TlsErrorKind};
use rustls::version::{TLS12, TLS13};
use std::io::Write;

fn versions() -> [ClientOptions; 2] {
    [&TLS12, &TLS13].map(|v| ClientOptions { versions: vec![v], ..ClientOptions::default() })
}

#[test]
fn a_handshake_and_traffic_work_at_every_read_size() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for options in versions() {
        let config = client_config(&ca, &options);
        for step in (1..80).chain([100, 333, 1000, 5000]) {
            let mut client = client(&config, "a.example");
            let mut server = Server::new(session(&context, "a.example"));
            converse(&mut client, &mut server, step).unwrap();
            assert!(server.last.handshake_done, "step {step}");
            assert_eq!(server.pending, b"");
            client.writer().write_all(&[7; 40_000]).unwrap();
            converse(&mut client, &mut server, step).unwrap();
            assert_eq!(server.plain, [7; 40_000]);
        }
    }
}

#[test]
fn accessors_tell_what_was_agreed() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    let (mut client, mut server) =
        connect(&client_config(&ca, &ClientOptions::default()), &context, "a.example");
    exchange(&mut client, &mut server);
    let s = &server.session;
    assert_eq!(s.alpn(), Some(&b"http/1.1"[..]));
    assert_eq!(s.sni(), Some("a.example"));
    assert_eq!(s.version(), Some(rustls::ProtocolVersion::TLSv1_3));
    assert_eq!(s.cipher_suite(), Some(rustls::CipherSuite::TLS13_AES_128_GCM_SHA256));
    assert_eq!(&**s.certificate(), "a");
    assert_eq!(s.handshake_kind(), Some(HandshakeKind::Full));
    assert_eq!(s.peer_certificate(), None);
    assert_eq!(s.group(), Some(rustls::NamedGroup::X25519));
    assert!(s.is_established());
}

#[test]
fn large_answers_leave_as_full_records_and_arrive_whole() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for options in versions() {
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        let body: Vec<u8> = (0..200_000u32).map(|i| i as u8).collect();
        server.session.send(&body, &mut server.out).unwrap();
        let (mut got, mut at) = (Vec::new(), 0);
        let mut records = 0;
        while at < server.out.len() {
            let len = usize::from(u16::from_be_bytes([server.out[at + 3], server.out[at + 4]]));
            give(&mut client, &server.out[at..at + 5 + len]).unwrap();
            got.extend(read(&mut client));
            at += 5 + len;
            records += 1;
        }
        assert_eq!(records, 200_000usize.div_ceil(16 * 1024));
        assert_eq!(got, body);
        server.out.clear();
        server.session.send(b"", &mut server.out).unwrap();
        assert_eq!(server.out, b"", "nothing to send makes no record");
    }
}

#[test]
fn close_notify_is_sent_once_and_seen() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for options in versions() {
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        client.send_close_notify();
        let bytes = take(&mut client);
        server.feed(&bytes, usize::MAX);
        assert!(server.last.peer_closed);
        server.session.send(b"still open this way", &mut server.out).unwrap();
        server.session.close(&mut server.out);
        let once = server.out.len();
        server.session.close(&mut server.out);
        assert_eq!(server.out.len(), once);
        give(&mut client, &server.out).unwrap();
        assert_eq!(read(&mut client), b"still open this way");
        assert!(client.process_new_packets().unwrap().peer_has_closed());
        assert!(server.session.send(b"x", &mut server.out).is_err());
    }
}

#[test]
fn peer_closed_stays_reported() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    let (mut client, mut server) =
        connect(&client_config(&ca, &ClientOptions::default()), &context, "a.example");
    client.send_close_notify();
    let bytes = take(&mut client);
    server.feed(&bytes, usize::MAX);
    let again = server.session.receive(&mut [], &mut server.plain, &mut server.out).unwrap();
    assert!(again.peer_closed);
}

#[test]
fn key_updates_from_the_client_are_followed_and_answered() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    let (mut client, mut server) =
        connect(&client_config(&ca, &ClientOptions::default()), &context, "a.example");
    for _ in 0..5 {
        client.refresh_traffic_keys().unwrap();
        exchange(&mut client, &mut server);
        exchange(&mut client, &mut server);
    }
}

#[test]
fn a_tampered_record_ends_the_session_with_an_alert() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for options in versions() {
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        client.writer().write_all(b"question").unwrap();
        let mut bytes = take(&mut client);
        *bytes.last_mut().unwrap() ^= 1;
        server.feed(&bytes, usize::MAX);
        assert_eq!(server.error.as_ref().unwrap().kind(), TlsErrorKind::Protocol);
        assert_eq!(server.plain, b"");
        let e = give(&mut client, &server.out).unwrap_err();
        assert_eq!(e, rustls::Error::AlertReceived(rustls::AlertDescription::BadRecordMac));
        assert!(server.session.send(b"x", &mut Vec::new()).is_err());
        let again = server.session.receive(&mut [], &mut Vec::new(), &mut Vec::new());
        assert!(again.is_err(), "a session that failed stays failed");
    }
}

#[test]
fn no_common_protocol_or_version_is_answered_with_an_alert() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world
        .put(hg_plan::Kind::TlsPolicy, "new", r#"{"min_version":"1.3"}"#)
        .listener(r#"{"policy":"new"}"#);
    let context = world.context();
    let cases = [
        (
            ClientOptions { alpn: vec![b"h3".to_vec()], ..ClientOptions::default() },
            rustls::AlertDescription::NoApplicationProtocol,
        ),
        (
            ClientOptions { versions: vec![&TLS12], ..ClientOptions::default() },
            rustls::AlertDescription::ProtocolVersion,
        ),
    ];
    for (options, alert) in cases {
        let mut client = client(&client_config(&ca, &options), "a.example");
        let mut server = Server::new(session(&context, "a.example"));
        let e = converse(&mut client, &mut server, usize::MAX).unwrap_err();
        assert_eq!(e, rustls::Error::AlertReceived(alert));
    }
}

#[test]
fn sending_before_the_handshake_is_refused() {
    let ca = Authority::new("ca");
    let mut session = session(&simple(&ca).context(), "a.example");
    let mut out = Vec::new();
    assert!(session.send(b"early", &mut out).is_err());
    assert_eq!(out, b"");
}

#[test]
fn hybrid_key_exchange_is_used_where_the_client_offers_it() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    let groups = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
    let options = ClientOptions { groups, ..ClientOptions::default() };
    let (client, _) = connect(&client_config(&ca, &options), &context, "a.example");
    assert_eq!(
        client.negotiated_key_exchange_group().unwrap().name(),
        rustls::NamedGroup::X25519MLKEM768
    );
}

/// Damages the client's flights of one handshake at one place: there is never a panic, and either
/// the handshake still works or an alert reports that it does not.
fn damaged(
    ca: &Authority,
    context: &hg_tls::TlsContext,
    options: &ClientOptions,
    at: usize,
    to: u8,
    step: usize,
) {
    let mut client = client(&client_config(ca, options), "a.example");
    let mut server = Server::new(session(context, "a.example"));
    let mut sent = 0;
    loop {
        let mut bytes = take(&mut client);
        if let Some(b) = at.checked_sub(sent).and_then(|i| bytes.get_mut(i)) {
            *b ^= to;
        }
        sent += bytes.len();
        server.feed(&bytes, step);
        let answer = std::mem::take(&mut server.out);
        let ended = give(&mut client, &answer).is_err();
        if let Some(e) = &server.error {
            assert!(ended || e.kind() == TlsErrorKind::Alert || !answer.is_empty(), "{e}");
            return;
        }
        if ended || (bytes.is_empty() && answer.is_empty()) {
            return;
        }
    }
}

proptest::proptest! {
    #[test]
    fn a_damaged_handshake_never_panics(at in 0usize..700, to in 1u8.., step in 1usize..2000, tls12: bool) {
        use std::sync::OnceLock;
        static WORLD: OnceLock<(Authority, hg_tls::TlsContext)> = OnceLock::new();
        let (ca, context) = WORLD.get_or_init(|| {
            let ca = Authority::new("ca");
            let mut world = simple(&ca);
            let bundle = world.blob(ca.pem.as_bytes());
            let auth = format!(r#"{{"client_auth":{{"ca":"{bundle}"}}}}"#);
            world.put(hg_plan::Kind::TlsPolicy, "default", &auth);
            let context = world.context();
            (ca, context)
        });
        static KEY: OnceLock<(String, String)> = OnceLock::new();
        let identity = KEY.get_or_init(|| {
            let key = ecdsa();
            (ca.issue(&["alice"], &key), key.serialize_pem())
        });
        let options = ClientOptions {
            versions: vec![if tls12 { &TLS12 } else { &TLS13 }],
            identity: Some(identity.clone()),
            ..ClientOptions::default()
        };
        damaged(ca, context, &options, at, to, step);
    }
}
