//! What the router refuses, how it explains, which routes it reports as shadowed, what changes
//! cost.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, clippy::string_slice)]

mod common;

use common::{Attached, Request, attached, build, changes, exact, prefix, put, regex, route, take};
use hg_plan::{Match, ValueMatch};
use hg_route::{ConditionKind, Criterion, Router, Scratch, check};

fn errors(one: &Attached) -> Vec<(String, String)> {
    let refused = Router::new().apply(&[put(0, one)]).err().unwrap_or_default();
    refused.into_iter().map(|e| (e.path, e.message)).collect()
}

fn with_headers(pairs: &[(&str, ValueMatch)]) -> Match {
    let headers = pairs.iter().map(|(n, v)| ((*n).to_owned(), v.clone())).collect();
    Match { headers, ..Match::default() }
}

#[test]
fn every_mistake_of_a_route_is_reported_with_its_place() {
    let mut bad = attached("bad", route(&["a.*.b", "Upper", "ok"], Vec::new()));
    bad.route.matches = vec![
        regex("/x("),
        prefix("/a/../.."),
        exact("/a b"),
        with_headers(&[("x", ValueMatch::Regex("[".into())), ("y", ValueMatch::Present(false))]),
        Match { client: vec!["10.0.0.0/40".into(), "10.0.0.1".into()], ..Match::default() },
    ];
    let found = errors(&bad);
    let places: Vec<&str> = found.iter().map(|(path, _)| path.as_str()).collect();
    assert_eq!(
        places,
        [
            "hosts[0]",
            "hosts[1]",
            "match[0].path.regex",
            "match[1].path.prefix",
            "match[2].path.exact",
            "match[3].headers.x.regex",
            "match[3].headers.y",
            "match[4].client[0]",
        ]
    );
    assert!(found[2].1.contains("unclosed group"), "{}", found[2].1);
}

#[test]
fn a_refused_change_leaves_the_router_as_it_was() {
    let good = attached("good", route(&["*"], vec![prefix("/a")]));
    let bad = attached("bad", route(&["*"], vec![regex("(")]));
    let router = build(std::slice::from_ref(&good));
    assert!(router.apply(&[take(0, &good), put(1, &bad)]).is_err());
    let q = Request::get("x", "/a");
    assert!(router.find(&q.as_query(), &mut Scratch::new()).is_some());
}

#[test]
fn of_several_changes_of_a_slot_the_last_counts() {
    let (a, b) = (attached("a", route(&["x"], vec![])), attached("b", route(&["y"], vec![])));
    let router = Router::new().apply(&[put(0, &a), take(0, &a), put(0, &b)]).unwrap();
    assert_eq!(router.len(), 1);
    let mut scratch = Scratch::new();
    assert!(router.find(&Request::get("x", "/").as_query(), &mut scratch).is_none());
    assert!(router.find(&Request::get("y", "/").as_query(), &mut scratch).is_some());
}

#[test]
fn a_near_miss_names_each_condition_that_failed() {
    let mut one = prefix("/v1");
    one.methods = vec!["GET".into()];
    one.headers.insert("x-tenant".into(), ValueMatch::Exact("a".into()));
    let mut routes = vec![
        attached("api", route(&["a.example"], vec![one])),
        attached("any", route(&["*"], vec![])),
        attached("other", route(&["a.example"], vec![])),
    ];
    routes[2].listeners = vec![hg_route::ListenerId(7)];
    let mut q = Request::get("a.example", "/v1/x");
    q.method = "POST".into();
    q.headers.push(("x-tenant".into(), "b".into()));
    let why = build(&routes).explain(&q.as_query(), &mut Scratch::new());
    assert_eq!(why.won, None);
    assert_eq!(why.host.as_deref(), Some("a.example"));
    let failed = |name: &str| {
        let near = why.near.iter().find(|n| &*n.which.name == name).unwrap();
        near.failed.iter().map(|c| (c.kind, c.text.clone())).collect::<Vec<_>>()
    };
    assert_eq!(
        failed("api"),
        [
            (ConditionKind::Method, "method POST is not one of GET".to_owned()),
            (ConditionKind::Header, "header x-tenant is \"b\", it must be \"a\"".to_owned()),
        ]
    );
    assert_eq!(failed("other")[0].0, ConditionKind::Listener);
    assert_eq!(failed("any")[0].0, ConditionKind::Host);
}

