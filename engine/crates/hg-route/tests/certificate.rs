//! Conditions on the client's verified certificate.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "common/random.rs"]
mod random;

use common::*;
use hg_plan::{CertificateMatch, Digest, Match, Route};
use hg_route::{CLIENT_SUBJECT, ClientCertificate, Headers, Query, Router, Scratch};
use proptest::prelude::*;

/// Header lines of a client with a certificate.
struct Known<'a>(ClientCertificate<'a>);

impl Headers for Known<'_> {
    fn each(&self, _name: &str, _line: &mut dyn FnMut(&[u8])) {}

    fn certificate(&self) -> Option<ClientCertificate<'_>> {
        Some(self.0)
    }
}

fn asking(lists: CertificateMatch) -> Match {
    Match { client_certificate: Some(lists), ..Match::default() }
}

fn texts(texts: &[&str]) -> Vec<String> {
    texts.iter().map(|one| (*one).to_owned()).collect()
}

/// A route for certificates that fit, before one for everybody.
fn router(lists: CertificateMatch) -> Router {
    build(&[
        attached("z-known", route(&["*"], vec![asking(lists)])),
        attached("a-any", route(&["*"], vec![])),
    ])
}

fn names() -> Vec<Box<str>> {
    ["dns:alice.example", "uri:spiffe://prod.example/ns/shop/sa/web"].map(Box::from).to_vec()
}

const PRINT: Digest = Digest([10; 32]);

fn alice(names: &[Box<str>]) -> ClientCertificate<'_> {
    ClientCertificate {
        subject: "CN=alice,O=ACME",
        fingerprint: &PRINT,
        names: Some(names),
        spiffe: "spiffe://prod.example/ns/shop/sa/web",
    }
}

fn is_found(router: &Router, headers: &dyn Headers) -> bool {
    let request = Request::get("a.example", "/");
    let query = Query { headers, ..request.as_query() };
    router.find(&query, &mut Scratch::new()).unwrap().route.0 == 0
}

#[test]
fn every_list_that_is_written_must_know_the_certificate() {
    let names = names();
    let fits = |lists: CertificateMatch| is_found(&router(lists), &Known(alice(&names)));
    let none = CertificateMatch::default;
    assert!(fits(none()));
    let fitting = CertificateMatch {
        subjects: texts(&["CN=bob", "CN=al*,O=ACME"]),
        sans: texts(&["dns:*.example"]),
        spiffe: texts(&["spiffe://prod.example/ns/*/sa/web"]),
        fingerprints: texts(&[&"0a".repeat(32)]),
    };
    assert!(fits(fitting.clone()));
    for other in [
        CertificateMatch { subjects: texts(&["CN=al*"]), ..fitting.clone() },
        CertificateMatch { sans: texts(&["dns:*.other"]), ..fitting.clone() },
        CertificateMatch { spiffe: texts(&["spiffe://prod.example/ns/*"]), ..fitting.clone() },
        CertificateMatch { fingerprints: texts(&[&"0b".repeat(32)]), ..fitting },
    ] {
        assert!(!fits(other.clone()), "{other:?}");
    }
}

#[test]
fn names_that_cannot_be_read_and_an_id_beside_another_uri_fit_nothing() {
    let mut names = names();
    let by_san = router(CertificateMatch { sans: texts(&["dns:*.example"]), ..Default::default() });
    let id = texts(&["spiffe://prod.example/**"]);
    let by_id = router(CertificateMatch { spiffe: id, ..Default::default() });
    let unreadable = Known(ClientCertificate { names: None, spiffe: "", ..alice(&names) });
    assert!(!is_found(&by_san, &unreadable) && !is_found(&by_id, &unreadable));
    assert!(is_found(&by_id, &Known(alice(&names))));
    names.push("uri:https://other.example".into());
    let doubtful = Known(ClientCertificate { spiffe: "", ..alice(&names) });
    assert!(is_found(&by_san, &doubtful) && !is_found(&by_id, &doubtful));
}

#[test]
fn a_condition_on_the_certificate_goes_before_none_and_is_explained() {
    let router = router(CertificateMatch { subjects: texts(&["CN=bob"]), ..Default::default() });
    let request = Request::get("a.example", "/");
    let mut scratch = Scratch::new();
    let mut told = |headers: &dyn Headers| {
        let query = Query { headers, ..request.as_query() };
        format!("{:?}", router.explain(&query, &mut scratch))
    };
    let names = names();
    let known = Known(alice(&names));
    assert!(told(&known).contains("client certificate has another subject than CN=bob"));
    let nobody = told(&hg_route::NoHeaders);
    assert!(nobody.contains("client certificate is absent, it must be present"), "{nobody}");
    assert!(nobody.contains("match[0].client_certificate"), "{nobody}");
}

#[test]
fn a_route_that_asks_for_less_takes_the_requests_of_one_that_asks_for_more() {
    let of = |subjects: &[&str]| {
        asking(CertificateMatch { subjects: texts(subjects), ..Default::default() })
    };
    let dead = |earlier: Match, later: Match| {
        let [a, b] = [("a", earlier), ("b", later)]
            .map(|(name, one)| attached(name, route(&["*"], vec![one])));
        build(&[a, b]).shadowed().len() == 1
    };
    assert!(dead(of(&[]), of(&["CN=a"])));
    assert!(dead(of(&["CN=a", "CN=b"]), of(&["CN=a"])));
    assert!(!dead(of(&["CN=a"]), of(&["CN=a", "CN=b"])));
    assert!(!dead(of(&["CN=a"]), of(&[])));
}

#[test]
fn wrong_texts_are_named_with_their_place() {
    let lists = CertificateMatch {
        subjects: texts(&["alice"]),
        sans: texts(&["dns:a.example", "a.example"]),
        spiffe: texts(&["https://a.example/b"]),
        fingerprints: texts(&["0a"]),
    };
    let one = attached("r", route(&["*"], vec![asking(lists)]));
    let errors = Router::new().apply(&changes(&[one])).err().unwrap();
    let paths: Vec<&str> = errors.iter().map(|e| &*e.path).collect();
    let at = ["fingerprints[0]", "subjects[0]", "sans[1]", "spiffe[0]"];
    assert_eq!(paths, at.map(|at| format!("match[0].client_certificate.{at}")));
}

fn asks(route: &Route, place: usize) -> bool {
    route.matches.get(place).is_some_and(|one| one.client_certificate.is_some())
}

proptest! {
    #[test]
    fn nobody_without_a_certificate_gets_a_route_that_asks_for_one(
        mut routes in random::routes(12),
        request in random::request(),
        asking in any::<u64>(),
        subject in "(CN=[a-c]){0,1}",
    ) {
        let matches = routes.iter_mut().flat_map(|one| &mut one.route.matches);
        for (at, one) in matches.enumerate() {
            if asking >> (at % 64) & 1 == 1 {
                one.client_certificate = Some(CertificateMatch::default());
            }
        }
        let router = build(&routes);
        let mut request = request;
        for name in [CLIENT_SUBJECT, ":client-certificate", "client-cert", "ssl-client-s-dn"] {
            request.headers.push((name.to_owned(), subject.clone()));
        }
        if let Some(found) = router.find(&request.as_query(), &mut Scratch::new()) {
            prop_assert!(!asks(&routes[found.route.0 as usize].route, found.match_index));
        }
    }
}
