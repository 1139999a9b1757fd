//! Look-ups of a route: among 1,000 exact paths, 1,000 prefixes, and 100 regular expressions.
//!
//! The router does its whole work, the host and the precedence included; the others look at the
//! path alone. Each contender gets its own number of the route back, which is compared.

use crate::{Contender, Found, TURN, compare, scattered};
use hg_plan::{Kind, Object, Route};
use hg_route::{ListenerId, NoHeaders, Query, RouteChange, RouteId, Router, Scratch};
use regex::{Regex, RegexSet};
use std::error::Error;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

const LISTENER: ListenerId = ListenerId(0);
const HOST: &str = "api.example.com";
const PATHS: usize = 1_000;
const EXPRESSIONS: usize = 100;
/// Prepared requests, which are asked in turn.
const ASKED: usize = 4_096;

/// A request's path and the number of the route that takes it.
type Asked = Vec<(String, usize)>;

pub fn measure(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let of = |i: usize| format!("/team-{i}/api/items");
    paths(found, "route-exact", "exact", (of, of), of)?;
    let under = |i: usize| format!("/team-{i}/api/items/v1/{i}");
    let rest = |i: usize| format!("/team-{i}/api/items/{{*rest}}");
    paths(found, "route-prefix", "prefix", (of, rest), under)?;
    expressions(found)
}

/// Compares with matchit: `patterns` are ours and theirs of a number, `path` a request for it.
fn paths(
    found: &mut Found,
    decision: &'static str,
    kind: &str,
    patterns: (impl Fn(usize) -> String, impl Fn(usize) -> String),
    path: impl Fn(usize) -> String,
) -> Result<(), Box<dyn Error>> {
    let asked = asked(PATHS, path);
    let router = router(PATHS, kind, patterns.0)?;
    let mut tree = matchit::Router::new();
    for i in 0..PATHS {
        tree.insert(patterns.1(i), i)?;
    }
    let theirs = || turn(&asked, |path| tree.at(path).ok().map(|one| *one.value));
    let mut scratch = Scratch::new();
    let ours = || turn(&asked, |path| find(&router, path, &mut scratch));
    compare(found, decision, vec![Contender::new("ours", ours), Contender::new("matchit", theirs)])
}

fn expressions(found: &mut Found) -> Result<(), Box<dyn Error>> {
    let pattern = |i: usize| format!("/shop/item{i}/[0-9]+/[a-z0-9-]+");
    let asked = asked(EXPRESSIONS, |i| format!("/shop/item{i}/{i}/name-{i}"));
    let router = router(EXPRESSIONS, "regex", pattern)?;
    let whole: Vec<String> = (0..EXPRESSIONS).map(|i| format!("^(?:{})$", pattern(i))).collect();
    let set = RegexSet::new(&whole)?;
    let list: Vec<Regex> = whole.iter().map(|one| Regex::new(one)).collect::<Result<_, _>>()?;
    let mut scratch = Scratch::new();
    let ours = || turn(&asked, |path| find(&router, path, &mut scratch));
    let by_set = || turn(&asked, |path| set.matches(path).iter().next());
    let by_list = || turn(&asked, |path| list.iter().position(|one| one.is_match(path)));
    let all = vec![
        Contender::new("ours", ours),
        Contender::new("regex-set", by_set),
        Contender::new("regex-list", by_list),
    ];
    compare(found, "route-regex", all)
}

fn asked(count: usize, path: impl Fn(usize) -> String) -> Asked {
    (0..ASKED).map(|n| scattered(n, count)).map(|i| (path(i), i)).collect()
}

fn turn(asked: &Asked, mut find: impl FnMut(&str) -> Option<usize>) -> u64 {
    let mut good = 0;
    for (path, number) in asked.iter().cycle().take(TURN) {
        good += u64::from(find(path) == Some(*number));
    }
    good
}

fn find(router: &Router, path: &str, scratch: &mut Scratch) -> Option<usize> {
    let query = Query {
        listener: LISTENER,
        host: HOST,
        path,
        query: None,
        method: "GET",
        headers: &NoHeaders,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    router.find(&query, scratch).map(|found| found.route.0 as usize)
}

fn router(
    count: usize,
    kind: &str,
    pattern: impl Fn(usize) -> String,
) -> Result<Router, Box<dyn Error>> {
    let routes = (0..count)
        .map(|i| route(kind, &pattern(i)).map(|one| (Arc::from(format!("r{i}")), one)))
        .collect::<Result<Vec<(Arc<str>, Route)>, _>>()?;
    let changes: Vec<_> = routes
        .iter()
        .zip(0..)
        .map(|((name, route), id)| RouteChange {
            id: RouteId(id),
            name,
            route: Some(route),
            listeners: &[LISTENER],
        })
        .collect();
    Router::new().apply(&changes).map_err(|errors| format!("{errors:?}").into())
}

fn route(kind: &str, pattern: &str) -> Result<Route, Box<dyn Error>> {
    let text = format!(
        r#"{{"action":{{"upstream":"u"}},"hosts":["{HOST}"],"listeners":["web"],"match":[{{"path":{{"{kind}":"{pattern}"}}}}]}}"#
    );
    match Object::decode(Kind::Route, text.as_bytes()) {
        Ok(Object::Route(route)) => Ok(*route),
        other => Err(format!("{other:?}").into()),
    }
}