#[test]
fn a_host_that_is_nearly_right_is_named() {
    let routes = [attached("shop", route(&["www.shop.example"], vec![]))];
    let q = Request::get("shop.example", "/");
    let why = build(&routes).explain(&q.as_query(), &mut Scratch::new());
    assert_eq!(why.host, None);
    assert_eq!(why.near[0].failed[0].text, "host shop.example is not www.shop.example");
}

#[test]
fn an_outranked_route_is_told_why() {
    let routes = [
        attached("b", route(&["*"], vec![prefix("/a")])),
        attached("a", route(&["*"], vec![regex("/a.*")])),
    ];
    let q = Request::get("x", "/a");
    let why = build(&routes).explain(&q.as_query(), &mut Scratch::new());
    assert_eq!(&*why.won.unwrap().which.name, "a");
    assert_eq!(why.near[0].outranked, Some(Criterion::PathKind));
}

/// Reports whether the second route is shadowed by the first.
fn is_shadowed(first: Vec<Match>, second: Vec<Match>) -> bool {
    let routes = [attached("a", route(&["*"], first)), attached("b", route(&["*"], second))];
    let shadows = build(&routes).shadowed();
    assert!(shadows.iter().all(|s| s.route.0 == 1), "{shadows:?}");
    shadows.iter().any(|s| s.is_whole)
}

#[test]
fn routes_whose_requests_others_take_are_shadowed() {
    let get = |mut m: Match| {
        m.methods = vec!["GET".into()];
        m
    };
    assert!(is_shadowed(vec![], vec![]));
    assert!(is_shadowed(vec![prefix("/a")], vec![prefix("/a")]));
    assert!(is_shadowed(vec![get(prefix("/a"))], vec![get(prefix("/a"))]));
    assert!(is_shadowed(vec![regex("/a/.*")], vec![regex("/a/.*")]));
    assert!(is_shadowed(vec![regex("/.*")], vec![prefix("/a")]));
    assert!(is_shadowed(vec![exact("/a"), prefix("/b")], vec![exact("/a"), prefix("/b")]));
    let (present, one) = (ValueMatch::Present(true), ValueMatch::Exact("1".into()));
    assert!(is_shadowed(
        vec![with_headers(&[("x", present.clone())])],
        vec![with_headers(&[("x", one.clone())])]
    ));
    // The first takes only some of its requests.
    assert!(!is_shadowed(vec![get(prefix("/a"))], vec![prefix("/a")]));
    assert!(!is_shadowed(vec![exact("/a")], vec![prefix("/a")]));
    assert!(!is_shadowed(vec![exact("/a")], vec![exact("/a"), exact("/b")]));
    assert!(!is_shadowed(vec![regex("/a/.*")], vec![prefix("/a")]));
    assert!(!is_shadowed(vec![with_headers(&[("x", one)])], vec![with_headers(&[("y", present)])]));
}

#[test]
fn a_higher_priority_shadows_what_is_narrower() {
    let mut wide = attached("wide", route(&["a.example", "b.example"], vec![prefix("/a")]));
    wide.route.priority = 1;
    let narrow = |hosts: &[&str]| {
        let matches = vec![exact("/a/b"), prefix("/a/c"), regex("/a/[0-9]+"), regex("/ab?")];
        attached("narrow", route(hosts, matches))
    };
    let shadows = build(&[wide.clone(), narrow(&["a.example", "b.example"])]).shadowed();
    assert_eq!(shadows.len(), 1);
    assert_eq!((shadows[0].matches.as_slice(), shadows[0].is_whole), (&[0, 1, 2][..], false));
    assert_eq!(shadows[0].by, [wide.name.clone()]);
    // On one of its hosts it can match.
    assert_eq!(build(&[wide.clone(), narrow(&["a.example", "c.example"])]).shadowed(), []);
    let mut elsewhere = narrow(&["a.example"]);
    elsewhere.listeners.push(hg_route::ListenerId(1));
    assert_eq!(build(&[wide, elsewhere]).shadowed(), []);
}

