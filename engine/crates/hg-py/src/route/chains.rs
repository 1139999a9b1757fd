//! The effect of the winning route's middlewares on a request.

use super::Request;
use super::identity::Identity;
use hg_middleware::{
    Answer, Chain, Client, Outcome, Problem, REQUEST_ID, RequestView, Rewritten, presumed_in,
};
use hg_plan::{Kind, ObjectError, Plan, Route};
use hg_proto::{Reject, write};
use hg_route::{Query, Won};
use serde_json::{Value, json};
use std::sync::Arc;

/// Returns everything that is wrong with the chains of a plan's routes, each mistake once.
pub(super) fn errors(plan: &Plan) -> Vec<ObjectError> {
    let mut errors: Vec<ObjectError> = Vec::new();
    for (name, route) in plan.routes() {
        for host in &route.hosts {
            for problem in compile(plan, &route, host).err().unwrap_or_default() {
                let error = error(problem, name, host);
                if !errors.contains(&error) {
                    errors.push(error);
                }
            }
        }
    }
    errors
}

fn error(problem: Problem, route: &Arc<str>, host: &str) -> ObjectError {
    let (kind, name) = match problem.list {
        0 => (Kind::Host, Arc::from(host)),
        _ => (Kind::Route, route.clone()),
    };
    ObjectError { kind, name, path: problem.path, message: problem.message }
}

/// Compiles a route's chain under one of its hosts.
fn compile(plan: &Plan, route: &Route, host: &str) -> Result<Chain, Vec<Problem>> {
    let of_host = plan.host(host).map_or(&[][..], |h| &h.middlewares);
    let named = |name: &str| plan.middleware(name);
    Chain::compile(&[of_host, &route.middlewares], Some(&route.action), &named)
}

/// Returns what happens to a request that a route takes: it is forwarded, answered or refused.
pub(super) fn outcome(plan: &Plan, request: &Request, q: &Query<'_>, won: &Won) -> Value {
    let Some(route) = plan.route(&won.which.name) else {
        return Value::Null;
    };
    let Ok(chain) = compile(plan, &route, &won.which.host) else {
        return Value::Null;
    };
    let identity = Identity::of(&request.headers);
    let view = RequestView {
        method: q.method,
        scheme: &request.scheme,
        protocol: "HTTP/1.1",
        host: q.host,
        port: request.port,
        path: q.path,
        query: q.query,
        client: Client {
            certificate: identity.as_ref().map(Identity::certificate),
            ..Client::of(q.client)
        },
        request_id: REQUEST_ID,
        listener: &request.listener,
        route: &won.which.name,
        upstream: "",
        endpoint: "",
        prefix_len: won.which.found.prefix_len,
        headers: q.headers,
    };
    let mut rewritten = Rewritten::new();
    let result = chain.request(&view, &mut rewritten);
    let unless = chain.left_out(&rewritten);
    let mut told = match result {
        // Steps that wait are left out.
        Ok(Outcome::Forward | Outcome::Wait) => {
            // A raw path is forwarded unchanged, unless a middleware rewrote it.
            let path = if route.forward_raw_path { &request.path } else { q.path };
            let came = q.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
            let target = written(rewritten.target().unwrap_or(&came));
            json!({"kind": "forward", "target": target, "host": rewritten.host(), "unless": unless})
        }
        Ok(Outcome::Answer) => answered(&rewritten.answer, &unless),
        Err(Reject { status, detail, .. }) => {
            json!({"kind": "refuse", "status": status, "detail": detail, "unless": unless})
        }
    };
    let words = placeholders(&told, q, &rewritten);
    told.as_object_mut().and_then(|told| told.insert("placeholders".to_owned(), words));
    told
}

/// Returns the words in an outcome that stand for what only a request brings, but those that the
/// request itself has.
fn placeholders(outcome: &Value, q: &Query<'_>, rewritten: &Rewritten) -> Value {
    let came = format!("{}?{}", q.path, q.query.unwrap_or_default());
    let mut words = presumed_in(&outcome.to_string(), rewritten);
    words.retain(|(word, _)| !came.contains(&**word));
    json!(words)
}

fn answered(answer: &Answer, unless: &[&str]) -> Value {
    json!({
        "kind": "answer",
        "status": answer.status,
        "headers": header_lines(&answer.headers),
        "body": String::from_utf8_lossy(&answer.body),
        "unless": unless,
    })
}

/// Returns a target as it is forwarded, with percent-encoding for what RFC 3986 forbids in it.
fn written(target: &str) -> String {
    let (path, query) = target.split_once('?').map_or((target, None), |(p, q)| (p, Some(q)));
    let mut out = Vec::with_capacity(target.len());
    write::target_part(&mut out, path);
    if let Some(query) = query {
        out.push(b'?');
        write::target_part(&mut out, query);
    }
    String::from_utf8_lossy(&out).into_owned()
}

fn header_lines(lines: &[u8]) -> Vec<(String, String)> {
    let text = String::from_utf8_lossy(lines);
    let pair = |line: &str| {
        let (name, value) = line.split_once(": ")?;
        Some((name.to_owned(), value.to_owned()))
    };
    text.split("\r\n").filter_map(pair).collect()
}
