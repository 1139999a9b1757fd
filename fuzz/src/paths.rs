//! Path normalisation and the choice of a route.

use hg_plan::{Kind, Object};
use hg_route::check::forwarded_path_keeps_its_route;
use hg_route::{ListenerId, NoHeaders, Query, RouteChange, RouteId, Router, Scratch};
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, OnceLock};

/// Conditions on paths that overlap in every way.
const MATCHES: [&str; 9] = [
    r#"{"exact":"/a"}"#,
    r#"{"prefix":"/a"}"#,
    r#"{"prefix":"/a/b"}"#,
    r#"{"exact":"/a/b/"}"#,
    r#"{"regex":"/a/[0-9]+"}"#,
    r#"{"regex":"/(.*)\\.php"}"#,
    r#"{"prefix":"/a%2Fb"}"#,
    r#"{"prefix":"/~x/%7Bid%7D"}"#,
    r#"{"prefix":"/"}"#,
];

/// A path as a client may send it: the forwarded path belongs to the route that was used.
pub fn path(data: &[u8]) {
    let Ok(raw) = std::str::from_utf8(data) else {
        return;
    };
    let query = Query {
        listener: ListenerId(0),
        host: "a.example",
        path: "/",
        query: None,
        method: "GET",
        headers: &NoHeaders,
        client: IpAddr::V4(Ipv4Addr::LOCALHOST),
    };
    if let Err(why) = forwarded_path_keeps_its_route(router(), &query, raw, &mut Scratch::new()) {
        panic!("{why}");
    }
}

fn router() -> &'static Router {
    static ROUTER: OnceLock<Router> = OnceLock::new();
    ROUTER.get_or_init(|| {
        let routes: Vec<(Arc<str>, hg_plan::Route)> = MATCHES
            .iter()
            .enumerate()
            .map(|(at, path)| (format!("r{at}").into(), route(path)))
            .collect();
        let listeners = [ListenerId(0)];
        let changes: Vec<_> = (0..)
            .zip(&routes)
            .map(|(id, (name, route))| RouteChange {
                id: RouteId(id),
                name,
                route: Some(route),
                listeners: &listeners,
            })
            .collect();
        Router::new().apply(&changes).unwrap_or_else(|errors| panic!("{errors:?}"))
    })
}

fn route(path: &str) -> hg_plan::Route {
    let json = format!(
        r#"{{"action":{{"upstream":"u"}},"hosts":["*"],"listeners":["l"],"match":[{{"path":{path}}}]}}"#
    );
    match Object::decode(Kind::Route, json.as_bytes()) {
        Ok(Object::Route(route)) => *route,
        other => panic!("{other:?}"),
    }
}
