//! Clients' certificates: required, optional, resumed, never bypassed.

use crate::common::*;
use crate::der::*;
use hg_plan::Kind;
use hg_tls::{HandshakeKind, Ticketer, TlsContext, TlsErrorKind};
use rustls::version::{TLS12, TLS13};
use rustls::{AlertDescription, Error};
use rustls_pki_types::CertificateRevocationListDer;
use rustls_pki_types::pem::PemObject as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A world with a.example under the listener's open policy, and m.example only for clients of
/// `clients`.
fn world(ca: &Authority, clients: &Authority, required: bool) -> World {
    let mut world = simple(ca);
    let key = ecdsa();
    let pem = ca.issue(&["m.example", "a.example"], &key);
    let bundle = world.blob(clients.pem.as_bytes());
    world
        .certificate("m", &pem, &key.serialize_pem())
        .put(
            Kind::TlsPolicy,
            "mutual",
            &format!(r#"{{"client_auth":{{"ca":"{bundle}","required":{required}}}}}"#),
        )
        .put(Kind::Host, "m.example", r#"{"certificates":["m"],"tls_policy":"mutual"}"#);
    world
}

fn identity(clients: &Authority, years: (i32, i32)) -> Option<(String, String)> {
    let key = ecdsa();
    Some((clients.issue_for(&["alice"], &key, years), key.serialize_pem()))
}

fn options(identity: Option<(String, String)>) -> [ClientOptions; 2] {
    [&TLS12, &TLS13].map(|v| ClientOptions {
        versions: vec![v],
        identity: identity.clone(),
        ..ClientOptions::default()
    })
}

fn attempt(
    ca: &Authority,
    context: &TlsContext,
    options: &ClientOptions,
) -> (Option<Error>, Server) {
    let mut client = client(&client_config(ca, options), "m.example");
    let mut server = Server::new(session(context, "m.example"));
    let error = converse(&mut client, &mut server, usize::MAX).err();
    let rest = give(&mut client, &server.out).err();
    (error.or(rest), server)
}

#[test]
fn a_certificate_of_the_authority_is_let_in_and_reported() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let context = world(&ca, &clients, true).context();
    for options in options(identity(&clients, (2020, 2096))) {
        let config = client_config(&ca, &options);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (mut client, mut server) = connect(&config, &context, "m.example");
            exchange(&mut client, &mut server);
            assert_eq!(server.session.handshake_kind(), Some(kind));
            let peer = server.session.peer_certificate().unwrap();
            assert_eq!(&*peer.subject, "O=Ex\\, ample,CN=alice");
        }
    }
}

#[test]
fn none_or_anothers_certificate_is_refused_with_an_alert() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let context = world(&ca, &clients, true).context();
    let strangers = Authority::new("clients");
    for options in options(None) {
        let (error, server) = attempt(&ca, &context, &options);
        assert_eq!(server.error.unwrap().kind(), TlsErrorKind::Certificate);
        let alert = AlertDescription::CertificateRequired;
        let older = AlertDescription::HandshakeFailure;
        assert!(
            matches!(error, Some(Error::AlertReceived(a)) if a == alert || a == older),
            "{error:?}"
        );
    }
    for identity in [identity(&strangers, (2020, 2096)), identity(&clients, (2020, 2021))] {
        for options in options(identity) {
            let (error, server) = attempt(&ca, &context, &options);
            assert_eq!(server.error.unwrap().kind(), TlsErrorKind::Certificate);
            assert!(matches!(error, Some(Error::AlertReceived(_))), "{error:?}");
        }
    }
}

#[test]
fn an_optional_certificate_may_be_missing_but_not_wrong() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let context = world(&ca, &clients, false).context();
    for options in options(None) {
        let (error, server) = attempt(&ca, &context, &options);
        assert_eq!((error, server.error), (None, None));
        assert_eq!(server.session.peer_certificate(), None);
    }
    for options in options(identity(&Authority::new("clients"), (2020, 2096))) {
        assert!(attempt(&ca, &context, &options).1.error.is_some());
    }
}

