//! Random routes and requests, from pools so small that they often meet.
#![allow(dead_code, missing_docs, clippy::indexing_slicing)]

use super::common::{Attached, Request, attached, route};
use hg_plan::{Match, PathMatch, ValueMatch};
use hg_route::ListenerId;
use proptest::collection::{btree_map, vec};
use proptest::option::weighted;
use proptest::prelude::*;
use proptest::sample::{select, subsequence};
use std::net::IpAddr;

const HOSTS: &[&str] =
    &["a.example", "b.a.example", "*.a.example", "*.b.a.example", "*.example", "*", "[::1]"];

const REQUEST_HOSTS: &[&str] = &[
    "a.example",
    "b.a.example",
    "c.a.example",
    "x.b.a.example",
    "d.example",
    "example",
    "[::1]",
    ".a.example",
    "other",
];

const PATHS: &[&str] = &["/", "/a", "/a/", "/a/b", "/a/b/c", "/ab", "/a/1", "/b", "/b/a", "*"];

const REGEXES: &[&str] = &[
    "/a/.*",
    "/a/[0-9]+",
    "/.*",
    "/[ab]",
    "/a",
    ".*b",
    "/a/b|/b",
    "(?i)/A/B",
    "",
    "/a/b/?c?",
    "/a/(b|c).*",
    "/[^/]+/[^/]+",
];

const COOKIES: &[&str] =
    &["x=1", "y=12; x=1, 2", "x=2;x=1", "X=1; y", " y = \"1\" ;; x=", "x=\"; y=1=2", "xy=1", ""];

fn path() -> impl Strategy<Value = PathMatch> {
    let fixed = select(&PATHS[..9]).prop_map(str::to_owned);
    prop_oneof![
        2 => fixed.clone().prop_map(PathMatch::Exact),
        3 => fixed.prop_map(PathMatch::Prefix),
        3 => select(REGEXES).prop_map(|r| PathMatch::Regex(r.to_owned())),
    ]
}

fn value() -> impl Strategy<Value = ValueMatch> {
    let text = select(&["", "1", "12", "1, 2"][..]).prop_map(str::to_owned);
    prop_oneof![
        text.clone().prop_map(ValueMatch::Exact),
        text.prop_map(ValueMatch::Prefix),
        select(&["[0-9]+", ".*", "1|2"][..]).prop_map(|t| ValueMatch::Regex(t.to_owned())),
        Just(ValueMatch::Present(true)),
        Just(ValueMatch::Absent(true)),
    ]
}

fn one_match() -> impl Strategy<Value = Match> {
    let names = || select(&["x", "y"][..]).prop_map(str::to_owned);
    let some = |pool: &'static [&'static str]| {
        prop_oneof![3 => Just(Vec::new()), 1 => subsequence(pool.to_vec(), 1..=pool.len())]
            .prop_map(|v| v.into_iter().map(str::to_owned).collect::<Vec<_>>())
    };
    (
        weighted(0.8, path()),
        some(&["GET", "POST"]),
        btree_map(names(), value(), 0..2),
        btree_map(names(), value(), 0..2),
        btree_map(names(), value(), 0..2),
        some(&["10.0.0.0/8", "127.0.0.0/8", "::/0"]),
    )
        .prop_map(|(path, methods, headers, cookies, query, client)| Match {
            client_subject: None,
            client_certificate: None,
            path,
            methods,
            headers,
            cookies,
            query,
            client,
        })
}

pub fn routes(most: usize) -> impl Strategy<Value = Vec<Attached>> {
    let listeners = subsequence(vec![ListenerId(0), ListenerId(1), ListenerId(70)], 1..=3);
    let one = (
        subsequence(HOSTS.to_vec(), 1..=2),
        vec(one_match(), 0..4),
        prop_oneof![4 => Just(0), 1 => -1..3],
        listeners,
        "[a-c]{1,2}",
    );
    let one = one.prop_map(|(hosts, matches, priority, listeners, name)| {
        let mut made = attached(&name, route(&hosts, matches));
        made.route.priority = priority;
        made.listeners = listeners;
        made
    });
    vec(one, 0..most)
}

pub fn request() -> impl Strategy<Value = Request> {
    let client = select(&["10.1.1.1", "127.0.0.1", "192.0.2.1", "2001:db8::1"][..])
        .prop_map(|c| c.parse::<IpAddr>().unwrap());
    let own = |(n, v): (&str, &str)| (n.to_owned(), v.to_owned());
    let values = select(&["", "1", "12", "2", "z"][..]);
    let header = (select(&["x", "y"][..]), values).prop_map(own);
    let cookie = (Just("cookie"), select(COOKIES)).prop_map(own);
    let pairs = vec(prop_oneof![2 => header, 1 => cookie], 0..4);
    (
        select(&[0u16, 1, 2, 70][..]),
        select(REQUEST_HOSTS),
        select(PATHS),
        weighted(0.5, select(&["x", "x=", "x=1&x=2", "y=12", "x=1&y", "&", ""][..])),
        select(&["GET", "POST", "get"][..]),
        pairs,
        client,
    )
        .prop_map(|(listener, host, path, query, method, headers, client)| Request {
            listener,
            host: host.into(),
            path: path.into(),
            query: query.map(str::to_owned),
            method: method.into(),
            headers,
            client,
        })
}
