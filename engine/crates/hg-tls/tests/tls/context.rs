//! Building contexts: which plans are refused with which message, and what is reused.

use crate::common::*;
use hg_plan::{Change, Kind, ObjectError, ObjectKey};
use hg_tls::{Selection, TlsContext};
use std::sync::Arc;

fn said(world: &World) -> Vec<String> {
    let tell = |e: ObjectError| format!("{} {} {}: {}", e.kind.as_str(), e.name, e.path, e.message);
    match world.build(&ticketer(), None) {
        Ok(_) => Vec::new(),
        Err(errors) => errors.into_iter().map(tell).collect(),
    }
}

fn assert_says(world: &World, wanted: &[&str]) {
    let said = said(world);
    assert_eq!(said.len(), wanted.len(), "{said:#?}");
    for (said, wanted) in said.iter().zip(wanted) {
        assert!(said.starts_with(wanted), "{said}\n{wanted}");
    }
}

#[test]
fn a_mismatched_or_unreadable_pair_is_refused_with_its_reason() {
    let ca = Authority::new("ca");
    let (one, two) = (ecdsa(), ecdsa());
    let (pem, key) = (ca.issue(&["a.example"], &one), one.serialize_pem());
    let encrypted =
        "-----BEGIN ENCRYPTED PRIVATE KEY-----\nAAAA\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let not_der = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    let broken = "-----BEGIN CERTIFICATE-----\n!!!!\n-----END CERTIFICATE-----\n";
    for (cert, key, wanted) in [
        (
            &pem[..],
            &two.serialize_pem()[..],
            "certificate c key: the private key does not belong to the certificate",
        ),
        (&pem, "", "certificate c key: the file has no private key"),
        (&pem, encrypted, "certificate c key: the private key is encrypted"),
        ("", &key, "certificate c cert: the file has no certificate"),
        (&key, &key, "certificate c cert: the file has no certificate"),
        (broken, &key, "certificate c cert: the file is not readable PEM"),
        (not_der, &key, "certificate c cert: the leaf certificate is not valid DER"),
    ] {
        let mut world = World::default();
        world.certificate("c", cert, key);
        assert_says(&world, &[wanted]);
    }
}