#[test]
fn a_ticket_of_an_open_policy_does_not_open_a_mutual_one() {
    // The class of CVE-2025-23419: a session from one virtual host resumes on another.
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let open = simple(&ca).context();
    let mut mutual = world(&ca, &clients, true);
    mutual.put(Kind::Host, "a.example", r#"{"certificates":["m"],"tls_policy":"mutual"}"#);
    let mutual = mutual.context();
    for options in options(None) {
        let config = client_config(&ca, &options);
        let (mut client, mut server) = connect(&config, &open, "a.example");
        exchange(&mut client, &mut server);
        let mut client = crate::common::client(&config, "a.example");
        let mut server = Server::new(session(&mutual, "a.example"));
        let _ = converse(&mut client, &mut server, usize::MAX);
        assert_eq!(server.error.unwrap().kind(), TlsErrorKind::Certificate);
    }
}

#[test]
fn a_ticket_made_under_one_authority_is_worth_nothing_under_the_next() {
    let (ca, clients, next) =
        (Authority::new("ca"), Authority::new("clients"), Authority::new("next"));
    let before = world(&ca, &clients, true).context();
    let after = world(&ca, &next, true).context();
    for options in options(identity(&clients, (2020, 2096))) {
        let config = client_config(&ca, &options);
        let (mut client, mut server) = connect(&config, &before, "m.example");
        exchange(&mut client, &mut server);
        let mut client = crate::common::client(&config, "m.example");
        let mut server = Server::new(session(&after, "m.example"));
        let _ = converse(&mut client, &mut server, usize::MAX);
        assert!(server.error.is_some());
    }
}

#[test]
fn a_connection_that_is_older_than_its_hosts_demand_does_not_reach_it() {
    let (ca, clients, others) =
        (Authority::new("ca"), Authority::new("clients"), Authority::new("others"));
    let config = client_config(&ca, &ClientOptions::default());
    let of = |clients: &Authority, required| world(&ca, clients, required).context();
    let (optional, required) = (of(&clients, false), of(&clients, true));
    let (_, server) = connect(&config, &optional, "m.example");
    for (now, is_misdirected) in
        [(&optional, false), (&required, true), (&of(&others, false), true)]
    {
        assert_eq!(selector(now).needs_421(&server.session, "m.example"), is_misdirected);
    }
    // `a.example` asks nobody, until the listener's policy does.
    let (_, server) = connect(&config, &optional, "a.example");
    assert!(!selector(&required).needs_421(&server.session, "a.example"));
    let mut world = world(&ca, &clients, true);
    world.listener(r#"{"policy":"mutual"}"#);
    assert!(selector(&world.context()).needs_421(&server.session, "a.example"));
}

#[test]
fn leaving_sni_out_or_naming_another_host_does_not_reach_a_mutual_host() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let mut world = world(&ca, &clients, true);
    world.listener(r#"{"default_certificate":"m"}"#);
    let context = world.context();
    let selector = selector(&context);
    let config = client_config(&ca, &ClientOptions::default());
    let mut client = crate::common::client(&config, "a.example");
    let nameless = hg_tls::ServerSession::new(selector.select(None).unwrap(), None).unwrap();
    let mut server = Server::new(nameless);
    converse(&mut client, &mut server, usize::MAX).unwrap();
    assert!(selector.needs_421(&server.session, "m.example"));
    assert!(!selector.needs_421(&server.session, "a.example"));
    let (_, server) = connect(&config, &context, "a.example");
    assert!(selector.needs_421(&server.session, "m.example"));
}

#[test]
fn a_ticket_does_not_outlive_the_clients_certificate() {
    const IN_2030: u64 = 1_893_456_000;
    let now = Arc::new(AtomicU64::new(IN_2030 - 600));
    let clock = now.clone();
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let clock = Arc::new(move || clock.load(Ordering::Relaxed));
    let ticketer = Ticketer::with_clock(&[SECRET_A], clock).unwrap();
    let context = world(&ca, &clients, true).build(&ticketer, None).unwrap();
    for options in options(identity(&clients, (2020, 2030))) {
        let config = client_config(&ca, &options);
        now.store(IN_2030 - 600, Ordering::Relaxed);
        for kind in [HandshakeKind::Full, HandshakeKind::Resumed] {
            let (mut client, mut server) = connect(&config, &context, "m.example");
            exchange(&mut client, &mut server);
            assert_eq!(server.session.handshake_kind(), Some(kind));
        }
        now.store(IN_2030 + 600, Ordering::Relaxed);
        let mut client = crate::common::client(&config, "m.example");
        let mut server = Server::new(session(&context, "m.example"));
        let _ = converse(&mut client, &mut server, usize::MAX);
        assert_eq!(server.error.unwrap().kind(), TlsErrorKind::Certificate);
        let alert = give(&mut client, &server.out).err();
        let expired = Error::AlertReceived(AlertDescription::CertificateExpired);
        assert!(alert.is_none_or(|a| a == expired));
    }
}

/// Returns an authority's list, as PEM, that revokes these serial numbers.
fn crl(of: &Authority, serials: &[u64], years: (i32, i32)) -> String {
    use rcgen::{CertificateRevocationListParams, KeyIdMethod, RevokedCertParams, SerialNumber};
    let revoked = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: rcgen::date_time_ymd(2020, 1, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(years.0, 1, 1),
        next_update: rcgen::date_time_ymd(years.1, 1, 1),
        crl_number: SerialNumber::from(1u64),
        issuing_distribution_point: None,
        revoked_certs: serials.iter().map(revoked).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    params.signed_by(&of.issuer).unwrap().pem().unwrap()
}

fn revoking(ca: &Authority, clients: &Authority, lists: &str) -> TlsContext {
    revoking_world(ca, clients, lists).context()
}

fn revoking_world(ca: &Authority, clients: &Authority, lists: &str) -> World {
    let mut world = world(ca, clients, true);
    let bundle = world.blob(clients.pem.as_bytes());
    let crl = world.blob(lists.as_bytes());
    let policy = format!(r#"{{"client_auth":{{"ca":"{bundle}","crl":"{crl}"}}}}"#);
    world.put(Kind::TlsPolicy, "mutual", &policy);
    world
}

#[test]
fn lists_that_cannot_be_used_are_named_with_the_reason() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let good = crl(&clients, &[8], (2020, 2096));
    let der = CertificateRevocationListDer::from_pem_slice(good.as_bytes()).unwrap();
    let whole = elements(content(&der));
    let pem = |signed: &[&[u8]]| {
        let list = sequence(&[&sequence(signed), whole[1], whole[2]]);
        pem_block("X509 CRL", &list)
    };
    let signed = elements(content(whole[0]));
    let [version, algorithm, issuer, this, next, revoked, _extensions] = signed[..] else {
        panic!("{} parts", signed.len())
    };
    let old = pem(&[algorithm, issuer, this, next, revoked]);
    let said = revoking_world(&ca, &clients, &(good.clone() + &old)).errors();
    assert!(said[0].contains("client_auth.crl: revocation list 2 is of version 1"), "{said:?}");
    let endless = pem(&[version, algorithm, issuer, this, revoked]);
    let said = revoking_world(&ca, &clients, &endless).errors();
    assert!(said[0].contains("client_auth.crl: a revocation list is not usable ("), "{said:?}");
}

#[test]
fn a_revoked_certificate_is_refused_and_so_is_one_that_no_valid_list_speaks_of() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let others = Authority::new("others");
    let key = ecdsa();
    let alice = (clients.issue_serial("alice", &key, 7), key.serialize_pem());
    for (lists, is_let_in) in [
        (crl(&clients, &[8], (2020, 2096)), true),
        (crl(&clients, &[7], (2020, 2096)), false),
        (crl(&clients, &[8], (2020, 2021)), false),
        (crl(&others, &[], (2020, 2096)), false),
        (crl(&others, &[], (2020, 2096)) + &crl(&clients, &[8], (2020, 2096)), true),
    ] {
        let context = revoking(&ca, &clients, &lists);
        for options in options(Some(alice.clone())) {
            let (error, server) = attempt(&ca, &context, &options);
            assert_eq!(server.error.is_none() && error.is_none(), is_let_in, "{error:?}");
        }
    }
}

#[test]
fn a_ticket_does_not_outlive_the_revocation_of_its_certificate() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let key = ecdsa();
    let alice = (clients.issue_serial("alice", &key, 7), key.serialize_pem());
    let before = revoking(&ca, &clients, &crl(&clients, &[], (2020, 2096)));
    let after = revoking(&ca, &clients, &crl(&clients, &[7], (2020, 2096)));
    for options in options(Some(alice)) {
        let config = client_config(&ca, &options);
        let (mut client, mut server) = connect(&config, &before, "m.example");
        exchange(&mut client, &mut server);
        let mut client = crate::common::client(&config, "m.example");
        let mut server = Server::new(session(&after, "m.example"));
        let _ = converse(&mut client, &mut server, usize::MAX);
        assert!(server.error.is_some());
    }
}

#[test]
fn a_host_that_asks_for_certificates_is_not_left_to_the_certificate_of_another() {
    let (ca, clients) = (Authority::new("ca"), Authority::new("clients"));
    let mut world = world(&ca, &clients, true);
    world.put(Kind::Host, "*.example", r#"{"certificates":["m"]}"#).put(
        Kind::Host,
        "m.example",
        r#"{"tls_policy":"mutual"}"#,
    );
    let errors = world.errors();
    assert!(errors.iter().any(|e| e.contains("m.example: certificates: its policy")), "{errors:?}");
    world.listener(r#"{"default_certificate":"m"}"#);
    let context = world.context();
    let config = client_config(&ca, &ClientOptions::default());
    let mut client = crate::common::client(&config, "m.example");
    let mut server = Server::new(session(&context, "m.example"));
    let _ = converse(&mut client, &mut server, usize::MAX);
    assert_eq!(server.error.unwrap().kind(), TlsErrorKind::Certificate);
}
