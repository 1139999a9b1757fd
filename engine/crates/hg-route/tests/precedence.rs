//! The tables of docs/reference/matching.md: each row is a case that runs here, and the file must
//! contain them unchanged. `HEADGATE_BLESS=1 cargo test -p hg-route --test precedence` writes them.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic)]

mod common;

use common::{Attached, Request, attached, build};
use hg_plan::{Kind, Object};
use hg_route::{Criterion, Scratch};
use serde_json::{Value, json};
use std::fmt::Write as _;

/// Which of two routes that both match a request goes first, and why.
struct Case {
    first: Value,
    second: Value,
    request: &'static str,
    because: Criterion,
}

fn case(first: Value, second: Value, request: &'static str, because: Criterion) -> Case {
    Case { first, second, request, because }
}

fn precedence() -> Vec<Case> {
    let path = |kind: &str, text: &str| json!({"match": [{"path": {kind: text}}]});
    let prefix = |rest: Value| {
        let mut one = json!({"path": {"prefix": "/v1"}});
        if let (Some(one), Value::Object(rest)) = (one.as_object_mut(), rest) {
            one.extend(rest);
        }
        json!({"match": [one]})
    };
    vec![
        case(
            json!({"priority": 10, "match": [{"path": {"prefix": "/"}}]}),
            path("exact", "/v1/x"),
            "GET /v1/x",
            Criterion::Priority,
        ),
        case(path("exact", "/v1/x"), path("regex", "/v1/.*"), "GET /v1/x", Criterion::PathKind),
        case(path("regex", "/v1/.*"), path("prefix", "/v1/x"), "GET /v1/x", Criterion::PathKind),
        case(path("prefix", "/v1/x"), path("prefix", "/v1"), "GET /v1/x", Criterion::PrefixLength),
        case(path("prefix", "/v1"), json!({}), "GET /v1/x", Criterion::PrefixLength),
        case(
            prefix(json!({"methods": ["GET"]})),
            prefix(json!({"headers": {"a": {"exact": "1"}, "b": {"exact": "2"}}})),
            "GET /v1 a: 1 b: 2",
            Criterion::Method,
        ),
        case(
            prefix(json!({"headers": {"a": {"exact": "1"}}, "cookies": {"b": {"exact": "2"}}})),
            prefix(json!({"headers": {"a": {"exact": "1"}}})),
            "GET /v1 a: 1 cookie: b=2",
            Criterion::Headers,
        ),
        case(
            prefix(json!({"headers": {"a": {"exact": "1"}}})),
            prefix(json!({"query": {"x": {"exact": "1"}, "y": {"exact": "2"}}})),
            "GET /v1?x=1&y=2 a: 1",
            Criterion::Headers,
        ),
        case(
            prefix(json!({"query": {"x": {"exact": "1"}}})),
            prefix(json!({"client": ["192.0.2.1/32"]})),
            "GET /v1?x=1 from 192.0.2.1",
            Criterion::Query,
        ),
        case(
            prefix(json!({"client": ["192.0.2.0/24"]})),
            prefix(json!({})),
            "GET /v1 from 192.0.2.1",
            Criterion::Client,
        ),
        case(prefix(json!({})), prefix(json!({})), "GET /v1", Criterion::Name),
    ]
}

/// Hosts of routes on the same listener, the host of a request, and the host that takes it.
const HOSTS: &[(&[&str], &str, Option<&str>)] = &[
    (&["a.example", "*.example", "*"], "a.example", Some("a.example")),
    (&["*.a.example", "*.example", "*"], "x.a.example", Some("*.a.example")),
    (&["*.a.example", "*.example", "*"], "x.y.a.example", Some("*.a.example")),
    (&["*.a.example", "*.example", "*"], "a.example", Some("*.example")),
    (&["*.example", "*"], "example", Some("*")),
    (&["*.example"], "example", None),
    (&["[::1]", "*"], "[::1]", Some("[::1]")),
];

