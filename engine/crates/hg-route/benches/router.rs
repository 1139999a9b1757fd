//! The cost of look-ups and changes: ten against ten thousand hosts and prefixes, a thousand
//! regexes with paths that never repeat.
#![allow(missing_docs, clippy::unwrap_used, clippy::indexing_slicing)]

use criterion::{BatchSize, Criterion, Throughput, criterion_group, criterion_main};
use hg_plan::{Kind, Object, Route};
use hg_route::{ListenerId, NoHeaders, Query, RouteChange, RouteId, Router, Scratch, path};
use std::hint::black_box;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, Instant};

const LISTENERS: &[ListenerId] = &[ListenerId(0)];

/// A name and its route, from a host and the text of its matches.
fn route(name: String, host: &str, matches: &str) -> (Arc<str>, Route) {
    let text = format!(
        r#"{{"action":{{"upstream":"u"}},"hosts":["{host}"],"listeners":["web"],"match":{matches}}}"#
    );
    match Object::decode(Kind::Route, text.as_bytes()) {
        Ok(Object::Route(route)) => (name.into(), *route),
        other => unreachable!("{other:?}"),
    }
}

fn changes(routes: &[(Arc<str>, Route)]) -> Vec<RouteChange<'_>> {
    let numbered = routes.iter().zip(0..);
    numbered.map(|(r, id)| change(r, id)).collect()
}

fn change((name, route): &(Arc<str>, Route), id: u32) -> RouteChange<'_> {
    RouteChange { id: RouteId(id), name, route: Some(route), listeners: LISTENERS }
}

fn build(routes: &[(Arc<str>, Route)]) -> Router {
    Router::new().apply(&changes(routes)).unwrap()
}

fn query<'a>(host: &'a str, path: &'a str) -> Query<'a> {
    Query {
        listener: LISTENERS[0],
        host,
        path,
        query: None,
        method: "GET",
        headers: &NoHeaders,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    }
}

fn host(i: u64) -> String {
    format!("shop-{i}.example.com")
}

fn hosts(count: u64) -> Vec<(Arc<str>, Route)> {
    (0..count).map(|i| route(format!("route-{i}"), &host(i), "[]")).collect()
}

/// Returns numbers in an order that no cache predicts.
fn scattered(i: u64, below: u64) -> u64 {
    (i.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20) % below
}

/// Looks up a thousand prepared (host, path) pairs in turn.
fn measure(c: &mut Criterion, name: &str, router: &Router, asked: &[(String, String)]) {
    let mut scratch = Scratch::new();
    let mut turn = asked.iter().cycle();
    c.bench_function(name, |b| {
        b.iter(|| {
            let (host, path) = turn.next().unwrap();
            black_box(router.find(&query(host, path), &mut scratch))
        });
    });
}

fn find_hosts(c: &mut Criterion) {
    for count in [10, 10_000] {
        let asked: Vec<_> =
            (0..4096).map(|i| (host(scattered(i, count)), "/a/b".to_owned())).collect();
        measure(c, &format!("find/hosts/{count}"), &build(&hosts(count)), &asked);
    }
}

/// Bytes read between groups of look-ups: more than a core's second cache holds.
const POLLUTION: usize = 4 << 20;

/// Looks up a thousand prepared (host, path) pairs. Each look-up waits for the one before, and every
/// 64 the near caches are filled with something else: what remains is the cost of the memory in
/// which a route is found.
fn measure_cold(c: &mut Criterion, name: &str, router: &Router, asked: &[(String, String)]) {
    let mut other = vec![0u64; POLLUTION / 8];
    let (mut scratch, mut turn) = (Scratch::new(), 0);
    c.bench_function(name, |b| {
        b.iter_custom(|iterations| {
            let (mut spent, mut left) = (Duration::ZERO, iterations);
            while left > 0 {
                other.iter_mut().step_by(8).for_each(|line| *line += 1);
                let group = left.min(64);
                let begun = Instant::now();
                for _ in 0..group {
                    let (host, path) = &asked[turn];
                    let found = router.find(&query(host, path), &mut scratch);
                    let after = black_box(found.map_or(0, |f| f.match_index));
                    turn = (turn + 1 + after) % asked.len();
                }
                spent += begun.elapsed();
                left -= group;
            }
            spent
        });
    });
}

