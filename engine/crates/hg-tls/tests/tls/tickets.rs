//! Resumption: across workers, contexts and processes with the same secrets; never across policies.

use crate::common::*;
use hg_plan::Kind;
use hg_tls::{HandshakeKind, Ticketer, TlsContext};
use rustls::NamedGroup;
use rustls::client::{
    ClientSessionMemoryCache, ClientSessionStore, Resumption, Tls12ClientSessionValue,
    Tls13ClientSessionValue,
};
use rustls::version::{TLS12, TLS13};
use rustls_pki_types::ServerName;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

fn kind(server: &Server) -> HandshakeKind {
    server.session.handshake_kind().unwrap()
}

fn both_versions(ca: &Authority) -> [Arc<rustls::ClientConfig>; 2] {
    [&TLS12, &TLS13].map(|v| {
        client_config(ca, &ClientOptions { versions: vec![v], ..ClientOptions::default() })
    })
}

/// Connects, exchanges data so that the ticket arrives, and returns how the session got its keys.
fn kind_of_connection(
    config: &Arc<rustls::ClientConfig>,
    context: &TlsContext,
    sni: &str,
) -> HandshakeKind {
    let (mut client, mut server) = connect(config, context, sni);
    exchange(&mut client, &mut server);
    kind(&server)
}

#[test]
fn a_second_connection_resumes() {
    let ca = Authority::new("ca");
    let context = simple(&ca).context();
    for config in both_versions(&ca) {
        let kinds = [(); 3].map(|()| kind_of_connection(&config, &context, "a.example"));
        assert_eq!(kinds, [HandshakeKind::Full, HandshakeKind::Resumed, HandshakeKind::Resumed]);
    }
}

#[test]
fn another_process_with_the_same_secrets_accepts_the_ticket() {
    let ca = Authority::new("ca");
    let world = simple(&ca);
    for config in both_versions(&ca) {
        kind_of_connection(&config, &world.context(), "a.example");
        let successor = world.context();
        assert_eq!(kind_of_connection(&config, &successor, "a.example"), HandshakeKind::Resumed);
        let stranger = world.build(&Ticketer::new(&[SECRET_B]).unwrap(), None).unwrap();
        assert_eq!(kind_of_connection(&config, &stranger, "a.example"), HandshakeKind::Full);
    }
}

#[test]
fn a_session_never_resumes_under_another_policy() {
    let ca = Authority::new("ca");
    let world = simple(&ca);
    let before = world.context();
    for changed in [
        r#"{"groups":["x25519"]}"#,
        r#"{"cipher_suites":["TLS13_AES_128_GCM_SHA256","TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"]}"#,
    ] {
        let mut other = world.clone();
        other.put(Kind::TlsPolicy, "other", changed).listener(r#"{"policy":"other"}"#);
        let after = other.context();
        for config in both_versions(&ca) {
            kind_of_connection(&config, &before, "a.example");
            assert_eq!(kind_of_connection(&config, &after, "a.example"), HandshakeKind::Full);
        }
    }
}

/// Offers every session to every name.
#[derive(Debug)]
struct Careless(ClientSessionMemoryCache);

fn one_name() -> ServerName<'static> {
    ServerName::try_from("one.example").unwrap()
}

impl ClientSessionStore for Careless {
    fn set_kx_hint(&self, _: ServerName<'static>, group: NamedGroup) {
        self.0.set_kx_hint(one_name(), group);
    }
    fn kx_hint(&self, _: &ServerName<'_>) -> Option<NamedGroup> {
        self.0.kx_hint(&one_name())
    }
    fn set_tls12_session(&self, _: ServerName<'static>, value: Tls12ClientSessionValue) {
        self.0.set_tls12_session(one_name(), value);
    }
    fn tls12_session(&self, _: &ServerName<'_>) -> Option<Tls12ClientSessionValue> {
        self.0.tls12_session(&one_name())
    }
    fn remove_tls12_session(&self, _: &ServerName<'static>) {
        self.0.remove_tls12_session(&one_name());
    }
    fn insert_tls13_ticket(&self, _: ServerName<'static>, value: Tls13ClientSessionValue) {
        self.0.insert_tls13_ticket(one_name(), value);
    }
    fn take_tls13_ticket(&self, _: &ServerName<'static>) -> Option<Tls13ClientSessionValue> {
        self.0.take_tls13_ticket(&one_name())
    }
}