/// A match, a request, and whether they fit.
fn conditions() -> Vec<(Value, &'static str, bool)> {
    let path = |kind: &str, text: &str| json!({"path": {kind: text}});
    let header = |rule: Value| json!({"headers": {"a": rule}});
    let cookie = |rule: Value| json!({"cookies": {"a": rule}});
    let query = |rule: Value| json!({"query": {"a": rule}});
    vec![
        (path("prefix", "/v1"), "GET /v1", true),
        (path("prefix", "/v1"), "GET /v1/x", true),
        (path("prefix", "/v1"), "GET /v1x", false),
        (path("prefix", "/v1/"), "GET /v1", true),
        (path("exact", "/v1"), "GET /v1", true),
        (path("exact", "/v1"), "GET /v1/", false),
        (path("exact", "/%7Ea"), "GET /~a", true),
        (path("regex", "/x/[0-9]+"), "GET /x/12", true),
        (path("regex", "/x/[0-9]+"), "GET /x/12/y", false),
        (json!({"methods": ["GET"]}), "GET /", true),
        (json!({"methods": ["GET"]}), "HEAD /", false),
        (header(json!({"exact": "1"})), "GET / a: 1", true),
        (header(json!({"exact": "1"})), "GET / a: 1 a: 2", false),
        (header(json!({"exact": "1, 2"})), "GET / a: 1 a: 2", true),
        (header(json!({"regex": "[0-9]"})), "GET / a: 12", false),
        (header(json!({"absent": true})), "GET /", true),
        (cookie(json!({"exact": "1"})), "GET / cookie: b=2;a=1", true),
        (cookie(json!({"exact": "1"})), "GET / cookie: a=1;a=2", true),
        (cookie(json!({"exact": "2"})), "GET / cookie: a=1 cookie: a=2", false),
        (cookie(json!({"exact": "1"})), "GET / cookie: a=\"1\"", true),
        (cookie(json!({"prefix": "1"})), "GET / cookie: A=1", false),
        (cookie(json!({"exact": ""})), "GET / cookie: a=", true),
        (cookie(json!({"present": true})), "GET / cookie: a", false),
        (query(json!({"exact": "1"})), "GET /?a=1&a=2", true),
        (query(json!({"exact": "2"})), "GET /?a=1&a=2", false),
        (query(json!({"exact": ""})), "GET /?a", true),
        (query(json!({"present": true})), "GET /?a=", true),
        (query(json!({"exact": "x y"})), "GET /?a=x%20y", true),
        (json!({"client": ["192.0.2.0/24"]}), "GET / from 192.0.2.9", true),
        (json!({"client": ["192.0.2.0/24"]}), "GET / from ::ffff:192.0.2.9", true),
    ]
}

/// Makes a route from its canonical keys, and the others as short as possible.
fn decode(name: &str, hosts: &[&str], keys: &Value) -> Attached {
    let mut all = json!({"hosts": hosts, "listeners": ["web"], "action": {"upstream": "u"}});
    if let (Some(all), Value::Object(keys)) = (all.as_object_mut(), keys.clone()) {
        all.extend(keys);
    }
    match Object::decode(Kind::Route, all.to_string().as_bytes()) {
        Ok(Object::Route(route)) => attached(name, *route),
        other => panic!("{other:?}"),
    }
}

/// Parses `METHOD /path?query [name: value]… [from ADDRESS]`.
fn request(text: &str) -> Request {
    let mut words = text.split(' ');
    let mut q = Request::get("a.example", "/");
    q.method = words.next().unwrap().into();
    let target = words.next().unwrap();
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    (q.path, q.query) = (path.into(), query.map(str::to_owned));
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        match name.strip_suffix(':') {
            Some(name) => q.headers.push((name.into(), value.into())),
            None => q.client = value.parse().unwrap(),
        }
    }
    q
}

/// Formats a value as in TOML.
fn toml(value: &Value) -> String {
    match value {
        Value::Object(keys) if keys.is_empty() => "{}".to_owned(),
        Value::Object(keys) => {
            let pairs: Vec<String> =
                keys.iter().map(|(k, v)| format!("{k} = {}", toml(v))).collect();
            format!("{{ {} }}", pairs.join(", "))
        }
        Value::Array(items) => {
            format!("[{}]", items.iter().map(toml).collect::<Vec<_>>().join(", "))
        }
        other => other.to_string(),
    }
}