fn find_cold_hosts(c: &mut Criterion) {
    for count in [10, 10_000] {
        let asked: Vec<_> =
            (0..1000).map(|i| (host(scattered(i, count)), "/a/b".to_owned())).collect();
        measure_cold(c, &format!("find/cold_hosts/{count}"), &build(&hosts(count)), &asked);
    }
}

fn find_prefixes(c: &mut Criterion) {
    for count in [10, 10_000] {
        let of = |i| format!("/team-{i}/api");
        let make = |i| {
            let matches = format!(r#"[{{"path":{{"prefix":"{}"}}}}]"#, of(i));
            route(format!("route-{i}"), "a.example", &matches)
        };
        let routes: Vec<_> = (0..count).map(make).collect();
        let path = |i| format!("{}/v1/{i}", of(scattered(i, count)));
        let asked: Vec<_> = (0..4096).map(|i| ("a.example".to_owned(), path(i))).collect();
        let router = build(&routes);
        measure(c, &format!("find/prefixes/{count}"), &router, &asked);
        measure_cold(c, &format!("find/cold_prefixes/{count}"), &router, &asked[..1000]);
    }
}

/// A thousand regexes: the pattern of one, and a path that it matches.
type Shape = (&'static str, fn(u64) -> String, fn(u64, u64) -> String);

const SHAPES: [Shape; 3] = [
    (
        "literal_prefix",
        |i| format!("/shop/item{i}/[0-9]+/[a-z0-9-]+"),
        |i, n| format!("/shop/item{i}/{n}/name-{n}"),
    ),
    (
        "no_literal_prefix",
        |i| format!("/[a-z]+/item{i}/[0-9]+"),
        |i, n| format!("/{}/item{i}/{n}", ["shop", "store", "market"][n as usize % 3]),
    ),
    ("suffix", |i| format!(r".*\.type{i}"), |i, n| format!("/some/{n}/file-{n}.type{i}")),
];

fn regexes(pattern: fn(u64) -> String) -> Vec<(Arc<str>, Route)> {
    let make = |i| {
        let text = pattern(i).replace('\\', "\\\\");
        route(format!("route-{i}"), "a.example", &format!(r#"[{{"path":{{"regex":"{text}"}}}}]"#))
    };
    (0..1000).map(make).collect()
}

fn find_regexes(c: &mut Criterion) {
    for (name, pattern, path) in SHAPES {
        let router = build(&regexes(pattern));
        let mut scratch = Scratch::new();
        let mut n = 0;
        c.bench_function(&format!("find/regexes/1000/{name}"), |b| {
            b.iter_batched_ref(
                || {
                    n += 1;
                    path(scattered(n, 1000), n)
                },
                |path| black_box(router.find(&query("a.example", path), &mut scratch)),
                BatchSize::SmallInput,
            );
        });
    }
}

fn apply(c: &mut Criterion) {
    let routes = hosts(10_000);
    let all = changes(&routes);
    let full = build(&routes);
    c.bench_function("apply/all_of_10000_hosts", |b| {
        b.iter(|| Router::new().apply(black_box(&all)).unwrap());
    });
    let mut turn = all.iter().cycle();
    c.bench_function("apply/one_of_10000_hosts", |b| {
        b.iter(|| full.apply(std::slice::from_ref(turn.next().unwrap())).unwrap());
    });
    let routes = regexes(SHAPES[0].1);
    let all = changes(&routes);
    c.bench_function("apply/1000_regexes_of_one_host", |b| {
        b.iter(|| Router::new().apply(black_box(&all)).unwrap());
    });
}

fn normalise(c: &mut Criterion) {
    let mut group = c.benchmark_group("normalise");
    let mut buf = String::new();
    for (name, text) in [
        ("normal", "/shop/item12/name-of-the-thing_1/v2.1/"),
        ("escapes", "/shop/%7Eitem12/name%2Dof//the-thing/../x"),
    ] {
        group.throughput(Throughput::Bytes(text.len() as u64));
        group.bench_function(name, |b| {
            b.iter(|| path::normalise(black_box(text), &mut buf).map(str::len));
        });
    }
    group.finish();
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2))
        .sample_size(20);
    targets = find_hosts, find_cold_hosts, find_prefixes, find_regexes, apply, normalise
}
criterion_main!(benches);