#[test]
fn every_problem_is_said_at_once() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world
        .certificate("broken", "", "")
        .put(Kind::Certificate, "gone", r#"{"cert":"00","key":"01","ocsp":"02"}"#)
        .put(Kind::TlsPolicy, "p", r#"{"cipher_suites":["RC4"],"groups":["p256","x25519","x25519"],"alpn":["h3"],"min_version":"1.3","max_version":"1.2"}"#)
        .put(Kind::Host, "b.example", r#"{"certificates":["nix"],"tls_policy":"nix"}"#)
        .put(Kind::Host, "c.example", r#"{"certificates":["nix"]}"#)
        .put(Kind::Upstream, "u", r#"{"endpoints":[],"tls":{"client_certificate":"nix"}}"#)
        .put(Kind::Upstream, "v", r#"{"endpoints":[],"tls":{"ca":"00","verify_name":"a b"}}"#);
    assert_says(
        &world,
        &[
            "certificate broken cert: the file has no certificate",
            "certificate broken key: the file has no private key",
            "certificate gone cert: its content (sha256 00…) was not handed over",
            "certificate gone key: its content",
            "certificate gone ocsp: its content",
            "tls_policy p min_version: it is above max_version",
            "tls_policy p cipher_suites[0]: the cipher suite `RC4` is unknown; write one of TLS13_AES_128_GCM_SHA256, ",
            "tls_policy p groups[0]: the group `p256` is unknown; write one of x25519mlkem768, x25519, secp256r1, secp384r1",
            "tls_policy p groups[2]: `x25519` is listed twice",
            "tls_policy p alpn[0]: the protocol `h3` goes over QUIC alone; write h2 or http/1.1",
            "host b.example tls_policy: there is no TLS policy `nix`",
            "host c.example certificates: there is no certificate `nix`",
            "upstream u tls.client_certificate: there is no certificate `nix`",
            "upstream v tls.verify_name: `a b` is not a host name or an IP address",
        ],
    );
}

#[test]
fn listeners_must_name_what_exists() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    world.listener(r#"{"policy":"nix"}"#);
    assert_says(&world, &["listener l tls.policy: there is no TLS policy `nix`"]);
    world.listener(r#"{"default_certificate":"nix"}"#);
    assert_says(&world, &["listener l tls.default_certificate: there is no certificate `nix`"]);
}

#[test]
fn a_version_without_a_suite_is_refused() {
    let mut world = World::default();
    world.put(
        Kind::TlsPolicy,
        "p",
        r#"{"cipher_suites":["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"]}"#,
    );
    assert_says(
        &world,
        &[
            "tls_policy p cipher_suites: there is no suite for TLSv1_3, which min_version and max_version allow; add one of TLS13_AES_128",
        ],
    );
    world.put(
        Kind::TlsPolicy,
        "p",
        r#"{"cipher_suites":["TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256"],"max_version":"1.2"}"#,
    );
    assert_says(&world, &[]);
}

#[test]
fn an_ocsp_staple_must_be_a_successful_response() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let object = world.plan.certificate("a").unwrap().clone();
    for (staple, wanted) in [
        (&b"\x30\x03\x0a\x01\x06"[..], "certificate a ocsp: the OCSP response has the status 6"),
        (b"no", "certificate a ocsp: the file is not an OCSP response in DER"),
    ] {
        let ocsp = world.blob(staple);
        let json =
            format!(r#"{{"cert":"{}","key":"{}","ocsp":"{ocsp}"}}"#, object.cert, object.key);
        world.put(Kind::Certificate, "a", &json);
        assert_says(&world, &[wanted]);
    }
}

#[test]
fn certificates_tell_about_themselves_and_are_warned_of() {
    let ca = Authority::new("ca");
    let mut world = World::default();
    for (name, years) in [("good", (2020, 2090)), ("old", (2020, 2021)), ("young", (2089, 2090))] {
        let key = ecdsa();
        let pem = ca.issue_for(&["A.example", "*.b.example"], &key, years);
        world.certificate(name, &pem, &key.serialize_pem());
    }
    let context = world.context();
    let good = context.certificates().find(|c| &*c.name == "good").unwrap();
    assert_eq!((good.not_before_unix_s, good.not_after_unix_s), (1_577_836_800, 3_786_912_000));
    assert_eq!((&*good.subject, &*good.issuer), ("O=Ex\\, ample,CN=A.example", "CN=ca"));
    assert_eq!(good.key, "ecdsa");
    for (host, covered) in [
        ("a.example", true),
        ("x.b.example", true),
        ("b.example", false),
        ("x.y.b.example", false),
        (".b.example", false),
    ] {
        assert_eq!(good.covers(host), covered, "{host}");
    }
    let warnings = context.warnings(1_800_000_000);
    let texts: Vec<_> = warnings.iter().map(|w| format!("{} {}", w.name, w.message)).collect();
    assert_eq!(texts, ["old expired 2205 days ago", "young not valid for another 22631 days"]);
}

fn same(a: &Selection, b: &Selection) -> bool {
    Arc::ptr_eq(a.config(), b.config())
}

#[test]
fn what_did_not_change_is_reused_and_what_did_is_not() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let key = ecdsa();
    let pem = ca.issue(&["b.example"], &key);
    world.certificate("b", &pem, &key.serialize_pem()).put(
        Kind::Host,
        "b.example",
        r#"{"certificates":["b"]}"#,
    );
    let first = world.context();
    let rebuild =
        |world: &World, previous: &TlsContext| world.build(&ticketer(), Some(previous)).unwrap();
    // Unchanged material is not read again.
    let mut without_blobs = world.clone();
    without_blobs.blobs.clear();
    let second = rebuild(&without_blobs, &first);
    for host in ["a.example", "b.example"] {
        assert!(same(&select(&first, host), &select(&second, host)));
    }
    let renewed = ca.issue(&["b.example"], &key);
    world.certificate("b", &renewed, &key.serialize_pem());
    let third = rebuild(&world, &second);
    assert!(same(&select(&second, "a.example"), &select(&third, "a.example")));
    assert!(!same(&select(&second, "b.example"), &select(&third, "b.example")));
    world.put(Kind::TlsPolicy, "default", r#"{"min_version":"1.3"}"#);
    let fourth = rebuild(&world, &third);
    assert!(!same(&select(&third, "a.example"), &select(&fourth, "a.example")));
}

#[test]
fn a_new_certificate_serves_new_connections_while_old_ones_go_on() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let first = world.context();
    let config = client_config(&ca, &ClientOptions::default());
    let (mut client, mut server) = connect(&config, &first, "a.example");
    let old = client.peer_certificates().unwrap().to_vec();
    let key = ecdsa();
    world.certificate("a", &ca.issue(&["a.example"], &key), &key.serialize_pem());
    let second = world.build(&ticketer(), Some(&first)).unwrap();
    drop(first);
    exchange(&mut client, &mut server);
    let (client, _) = connect(&client_config(&ca, &ClientOptions::default()), &second, "a.example");
    assert_ne!(client.peer_certificates().unwrap(), old);
}

#[test]
fn a_plan_without_tls_builds_to_nothing() {
    let mut world = World::default();
    world.put(Kind::Listener, "l", r#"{"addresses":["127.0.0.1:1"],"protocol":"http"}"#);
    let context = world.context();
    assert!(context.listener("l").is_none() && context.upstream("u").is_none());
}

fn keys(changed: &[(Kind, &str)]) -> Vec<ObjectKey> {
    changed.iter().map(|(kind, name)| ObjectKey { kind: *kind, name: (*name).into() }).collect()
}

fn update(
    context: &Arc<TlsContext>,
    world: &World,
    changed: &[(Kind, &str)],
) -> Result<Arc<TlsContext>, Vec<ObjectError>> {
    let blobs = |sha: &str| world.blobs.get(sha).cloned();
    context.update(&world.plan, &blobs, &ticketer(), &keys(changed))
}

#[test]
fn an_update_changes_what_it_touches_and_nothing_else() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let key = ecdsa();
    let bundle = world.blob(ca.pem.as_bytes());
    let tls = format!(r#"{{"endpoints":[],"tls":{{"ca":"{bundle}","client_certificate":"b"}}}}"#);
    world
        .certificate("b", &ca.issue(&["*.b.example"], &key), &key.serialize_pem())
        .put(Kind::Host, "*.b.example", r#"{"certificates":["b"]}"#)
        .put(Kind::Upstream, "u", &tls);
    let first = Arc::new(world.context());
    world.put(Kind::Middleware, "m", r#"{"respond":{"status":200}}"#);
    let same_context =
        update(&first, &world, &[(Kind::Middleware, "m"), (Kind::Listener, "plain")]);
    assert!(Arc::ptr_eq(&first, &same_context.unwrap()));

    world.certificate("b", &ca.issue(&["*.b.example"], &key), &key.serialize_pem());
    let second = update(&first, &world, &[(Kind::Certificate, "b")]).unwrap();
    assert!(same(&select(&first, "a.example"), &select(&second, "a.example")));
    assert!(!same(&select(&first, "x.b.example"), &select(&second, "x.b.example")));
    assert_ne!(first.upstream("u").unwrap().digest(), second.upstream("u").unwrap().digest());

    world.put(Kind::Host, "c.example", r#"{"certificates":["b","a"]}"#);
    let third = update(&second, &world, &[(Kind::Host, "c.example")]).unwrap();
    assert_eq!(select(&third, "c.example").certificates().count(), 2);
    assert!(selector(&second).select(Some("c.example")).is_err());

    world.put(Kind::TlsPolicy, "default", r#"{"min_version":"1.3"}"#);
    let fourth = update(&third, &world, &[(Kind::TlsPolicy, "default")]).unwrap();
    assert!(!same(&select(&third, "a.example"), &select(&fourth, "a.example")));
}

#[test]
fn an_update_may_delete_but_not_leave_dangling_names() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let first = Arc::new(world.context());
    let delete = |world: &mut World, kind, name: &str| {
        world.plan.apply(&[Change { kind, name: name.into(), bytes: None }]).unwrap();
    };
    delete(&mut world, Kind::Certificate, "a");
    let errors = update(&first, &world, &[(Kind::Certificate, "a")]).err().unwrap();
    assert_eq!((errors.len(), &*errors[0].name), (1, "a.example"));
    delete(&mut world, Kind::Host, "a.example");
    let changed = [(Kind::Certificate, "a"), (Kind::Host, "a.example")];
    let second = update(&first, &world, &changed).unwrap();
    assert!(selector(&second).select(Some("a.example")).is_err());
    assert_eq!(second.certificates().count(), 0);
    assert!(selector(&first).select(Some("a.example")).is_ok());
}

#[test]
fn a_refused_update_leaves_the_context_as_it_was() {
    let ca = Authority::new("ca");
    let mut world = simple(&ca);
    let first = Arc::new(world.context());
    let key = ecdsa();
    world.certificate("a", &ca.issue(&["a.example"], &key), &ecdsa().serialize_pem());
    let errors = update(&first, &world, &[(Kind::Certificate, "a")]).err().unwrap();
    assert!(errors.iter().any(|e| e.message.contains("does not belong to the certificate")));
    connect(&client_config(&ca, &ClientOptions::default()), &first, "a.example");
}
