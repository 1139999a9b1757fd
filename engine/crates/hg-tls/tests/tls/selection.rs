//! Which certificate and policy each name gets, and which requests do not belong on a connection.

use crate::common::*;
use hg_plan::Kind;
use hg_tls::{NoProtocol, Refusal, Selection, ServerSession, TlsContext};
use rustls::crypto::aws_lc_rs::cipher_suite as suites;
use std::sync::Arc;

fn names(selection: &Selection) -> Vec<String> {
    selection.certificates().map(|c| c.name.to_string()).collect()
}

/// Hosts a.example, *.wild.example, deep.wild.example, each with a certificate of its own.
fn world(ca: &Authority) -> World {
    let mut world = World::default();
    for (name, host) in [
        ("a", "a.example"),
        ("w", "*.wild.example"),
        ("d", "*.deep.wild.example"),
        ("x", "x.wild.example"),
    ] {
        let key = ecdsa();
        let pem = ca.issue(&[host], &key);
        world.certificate(name, &pem, &key.serialize_pem());
        world.put(Kind::Host, host, &format!(r#"{{"certificates":["{name}"]}}"#));
    }
    world.listener("{}");
    world
}

#[test]
fn exact_names_win_then_the_longest_wildcard_of_any_depth() {
    let ca = Authority::new("ca");
    let context = world(&ca).context();
    let selector = selector(&context);
    for (name, wanted) in [
        ("a.example", "a"),
        ("x.wild.example", "x"),
        ("y.wild.example", "w"),
        ("z.y.wild.example", "w"),
        ("y.deep.wild.example", "d"),
        ("z.y.deep.wild.example", "d"),
        ("deep.wild.example", "w"),
    ] {
        assert_eq!(names(&selector.select(Some(name)).unwrap()), [wanted], "{name}");
    }
    for unknown in ["wild.example", "b.example", "example", "xa.example"] {
        assert_eq!(selector.select(Some(unknown)).unwrap_err(), Refusal::UnknownName, "{unknown}");
    }
    assert_eq!(selector.select(None).unwrap_err(), Refusal::NoName);
}

#[test]
fn refusals_are_plain_alerts_that_clients_understand() {
    let ca = Authority::new("ca");
    let mut client = client(&client_config(&ca, &ClientOptions::default()), "b.example");
    take(&mut client);
    let mut alert = Vec::new();
    Refusal::UnknownName.write_alert(&mut alert);
    let error = give(&mut client, &alert).unwrap_err();
    assert_eq!(error, rustls::Error::AlertReceived(rustls::AlertDescription::UnrecognisedName));
}

#[test]
fn unknown_names_get_the_default_where_that_is_asked_for() {
    let ca = Authority::new("ca");
    let mut world = world(&ca);
    world.listener(r#"{"default_certificate":"a","unknown_sni":"default"}"#);
    let context = world.context();
    assert_eq!(names(&select(&context, "b.example")), ["a"]);
    assert_eq!(names(&selector(&context).select(None).unwrap()), ["a"]);
    world.listener(r#"{"default_certificate":"x"}"#);
    let context = world.context();
    assert_eq!(selector(&context).select(Some("b.example")).unwrap_err(), Refusal::UnknownName);
}

#[test]
fn a_name_that_only_the_default_certificate_covers_is_known() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world.listener(r#"{"default_certificate":"a"}"#);
    let context = world.context();
    assert_eq!(names(&select(&context, "x.wild.example")), ["a"]);
    assert!(selector(&context).select(Some("y.x.wild.example")).is_err(), "one label only");
}

#[test]
fn a_host_without_a_certificate_takes_the_default_one_under_its_own_policy() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world
        .put(Kind::TlsPolicy, "new", r#"{"min_version":"1.3"}"#)
        .put(Kind::Host, "b.example", r#"{"tls_policy":"new"}"#)
        .listener(r#"{"default_certificate":"a"}"#);
    let context = world.context();
    let selection = select(&context, "b.example");
    assert_eq!(names(&selection), ["a"]);
    assert_ne!(selection.policy(), select(&context, "a.example").policy());
}

/// a.example with an RSA and an ECDSA certificate, in that order.
fn two_kinds(ca: &Authority) -> TlsContext {
    let mut world = World::default();
    for (name, key) in [("r", rsa()), ("e", ecdsa())] {
        let pem = ca.issue(&["a.example"], &key);
        world.certificate(name, &pem, &key.serialize_pem());
    }
    world.put(Kind::Host, "a.example", r#"{"certificates":["r","e"]}"#).listener("{}");
    world.context()
}

#[test]
fn the_client_decides_between_ecdsa_and_rsa_and_ecdsa_is_preferred() {
    let ca = Authority::new("ca");
    let context = two_kinds(&ca);
    let rsa_only = vec![suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256];
    let any12 = vec![
        suites::TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
        suites::TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    ];
    let tls12 = vec![&rustls::version::TLS12];
    for (options, wanted) in [
        (ClientOptions::default(), "e"),
        (
            ClientOptions {
                versions: tls12.clone(),
                suites: Some(any12),
                ..ClientOptions::default()
            },
            "e",
        ),
        (
            ClientOptions { versions: tls12, suites: Some(rsa_only), ..ClientOptions::default() },
            "r",
        ),
    ] {
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        assert_eq!(&**server.session.certificate(), wanted);
        exchange(&mut client, &mut server);
    }
}

#[test]
fn every_cipher_suite_carries_traffic() {
    let ca = Authority::new("ca");
    let context = two_kinds(&ca);
    for suite in rustls::crypto::aws_lc_rs::ALL_CIPHER_SUITES {
        let options = ClientOptions {
            versions: vec![suite.version()],
            suites: Some(vec![*suite]),
            ..ClientOptions::default()
        };
        let (mut client, mut server) =
            connect(&client_config(&ca, &options), &context, "a.example");
        assert_eq!(server.session.cipher_suite(), Some(suite.suite()));
        exchange(&mut client, &mut server);
        exchange(&mut client, &mut server);
    }
}

#[test]
fn policies_order_suites_and_groups_and_bound_versions() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let policy = r#"{"cipher_suites":["TLS13_CHACHA20_POLY1305_SHA256","TLS13_AES_128_GCM_SHA256"],"groups":["secp384r1"],"min_version":"1.3"}"#;
    world.put(Kind::TlsPolicy, "default", policy);
    let context = world.context();
    let groups = rustls::crypto::aws_lc_rs::ALL_KX_GROUPS.to_vec();
    let config = client_config(&ca, &ClientOptions { groups, ..ClientOptions::default() });
    let (_, server) = connect(&config, &context, "a.example");
    let session = server.session;
    assert_eq!(session.cipher_suite(), Some(rustls::CipherSuite::TLS13_CHACHA20_POLY1305_SHA256));
    assert_eq!(session.group(), Some(rustls::NamedGroup::secp384r1));
}

#[test]
fn the_ocsp_staple_is_delivered() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let staple = [0x30, 0x03, 0x0a, 0x01, 0x00];
    let ocsp = world.blob(&staple);
    let object = world.plan.certificate("a").unwrap().clone();
    let json = format!(r#"{{"cert":"{}","key":"{}","ocsp":"{ocsp}"}}"#, object.cert, object.key);
    world.put(Kind::Certificate, "a", &json);
    let context = world.context();
    for version in [&rustls::version::TLS12, &rustls::version::TLS13] {
        let seen = Arc::new(std::sync::Mutex::new(Vec::new()));
        let options = ClientOptions { versions: vec![version], ..ClientOptions::default() };
        let mut config = (*client_config(&ca, &options)).clone();
        config.dangerous().set_certificate_verifier(Arc::new(SeesStaple(seen.clone())));
        connect(&Arc::new(config), &context, "a.example");
        assert_eq!(*seen.lock().unwrap(), staple);
    }
}

#[derive(Debug)]
struct SeesStaple(Arc<std::sync::Mutex<Vec<u8>>>);

impl rustls::client::danger::ServerCertVerifier for SeesStaple {
    fn verify_server_cert(
        &self,
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &[rustls_pki_types::CertificateDer<'_>],
        _: &rustls_pki_types::ServerName<'_>,
        staple: &[u8],
        _: rustls_pki_types::UnixTime,
    ) -> Result<rustls::client::danger::ServerCertVerified, rustls::Error> {
        *self.0.lock().unwrap() = staple.to_vec();
        Ok(rustls::client::danger::ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn verify_tls13_signature(
        &self,
        _: &[u8],
        _: &rustls_pki_types::CertificateDer<'_>,
        _: &rustls::DigitallySignedStruct,
    ) -> Result<rustls::client::danger::HandshakeSignatureValid, rustls::Error> {
        Ok(rustls::client::danger::HandshakeSignatureValid::assertion())
    }
    fn supported_verify_schemes(&self) -> Vec<rustls::SignatureScheme> {
        vec![rustls::SignatureScheme::ECDSA_NISTP256_SHA256]
    }
}

/// Hosts a, b share certificate `ab`; c has its own; p shares `ab` under another policy.
fn for_421(ca: &Authority, listener: &str) -> TlsContext {
    let mut world = World::default();
    for (name, hosts) in
        [("ab", &["a.example", "b.example", "p.example"][..]), ("c", &["c.example"])]
    {
        let key = ecdsa();
        let pem = ca.issue(hosts, &key);
        world.certificate(name, &pem, &key.serialize_pem());
    }
    world
        .put(Kind::TlsPolicy, "new", r#"{"min_version":"1.3"}"#)
        .put(Kind::Host, "a.example", r#"{"certificates":["ab"]}"#)
        .put(Kind::Host, "b.example", r#"{"certificates":["ab"]}"#)
        .put(Kind::Host, "n.example", r#"{"certificates":["ab"]}"#)
        .put(Kind::Host, "c.example", r#"{"certificates":["c"]}"#)
        .put(Kind::Host, "p.example", r#"{"certificates":["ab"],"tls_policy":"new"}"#)
        .listener(listener);
    world.context()
}

fn misdirected(context: &TlsContext, session: &ServerSession) -> Vec<&'static str> {
    ["a.example", "b.example", "c.example", "n.example", "p.example", "unknown.example"]
        .into_iter()
        .filter(|host| selector(context).needs_421(session, host))
        .collect()
}

#[test]
fn misdirected_requests_are_those_for_another_certificate_or_policy() {
    let ca = Authority::new("ca");
    let config = client_config(&ca, &ClientOptions::default());
    let context = for_421(&ca, "{}");
    let (_, server) = connect(&config, &context, "a.example");
    assert_eq!(misdirected(&context, &server.session), ["c.example", "p.example"]);
    let (_, server) = connect(&config, &context, "c.example");
    let all_but_own = ["a.example", "b.example", "n.example", "p.example"];
    assert_eq!(misdirected(&context, &server.session), all_but_own);
    let (_, server) = connect(&config, &context, "p.example");
    let others = ["a.example", "b.example", "c.example", "n.example", "unknown.example"];
    assert_eq!(misdirected(&context, &server.session), others);
}

#[test]
fn strict_sni_also_demands_that_the_certificate_covers_the_host() {
    let ca = Authority::new("ca");
    let config = client_config(&ca, &ClientOptions::default());
    let context = for_421(&ca, r#"{"strict_sni":true}"#);
    let (_, server) = connect(&config, &context, "a.example");
    let wanted = ["c.example", "n.example", "p.example", "unknown.example"];
    assert_eq!(misdirected(&context, &server.session), wanted);
}

#[test]
fn a_renewed_certificate_does_not_misdirect() {
    let ca = Authority::new("ca");
    let config = client_config(&ca, &ClientOptions::default());
    let (before, after) = (for_421(&ca, "{}"), for_421(&ca, "{}"));
    let (_, server) = connect(&config, &before, "a.example");
    assert_eq!(misdirected(&after, &server.session), ["c.example", "p.example"]);
}

/// The protocols that a listener agrees on with a client that offers these.
fn agreed(selection: &Selection, offered: &[&str]) -> Result<Option<String>, NoProtocol> {
    let offered: Vec<Box<[u8]>> = offered.iter().map(|one| one.as_bytes().into()).collect();
    let agreed = selection.agree(&offered)?;
    Ok(agreed.map(|one| String::from_utf8(one.to_vec()).unwrap()))
}

/// Does the same in a handshake.
fn shaken(selection: &Selection, ca: &Authority, offered: &[&str]) -> Option<Option<String>> {
    let alpn = offered.iter().map(|one| one.as_bytes().to_vec()).collect();
    let options = ClientOptions { alpn, ..ClientOptions::default() };
    let mut client = client(&client_config(ca, &options), "a.example");
    let session = ServerSession::new(selection.clone(), Some("a.example")).unwrap();
    let mut server = Server::new(session);
    converse(&mut client, &mut server, usize::MAX).ok()?;
    let alpn = server.session.alpn().map(<[u8]>::to_vec);
    Some(alpn.map(|one| String::from_utf8(one).unwrap()))
}

#[test]
fn what_clients_speak_decides_what_a_policy_offers_them() {
    let ca = Authority::new("ca");
    let mut world = world(&ca);
    let tcp = r#"{"addresses":["127.0.0.1:2"],"protocol":"tcp","tls":{"policy":"TCP"}}"#;
    let cases = [
        // The policy; what is agreed on by clients that offer imap and h2, http/1.1 alone, nothing.
        ("{}", ["h2", "http/1.1", "-"], ["-", "-", "-"]),
        (r#"{"alpn":["http/1.1"]}"#, ["none", "http/1.1", "-"], ["none", "http/1.1", "-"]),
        (r#"{"alpn":["imap","h2"]}"#, ["", "", ""], ["imap", "none", "-"]),
    ];
    for (policy, http, other) in cases {
        world.put(Kind::TlsPolicy, "p", policy);
        let on_http = if http[0].is_empty() { "{}" } else { r#"{"policy":"p"}"# };
        world.listener(on_http).put(Kind::Listener, "t", &tcp.replace("TCP", "p"));
        let context = world.context();
        for (listener, wanted) in [("l", http), ("t", other)] {
            let selection = context.listener(listener).unwrap().select(Some("a.example")).unwrap();
            let offers: [&[&str]; 3] = [&["imap", "h2"], &["http/1.1"], &[]];
            for (offer, wanted) in offers.into_iter().zip(wanted).filter(|(_, w)| !w.is_empty()) {
                let foreseen = agreed(&selection, offer).ok();
                let seen = shaken(&selection, &ca, offer);
                let word = |of: Option<Option<String>>| {
                    of.map_or("none".to_owned(), |agreed| agreed.unwrap_or("-".to_owned()))
                };
                assert_eq!(word(seen.clone()), wanted, "{policy} {listener} {offer:?}");
                assert_eq!(foreseen, seen, "{policy} {listener} {offer:?}");
            }
        }
    }
    world.listener(r#"{"policy":"p"}"#);
    assert_eq!(
        world.errors(),
        [
            "l: tls.policy: its `alpn` has `imap`, which clients of an HTTP listener do not speak; name a policy \
          whose `alpn` has h2 and http/1.1 alone"
        ]
    );
}
