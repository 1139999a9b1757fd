//! Compares snapshots built from changes of a plan with those of a builder that has no past and
//! receives one route at a time, so that no route shares anything with another.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

use super::{Builder, Snapshot, Update};
use hg_plan::{Change, Kind, ObjectError, Plan};
use hg_route::{ListenerId, NoHeaders, Query, Scratch};
use hg_tls::Ticketer;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const NODE: [(Kind, &str, &str); 4] = [
    (Kind::Listener, "web", r#"{"addresses":["127.0.0.1:80"],"protocol":"http"}"#),
    (Kind::Listener, "other", r#"{"addresses":["127.0.0.1:81"],"protocol":"http"}"#),
    (Kind::Upstream, "u", r#"{"endpoints":[{"address":"127.0.0.1:1"}]}"#),
    (Kind::Upstream, "v", r#"{"endpoints":[{"address":"127.0.0.1:2"}]}"#),
];

fn put(kind: Kind, name: &str, json: &str) -> Change {
    Change { kind, name: name.into(), bytes: Some(json.as_bytes().to_vec()) }
}

fn delete(kind: Kind, name: &str) -> Change {
    Change { kind, name: name.into(), bytes: None }
}

/// A route of hosts (a JSON list) on `web`; `rest` are further members, each after a comma.
fn route(name: &str, action: &str, hosts: &str, rest: &str) -> Change {
    let json = format!(r#"{{"action":{action},"hosts":{hosts},"listeners":["web"]{rest}}}"#);
    put(Kind::Route, name, &json)
}

/// A host with a middleware of its own that names the host.
fn host(name: &str) -> Change {
    let set =
        format!(r#"{{"middlewares":[{{"response_headers":{{"set":{{"x-host":"{name}"}}}}}}]}}"#);
    put(Kind::Host, name, &set)
}

fn builder() -> Builder {
    Builder::new(
        Ticketer::new(&["11".repeat(32)]).unwrap(),
        hg_net::Clock::default(),
        Arc::default(),
    )
}

struct Node {
    plan: Plan,
    builder: Builder,
}

impl Node {
    fn new() -> Self {
        let mut node = Self { plan: Plan::default(), builder: builder() };
        let changes: Vec<Change> = NODE.iter().map(|(k, n, json)| put(*k, n, json)).collect();
        node.apply(&changes);
        node
    }

    /// Offers changes; after a refusal the plan is what it was, as in the process.
    fn offer(&mut self, changes: &[Change]) -> Result<Update, Vec<ObjectError>> {
        let undo = self.plan.exchange(changes).unwrap();
        let update = self.builder.apply(&self.plan, changes, &|_| None);
        if update.is_err() {
            self.plan.restore(undo);
        }
        update
    }

    /// Applies changes and compares.
    fn apply(&mut self, changes: &[Change]) {
        if let Err(errors) = self.offer(changes) {
            panic!("{errors:?}");
        }
        self.check();
    }

    /// Offers changes that must be refused; returns the messages, each after its object and path.
    fn refused(&mut self, changes: &[Change]) -> Vec<String> {
        let Err(errors) = self.offer(changes) else { panic!("{changes:?} were applied") };
        self.check();
        let told = |e: ObjectError| format!("{} {}: {}", e.name, e.path, e.message);
        errors.into_iter().map(told).collect()
    }

    /// Checks every host against a builder without a past that takes routes one at a time.
    fn check(&self) {
        let (mut alone, mut plan) = (builder(), Plan::default());
        let of = |(kind, name, bytes): (Kind, &Arc<str>, &Arc<[u8]>)| Change {
            kind,
            name: name.clone(),
            bytes: Some(bytes.to_vec()),
        };
        let (routes, others): (Vec<_>, Vec<_>) =
            self.plan.encoded().map(of).partition(|c| c.kind == Kind::Route);
        for changes in std::iter::once(&others[..]).chain(routes.chunks(1)) {
            plan.apply(changes).unwrap();
            if let Err(errors) = alone.apply(&plan, changes, &|_| None) {
                panic!("{errors:?}");
            }
        }
        let (served, expected) = (self.builder.current(), alone.current());
        let hosts = self.plan.routes().flat_map(|(_, route)| route.hosts);
        for host in hosts.chain(["nobody.example".to_owned()]) {
            assert_eq!(serves(served, &host), serves(expected, &host), "{host}");
        }
        assert_eq!(served.router.len(), expected.router.len());
    }
}

/// Returns the route, the upstreams and everything else that decides about a request for a host.
fn serves(snapshot: &Snapshot, host: &str) -> Option<String> {
    let web = snapshot.listeners.iter().position(|l| l.as_ref().is_some_and(|l| &*l.name == "web"));
    let query = Query {
        listener: ListenerId(u16::try_from(web?).unwrap()),
        host,
        path: "/",
        query: None,
        method: "GET",
        headers: &NoHeaders,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    let found = snapshot.router.find(&query, &mut Scratch::new())?;
    let entry = snapshot.routes.get(found.route.0 as usize).expect("an entry in a routed slot");
    let terms = &entry.terms;
    let upstream = |slot: u32| snapshot.upstreams.get(slot as usize)?.as_ref().map(|u| &u.name);
    let split = terms.split.as_ref();
    let parts: Vec<_> = split
        .iter()
        .flat_map(|s| s.parts.iter().map(|(slot, weight)| (upstream(*slot), *weight)))
        .collect();
    Some(format!(
        "{} {:?} {parts:?} {:?} {:?} {:?} {} {} {:?} {:?} {:?} {:?}",
        entry.name,
        entry.upstream.map(upstream),
        split.map(|s| s.total),
        terms.chain,
        terms.timeouts,
        terms.raw_path,
        terms.websocket,
        terms.bodies.most,
        terms.retry,
        terms.importance,
        terms.observed
    ))
}

const TO_U: &str = r#"{"upstream":"u"}"#;
const TO_V: &str = r#"{"upstream":"v"}"#;

/// Actions and further members of routes, each of which differs from the first in one thing.
fn kinds() -> Vec<(String, &'static str)> {
    let respond = |body: &str| format!(r#"{{"respond":{{"body":"{body}","status":200}}}}"#);
    let split = |weight: u32| {
        format!(
            r#"{{"split":[{{"upstream":"u","weight":{weight}}},{{"upstream":"v","weight":1}}]}}"#
        )
    };
    let own = r#","middlewares":[{"request_headers":{"set":{"x":"y"}}}]"#;
    let rewrite = r#","middlewares":[{"rewrite":{"path":{"strip_prefix":"/a"}}}]"#;
    vec![
        (TO_U.to_owned(), ""),
        (TO_V.to_owned(), ""),
        (split(1), ""),
        (split(2), ""),
        (respond("one"), ""),
        (respond("two"), ""),
        (TO_U.to_owned(), own),
        (respond("one"), own),
        (TO_U.to_owned(), rewrite),
        (TO_U.to_owned(), r#","timeouts":{"request_ms":7}"#),
        (TO_U.to_owned(), r#","body_bytes":9"#),
        (TO_U.to_owned(), r#","retry":{}"#),
        (TO_U.to_owned(), r#","retry":{"on":["503"]}"#),
        (TO_U.to_owned(), r#","forward_raw_path":true"#),
        (TO_U.to_owned(), r#","websocket":false"#),
        (TO_U.to_owned(), r#","importance":"low""#),
        (TO_U.to_owned(), r#","observed":{"access_log_percent":7}"#),
        (TO_U.to_owned(), r#","observed":{"access_log_statuses":[[404,404]]}"#),
        (TO_U.to_owned(), r#","observed":{"access_log_slower_ms":7}"#),
    ]
}

/// Route `i`, the only one of its host.
fn nth(i: usize, (action, rest): &(String, &str)) -> Change {
    route(&format!("r{i:02}"), action, &format!(r#"["h{i}"]"#), rest)
}

#[test]
fn routes_that_differ_in_one_thing_have_only_the_rest_in_common() {
    let kinds = kinds();
    for one in &kinds {
        for other in &kinds {
            Node::new().apply(&[nth(0, one), nth(1, other)]);
        }
    }
    let mut node = Node::new();
    node.apply(&[nth(0, &kinds[0]), nth(1, &kinds[1])]);
    let routes = &node.builder.current().routes;
    let (one, other) = (routes.get(0).unwrap(), routes.get(1).unwrap());
    assert!(Arc::ptr_eq(&one.terms, &other.terms));
    assert_ne!(one.upstream, other.upstream);
}

#[test]
fn the_log_has_a_share_and_besides_it_statuses_and_times() {
    let logged = |observed: &str, status: u16, total_us: u64, random: u64| {
        let rest = format!(r#","observed":{observed}"#);
        let mut node = Node::new();
        node.apply(&[route("r", TO_U, r#"["a"]"#, &rest)]);
        let current = node.builder.current();
        current.routes.get(0).unwrap().terms.is_logged(status, total_us, || random)
    };
    assert!(logged("{}", 200, 0, 99));
    let none = r#"{"access_log_percent":0,"access_log_statuses":[]}"#;
    assert!(!logged(none, 500, u64::MAX, 0));
    let share = r#"{"access_log_percent":7}"#;
    assert!(logged(share, 200, 0, 106) && !logged(share, 200, 0, 107));
    assert!(logged(share, 500, 0, 99) && !logged(share, 499, 0, 99));
    let chosen = r#"{"access_log_percent":0,"access_log_statuses":[[404,404],[410,499]]}"#;
    assert!(logged(chosen, 404, 0, 0) && logged(chosen, 499, 0, 0));
    assert!(!logged(chosen, 405, 0, 0) && !logged(chosen, 500, 0, 0));
    let slow = r#"{"access_log_percent":0,"access_log_slower_ms":7}"#;
    assert!(logged(slow, 200, 7_000, 0) && !logged(slow, 200, 6_999, 0));
    assert!(logged(slow, 503, 0, 0));
}

#[test]
fn more_kinds_of_routes_than_are_kept_for_others_are_each_served_as_they_are() {
    let kinds = kinds();
    let mut node = Node::new();
    // In the order of names the kinds alternate; the second change gives each route another kind.
    for moved in [0, 5] {
        let kind = |i: usize| &kinds[(i + moved) % kinds.len()];
        node.apply(&(0..3 * kinds.len()).map(|i| nth(i, kind(i))).collect::<Vec<_>>());
    }
}

#[test]
fn a_host_with_middlewares_of_its_own_shares_them_with_no_other() {
    let mut node = Node::new();
    let of = |name: &str, hosts: &str| route(name, TO_U, hosts, "");
    let routes =
        [of("a", r#"["a"]"#), of("b", r#"["b"]"#), of("c", r#"["c"]"#), of("d", r#"["a"]"#)];
    node.apply(&[&routes[..], &[host("a"), host("b")]].concat());
    let chains: Vec<_> = ["a", "b", "c"].map(|h| serves(node.builder.current(), h)).into();
    assert!(chains[0] != chains[1] && chains[1] != chains[2]);
    node.apply(&[host("c"), delete(Kind::Host, "a")]);
    node.apply(&[put(Kind::Host, "b", "{}"), host("a")]);
}

#[test]
fn a_route_comes_and_goes_through_groups_of_hosts() {
    let both = r#"["a","b"]"#;
    let bad = route("r", r#"{"upstream":"none"}"#, r#"["a","b","c"]"#, "");
    let steps: [&[Change]; 9] = [
        &[route("r", TO_U, both, ""), route("s", TO_U, r#"["c"]"#, "")],
        &[host("a")],
        &[host("b")],
        &[route("r", TO_U, r#"["b","a","c"]"#, "")],
        &[delete(Kind::Host, "a"), delete(Kind::Host, "b")],
        &[host("b"), route("r", TO_V, both, "")],
        &[delete(Kind::Route, "r")],
        &[route("r", TO_U, r#"["a"]"#, "")],
        &[delete(Kind::Host, "b"), delete(Kind::Route, "r"), delete(Kind::Route, "s")],
    ];
    for fails_before in 0..=steps.len() {
        let mut node = Node::new();
        for (i, changes) in steps.iter().enumerate() {
            if i == fails_before {
                for host_too in [&[][..], &[host("a"), host("b"), host("c")], &[host("b")]] {
                    let told = node.refused(&[&[bad.clone()][..], host_too].concat());
                    assert!(
                        told.iter().all(|t| t == "r action.upstream: there is no upstream `none`")
                    );
                }
            }
            node.apply(changes);
        }
        assert!(node.builder.current().router.is_empty());
    }
}

#[test]
fn slots_of_routes_that_are_gone_or_were_refused_are_used_again() {
    let mut node = Node::new();
    node.apply(&[host("a")]);
    for i in 0..10 {
        let name = format!("r{i}");
        node.refused(&[route(&format!("bad{i}"), r#"{"upstream":"none"}"#, r#"["a","b"]"#, "")]);
        node.apply(&[route(&name, TO_U, r#"["a","b"]"#, "")]);
        node.apply(&[delete(Kind::Route, &name)]);
    }
    node.apply(&[route("x", TO_U, r#"["a","b"]"#, "")]);
    let routes = &node.builder.current().routes;
    assert_eq!([0, 1, 2].map(|slot| routes.get(slot).is_some()), [true, true, false]);
    assert_eq!(routes.iter().count(), 2);
}

#[test]
fn a_route_that_cannot_be_read_is_told_and_not_taken_for_deleted() {
    let mut node = Node::new();
    node.apply(&[route("r", TO_U, r#"["a"]"#, "")]);
    let before = serves(node.builder.current(), "a");
    let odd = Change { bytes: Some(b"{}".to_vec()), ..delete(Kind::Route, "r") };
    let Err(errors) = node.builder.apply(&node.plan, &[odd], &|_| None) else { panic!("applied") };
    assert_eq!((&*errors[0].name, errors.len()), ("r", 1));
    assert!(errors[0].message.starts_with("missing field `hosts`"), "{errors:?}");
    assert_eq!(serves(node.builder.current(), "a"), before);
}

#[test]
fn what_is_deleted_is_gone_for_the_routes_of_the_same_change_too() {
    let mut node = Node::new();
    node.apply(&[route("r", TO_U, r#"["a"]"#, "")]);
    let moved = [delete(Kind::Upstream, "v"), route("r", TO_V, r#"["a"]"#, "")];
    assert_eq!(node.refused(&moved), ["r action.upstream: there is no upstream `v`"]);
    let other = delete(Kind::Listener, "web");
    assert_eq!(node.refused(&[other]), ["r listeners[0]: there is no listener `web`"]);
    // An upstream that one change deletes and puts again stays.
    let again = put(Kind::Upstream, "u", r#"{"endpoints":[{"address":"127.0.0.1:4"}]}"#);
    node.apply(&[delete(Kind::Upstream, "u"), again]);
    // A slot that no route names is freed, and its next upstream gets no other's requests.
    let new = put(Kind::Upstream, "w", r#"{"endpoints":[{"address":"127.0.0.1:3"}]}"#);
    node.apply(&[delete(Kind::Upstream, "v"), delete(Kind::Listener, "other")]);
    node.apply(&[new, route("s", r#"{"upstream":"w"}"#, r#"["b"]"#, "")]);
}

/// Settings of a log whose lines have these fields.
fn log(fields: &str) -> Change {
    let json = format!(
        r#"{{"access_log":{{"format":"json","sink":{{"stdout":{{}}}},"fields":{fields}}}}}"#
    );
    put(Kind::Settings, "node", &json)
}

#[test]
fn chains_keep_the_claims_that_the_log_says_now() {
    const KEYS: &str = r#"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"#;
    let verifies = format!(r#"{{"jwt":{{"keys":"{KEYS}","header":"authorization"}}}}"#);
    let uses = |step: &str| format!(r#","middlewares":[{step}]"#);
    let mut node = Node::new();
    node.apply(&[
        route("inline", TO_U, r#"["a"]"#, &uses(&verifies)),
        route("named", TO_U, r#"["b"]"#, &uses(r#"{"use":"token"}"#)),
        put(Kind::Middleware, "token", &verifies),
        route("host", TO_U, r#"["c"]"#, ""),
        put(Kind::Host, "c", &format!(r#"{{"middlewares":[{verifies}]}}"#)),
        route("plain", TO_U, r#"["d"]"#, ""),
    ]);
    let kept = |node: &Node, name: &str| {
        ["a", "b", "c", "d"]
            .map(|host| serves(node.builder.current(), host).unwrap().contains(name))
    };
    assert_eq!(kept(&node, "\"team\""), [false; 4]);
    node.apply(&[log(r#"["status","jwt:team"]"#)]);
    assert_eq!(kept(&node, "\"team\""), [true, true, true, false]);
    node.apply(&[log(r#"["jwt:sub"]"#)]);
    assert_eq!(kept(&node, "\"team\""), [false; 4]);
    assert_eq!(kept(&node, "\"sub\""), [true, true, true, false]);
    node.apply(&[log(r#"["status"]"#)]);
    assert_eq!(kept(&node, "\"sub\""), [false; 4]);
}