#[test]
fn regexes_that_are_too_large_together_are_refused() {
    // Each takes some 90 KiB, and no two are alike.
    let matches = (0..1_000).map(|i| regex(&format!("/{i}/([ab]{{90}}[b-y]{{90}}){{20}}{i}")));
    let found = errors(&attached("big", route(&["*"], matches.collect())));
    assert!(found.len() == 1 && found[0].1.contains("too large together"), "{found:?}");
}

#[test]
fn hostile_paths_cost_no_more_than_their_length() {
    let deep: Vec<Match> = (1..100).map(|n| prefix(&"/x".repeat(n))).collect();
    let router = build(&[
        attached("deep", route(&["*"], deep)),
        attached("r", route(&["*"], vec![regex(".*/y")])),
    ]);
    let mut scratch = Scratch::new();
    let q = Request::get(&"a.".repeat(16_000), &"/x".repeat(16_000));
    let found = router.find(&q.as_query(), &mut scratch).unwrap();
    assert_eq!((found.match_index, found.prefix_len), (98, 198));
}

#[test]
fn what_is_forwarded_keeps_its_route() {
    let matches = vec![prefix("/a"), exact("/a/b"), regex("/.*%2F.*")];
    let router = build(&[attached("r", route(&["*"], matches))]);
    let mut scratch = Scratch::new();
    let q = Request::get("x", "");
    for path in ["/a/../a/b", "/a%2fb", "/%61//b", "/a/%2e%2e%2fb", "/..", "", "/a/b/"] {
        let kept =
            check::forwarded_path_keeps_its_route(&router, &q.as_query(), path, &mut scratch);
        assert_eq!(kept, Ok(()));
    }
}

#[test]
fn a_change_of_one_host_touches_no_other() {
    let many: Vec<Attached> = (0..500)
        .map(|i| attached(&format!("r{i}"), route(&[&format!("h{i}.example")], vec![])))
        .collect();
    let router = Router::new().apply(&changes(&many)).unwrap();
    let moved = attached("moved", route(&["h7.example", "new.example"], vec![prefix("/a")]));
    let changed = router.apply(&[put(7, &moved)]).unwrap();
    let mut scratch = Scratch::new();
    let mut name = |router: &Router, host: &str, path: &str| {
        let found = router.find(&Request::get(host, path).as_query(), &mut scratch)?;
        router.name(found.route).map(|n| n.to_string())
    };
    assert_eq!(name(&changed, "h7.example", "/"), None);
    assert_eq!(name(&changed, "new.example", "/a").as_deref(), Some("moved"));
    assert_eq!(name(&changed, "h8.example", "/").as_deref(), Some("r8"));
    assert_eq!(name(&router, "h7.example", "/").as_deref(), Some("r7"));
}

#[test]
fn hosts_are_told_apart_by_their_whole_names_however_long() {
    let stem = "a-name-of-many-letters.example";
    let hosts: Vec<String> = (20..=stem.len())
        .map(|len| stem[..len].to_owned())
        .filter(|host| !host.ends_with('.'))
        .chain((1..4).map(|n| format!("{stem}.{}", "x".repeat(n))))
        .flat_map(|host| [format!("*.{host}"), host])
        .collect();
    let named = |host: &String| attached(host, route(&[host], vec![]));
    let routes: Vec<Attached> = hosts.iter().map(named).collect();
    let router = build(&routes);
    let mut scratch = Scratch::new();
    for one in &routes {
        let asked = one.name.replace('*', "deep.er");
        let found = router.find(&Request::get(&asked, "/").as_query(), &mut scratch).unwrap();
        assert_eq!(router.name(found.route), Some(&one.name), "{asked}");
    }
    assert!(router.find(&Request::get(&stem[..19], "/").as_query(), &mut scratch).is_none());
}