#[test]
fn a_session_never_resumes_for_another_name() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world.put(Kind::Host, "*.wild.example", r#"{"certificates":["a"]}"#);
    let context = world.context();
    for config in both_versions(&ca) {
        let mut config = (*config).clone();
        config.resumption = Resumption::store(Arc::new(Careless(ClientSessionMemoryCache::new(8))));
        let config = Arc::new(config);
        assert_eq!(kind_of_connection(&config, &context, "a.example"), HandshakeKind::Full);
        assert_eq!(kind_of_connection(&config, &context, "a.example"), HandshakeKind::Resumed);
        assert_eq!(kind_of_connection(&config, &context, "x.wild.example"), HandshakeKind::Full);
    }
}

#[test]
fn a_policy_without_tickets_gives_none() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world.put(Kind::TlsPolicy, "default", r#"{"tickets":false}"#);
    let context = world.context();
    for config in both_versions(&ca) {
        let (client, _) = connect(&config, &context, "a.example");
        assert_eq!(client.tls13_tickets_received(), 0);
        assert_eq!(kind_of_connection(&config, &context, "a.example"), HandshakeKind::Full);
    }
}

#[test]
fn one_ticket_is_sent_a_full_handshake() {
    let ca = Authority::new("ca");
    let (client, _) = connect(
        &client_config(&ca, &ClientOptions::default()),
        &simple(&ca).context(),
        "a.example",
    );
    assert_eq!(client.tls13_tickets_received(), 1);
}

#[test]
fn tickets_outlive_one_change_of_secret_or_period_but_not_two() {
    const PERIOD_S: u64 = 6 * 60 * 60;
    let ca = Authority::new("ca");
    let world = simple(&ca);
    let now = Arc::new(AtomicU64::new(1000 * PERIOD_S));
    let clock = now.clone();
    let ticketer =
        Ticketer::with_clock(&[SECRET_A], Arc::new(move || clock.load(Ordering::Relaxed))).unwrap();
    let context = world.build(&ticketer, None).unwrap();
    let pass = || now.fetch_add(PERIOD_S, Ordering::Relaxed);
    let fresh = || {
        let config = client_config(
            &ca,
            &ClientOptions { versions: vec![&TLS12], ..ClientOptions::default() },
        );
        kind_of_connection(&config, &context, "a.example");
        config
    };
    let resumes =
        |config| kind_of_connection(config, &context, "a.example") == HandshakeKind::Resumed;

    let config = fresh();
    pass();
    assert!(resumes(&config));
    let config = fresh();
    pass();
    pass();
    assert!(!resumes(&config));

    let config = fresh();
    ticketer.rotate(SECRET_B).unwrap();
    ticketer.rotate(SECRET_B).unwrap();
    assert!(resumes(&config));
    let config = fresh();
    ticketer.rotate(SECRET_A).unwrap();
    ticketer.rotate(&"3".repeat(64)).unwrap();
    assert!(!resumes(&config));
}

#[test]
fn secrets_that_are_none_are_refused() {
    assert!(Ticketer::new(&[] as &[&str]).is_err());
    assert!(Ticketer::new(&["00"]).is_err());
    assert!(Ticketer::new(&[SECRET_A, "x"]).is_err());
    assert!(Ticketer::new(&[SECRET_A, SECRET_B, SECRET_A]).is_err());
    assert!(ticketer().rotate("").is_err());
}
