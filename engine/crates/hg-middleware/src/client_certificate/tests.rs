use super::{DENIED, MISSING, RESULTS, UNREADABLE};
use crate::keep::Keep;
use crate::testing::{Got, alice, chain, problem, run, used, view};
use crate::{Chain, Client, Context, RequestView, Rewritten};
use hg_proto::Reject;
use hg_route::ClientCertificate;

fn from(certificate: Option<ClientCertificate<'_>>, rules: &str) -> Result<(), Reject> {
    let chain = chain(&[&format!(r#"{{"client_certificate":{{{rules}}}}}"#)]);
    let client = Client { certificate, ..view().client };
    run(&chain, &RequestView { client, ..view() })
        .map(|got| assert_eq!(got, Got::Forward(None, None)))
}

fn of_subject(subject: &str, pattern: &str) -> Result<(), Reject> {
    let pattern = pattern.replace('\\', "\\\\");
    let rules = format!(r#""subjects":["{pattern}"]"#);
    from(Some(ClientCertificate { subject, ..alice() }), &rules)
}

fn of_names(names: &[&str], pattern: &str) -> Result<(), Reject> {
    let names: Vec<Box<str>> = names.iter().copied().map(Box::from).collect();
    let mut uris = names.iter().filter(|name| name.starts_with("uri:"));
    let spiffe = uris.next().filter(|_| uris.next().is_none()).map_or("", |uri| uri);
    let spiffe = spiffe.strip_prefix("uri:").unwrap_or_default();
    let certificate = ClientCertificate { names: Some(&names), spiffe, ..alice() };
    from(Some(certificate), &format!(r#""sans":["{pattern}"]"#))
}

#[test]
fn nobody_passes_without_a_certificate_unless_it_is_optional() {
    assert_eq!(from(None, ""), Err(MISSING));
    assert_eq!(from(Some(alice()), ""), Ok(()));
    let others = r#""optional":true,"subjects":["CN=bob"]"#;
    assert_eq!(from(None, others), Ok(()));
    assert_eq!(from(Some(alice()), others), Err(DENIED));
}

#[test]
fn every_list_must_know_it() {
    let print = "0a".repeat(32);
    let both = format!(r#""subjects":["CN=bob","CN=alice"],"fingerprints":["{print}"]"#);
    assert_eq!(from(Some(alice()), &both), Ok(()));
    let other = both.replace("0a", "0b");
    assert_eq!(from(Some(alice()), &other), Err(DENIED));
    let nobody = both.replace("CN=alice", "CN=eve");
    assert_eq!(from(Some(alice()), &nobody), Err(DENIED));
    let names = both + r#","sans":["dns:alice.example"]"#;
    assert_eq!(from(Some(alice()), &names), Ok(()));
    assert_eq!(from(Some(alice()), &names.replace("dns:alice", "dns:bob")), Err(DENIED));
}

#[test]
fn subjects_fit_by_their_components() {
    for (pattern, fitting, others) in [
        (
            "CN=alice,O=ACME",
            &["CN=alice,O=ACME"][..],
            &["CN=alice", "CN=alice,O=ACME,C=DE", ""][..],
        ),
        (
            "CN=*,O=ACME",
            &["CN=alice,O=ACME", "CN=a\\,b,O=ACME", "CN=,O=ACME"],
            // The comma of a value ends no component, and neither does its plus sign.
            &["CN=x\\,O=ACME", "CN=x\\,O=ACME,O=Evil", "CN=a+UID=root,O=ACME", "O=ACME"],
        ),
        ("CN=web-*", &["CN=web-1"], &["CN=we", "CN=web-1,O=ACME", "O=ACME,CN=web-1"]),
        (
            "*,OU=ops,O=ACME",
            &["CN=a,OU=ops,O=ACME", "CN=a,L=x,OU=ops,O=ACME", "OU=ops,O=ACME"],
            &["CN=a,OU=dev,O=ACME", "CN=a\\,OU=ops,O=ACME", "CN=a,OU=ops,O=ACME,C=DE"],
        ),
        ("CN=a\\,b+UID=c", &["CN=a\\,b+UID=c"], &["CN=a\\,b", "CN=a\\,b+UID=cd"]),
    ] {
        for subject in fitting {
            assert_eq!(of_subject(subject, pattern), Ok(()), "{pattern} {subject}");
        }
        for subject in others {
            assert_eq!(of_subject(subject, pattern), Err(DENIED), "{pattern} {subject}");
        }
    }
}

#[test]
fn alternative_names_fit_by_their_type() {
    for (pattern, fitting, others) in [
        ("dns:a.example", &["dns:a.example"][..], &["uri:a.example", "dns:b.a.example"][..]),
        (
            "dns:*.example",
            &["dns:a.example", "dns:b.a.example"],
            &["dns:.example", "dns:example", "email:a.example", "dns:a.example.evil"],
        ),
        ("email:*@b.example", &["email:a@b.example"], &["email:@b.example", "email:a@c.b.example"]),
        ("ip:192.0.2.7", &["ip:192.0.2.7"], &["ip:192.0.2.70", "dns:192.0.2.7"]),
        (
            "uri:spiffe://prod.example/ns/*/sa/web",
            &["uri:spiffe://prod.example/ns/a/sa/web"],
            &[
                "uri:spiffe://prod.example/ns/a/b/sa/web",
                "uri:spiffe://prod.example/ns//sa/web",
                "uri:spiffe://prod.example/ns/a/sa/web/more",
                "uri:spiffe://prod.example/ns/a/sa",
                "uri:spiffe://prod.example.evil/ns/a/sa/web",
            ],
        ),
        (
            "uri:https://a.example/b/**",
            &["uri:https://a.example/b/c", "uri:https://a.example/b/c/d"],
            &[
                "uri:https://a.example/b",
                "uri:https://a.example/b/",
                "uri:https://a.example/b/../c",
                "uri:https://a.example/b/c?d",
            ],
        ),
    ] {
        for name in fitting {
            assert_eq!(of_names(&["dns:other", name], pattern), Ok(()), "{pattern} {name}");
        }
        for name in others {
            assert_eq!(of_names(&[name], pattern), Err(DENIED), "{pattern} {name}");
        }
    }
}

#[test]
fn a_spiffe_id_beside_another_uri_is_nobody_s() {
    let id = "uri:spiffe://prod.example/a";
    for pattern in [id, "uri:spiffe://prod.example/*"] {
        assert_eq!(of_names(&[id, "dns:b"], pattern), Ok(()));
        assert_eq!(of_names(&[id, "uri:https://b"], pattern), Err(DENIED));
    }
}

#[test]
fn names_that_cannot_be_read_close_what_asks_for_them() {
    let unreadable = Some(ClientCertificate { names: None, subject: "", ..alice() });
    assert_eq!(from(unreadable, r#""sans":["dns:*.example"]"#), Err(UNREADABLE));
    assert_eq!(from(unreadable, r#""subjects":["CN=*"]"#), Err(DENIED));
    assert_eq!(from(unreadable, ""), Ok(()));
}

#[test]
fn wrong_rules_are_named() {
    for (rules, expected) in [
        (r#""subjects":["CN=a","alice"]"#, "subjects[1]: `alice` is not a subject; write"),
        (r#""subjects":["*"]"#, "subjects[0]: `*` is not"),
        (r#""subjects":["CN=*x"]"#, "subjects[0]: `CN=*x` is not"),
        (r#""subjects":["CN=a+UID=*"]"#, "subjects[0]: `CN=a+UID=*` is not"),
        (r#""subjects":["C*"]"#, "subjects[0]: `C*` is not"),
        (r#""sans":["a.example"]"#, "sans[0]: `a.example` is not an alternative name; write"),
        (r#""sans":["dns:*"]"#, "sans[0]: `dns:*` is not"),
        (r#""sans":["dns:a.*.example"]"#, "sans[0]: `dns:a.*.example` is not"),
        (r#""sans":["uri:spiffe://*/a"]"#, "sans[0]: `uri:spiffe://*/a` is not"),
        (r#""sans":["uri:spiffe://a/**/b"]"#, "sans[0]: `uri:spiffe://a/**/b` is not"),
        (r#""sans":["ip:*"]"#, "sans[0]: `ip:*` is not"),
        (r#""fingerprints":["0a"]"#, "fingerprints[0]: `0a` is not a fingerprint; write"),
    ] {
        let message = problem(&format!(r#"{{"client_certificate":{{{rules}}}}}"#));
        let expected = format!("middlewares[0].client_certificate.{expected}");
        assert!(message.starts_with(&expected), "{message}");
    }
}

#[test]
fn results_are_counted() {
    let keep = Keep::default();
    let _held = keep.results_of("", "client_certificate", RESULTS);
    let certificates =
        [None, Some(alice()), Some(ClientCertificate { subject: "CN=eve", ..alice() })];
    for json in [
        r#"{"client_certificate":{"subjects":["CN=alice"]}}"#,
        r#"{"client_certificate":{"optional":true,"sans":["dns:x.example"]}}"#,
    ] {
        let uses = [used(json)];
        let chain =
            Chain::compile_in(&[&uses], None, &|_| None, (&keep, &["route r"], &[])).unwrap();
        for certificate in certificates {
            let certificate = certificate.map(|one| ClientCertificate { names: None, ..one });
            let client = Client { certificate, ..view().client };
            let (mut out, mut random) = (Rewritten::new(), || 0);
            let mut cx = Context {
                now_us: 0,
                unix_us: || 0,
                random: &mut random,
                worker: 0,
                accounts: None,
            };
            let _ = chain.begin(&RequestView { client, ..view() }, &mut out, &mut cx);
        }
    }
    let counts: Vec<_> = keep.results().iter().map(|one| (one.result, one.count)).collect();
    let of = ["pass", "anonymous", "missing", "refused", "unreadable"];
    assert_eq!(counts, of.into_iter().zip([1, 1, 1, 1, 2]).collect::<Vec<_>>());
}