/// Formats the keys of a route, shortened to its one match.
fn keys(route: &Value) -> String {
    let one = route.pointer("/match/0").map_or("no match".to_owned(), |m| format!("`{}`", toml(m)));
    let priority = route.get("priority").map_or(String::new(), |p| format!(", `priority = {p}`"));
    one + &priority
}

#[test]
fn each_criterion_decides_its_case_in_either_order_of_definition() {
    let mut seen = Vec::new();
    for case in precedence() {
        let routes =
            [decode("a", &["a.example"], &case.first), decode("b", &["a.example"], &case.second)];
        let swapped = [routes[1].clone(), routes[0].clone()];
        for routes in [&routes, &swapped] {
            let router = build(routes);
            let why = router.explain(&request(case.request).as_query(), &mut Scratch::new());
            assert_eq!(&*why.won.unwrap().which.name, "a", "{}", case.request);
            assert_eq!(why.near.first().and_then(|n| n.outranked), Some(case.because));
        }
        seen.push(case.because);
    }
    seen.sort();
    seen.dedup();
    assert_eq!(seen, Criterion::ALL[..Criterion::ALL.len() - 1]);
}

#[test]
fn the_most_specific_host_with_routes_is_taken() {
    for (hosts, name, expected) in HOSTS {
        let routes: Vec<Attached> = hosts.iter().map(|h| decode(h, &[h], &json!({}))).collect();
        let mut q = request("GET /");
        q.host = (*name).to_owned();
        let why = build(&routes).explain(&q.as_query(), &mut Scratch::new());
        assert_eq!(why.won.map(|w| w.which.name).as_deref(), *expected, "{name} of {hosts:?}");
    }
}

#[test]
fn conditions_hold_and_fail_as_the_table_says() {
    for (one, text, expected) in conditions() {
        let router = build(&[decode("r", &["*"], &json!({"match": [one]}))]);
        let found = router.find(&request(text).as_query(), &mut Scratch::new());
        assert_eq!(found.is_some(), expected, "{one} {text}");
    }
}

fn tables() -> [(&'static str, String); 3] {
    let mut hosts =
        "| hosts that have routes | request's host | taken |\n|---|---|---|\n".to_owned();
    for (all, name, taken) in HOSTS {
        let all: Vec<String> = all.iter().map(|h| format!("`{h}`")).collect();
        let taken = taken.map_or("none: 404".to_owned(), |t| format!("`{t}`"));
        let _ = writeln!(hosts, "| {} | `{name}` | {taken} |", all.join(" "));
    }
    let mut order = "| goes first | before | request | because |\n|---|---|---|---|\n".to_owned();
    for c in precedence() {
        let (first, second) = (keys(&c.first), keys(&c.second));
        let _ =
            writeln!(order, "| {first} | {second} | `{}` | {} |", c.request, c.because.reason());
    }
    let mut fits = "| match | request | fits |\n|---|---|---|\n".to_owned();
    for (one, text, fit) in conditions() {
        let fit = if fit { "yes" } else { "no" };
        let _ = writeln!(fits, "| `{}` | `{text}` | {fit} |", toml(&one));
    }
    [("hosts", hosts), ("precedence", order), ("conditions", fits)]
}

#[test]
fn the_docs_hold_the_tables_that_were_tried() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../../docs/reference/matching.md");
    let text = std::fs::read_to_string(file).unwrap();
    let mut expected = text.clone();
    for (name, table) in tables() {
        let (begin, end) = (format!("<!-- begin {name} -->\n"), format!("<!-- end {name} -->"));
        let from = expected.find(&begin).unwrap() + begin.len();
        let to = expected.find(&end).unwrap();
        expected.replace_range(from..to, &format!("\n{table}\n"));
    }
    if std::env::var_os("HEADGATE_BLESS").is_some() {
        std::fs::write(file, &expected).unwrap();
        return;
    }
    assert_eq!(text, expected, "HEADGATE_BLESS=1 writes the tables");
}
