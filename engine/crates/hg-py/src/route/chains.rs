//! The effect of the winning route's middlewares on a request.

use super::Request;
use hg_middleware::{
    Answer, Chain, Client, ClientTls, Outcome, Problem, REQUEST_ID, RequestView, Rewritten, SNI,
    TLS_VERSION, UPSTREAM, presumed_in,
};
use hg_plan::{Action, Kind, ObjectError, Plan, Route};
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

/// The presumed TLS of a client.
const TLS: ClientTls<'static> = ClientTls { version: TLS_VERSION, sni: SNI };

/// Returns what happens to a request that a route takes: it is forwarded, answered or refused.
/// Steps that wait are left out.
pub(super) fn outcome(plan: &Plan, request: &Request, q: &Query<'_>, won: &Won) -> Value {
    let Some(route) = plan.route(&won.which.name) else {
        return Value::Null;
    };
    let Ok(chain) = compile(plan, &route, &won.which.host) else {
        return Value::Null;
    };
    let view = RequestView {
        method: q.method,
        scheme: &request.scheme,
        protocol: "HTTP/1.1",
        host: q.host,
        port: request.port,
        path: q.path,
        query: q.query,
        client: Client {
            certificate: q.headers.certificate(),
            tls: (request.scheme == "https").then_some(TLS),
            ..Client::of(q.client)
        },
        request_id: REQUEST_ID,
        listener: &request.listener,
        route: &won.which.name,
        upstream: upstream(&route.action),
        endpoint: "",
        prefix_len: won.which.found.prefix_len,
        headers: q.headers,
    };
    let mut rewritten = Rewritten::new();
    let result = chain.request(&view, &mut rewritten);
    let unless = chain.left_out(&rewritten);
    let mut told = match result {
        Ok(Outcome::Forward | Outcome::Wait) => {
            // A raw path is forwarded unchanged, unless a middleware rewrote it.
            let path = if route.forward_raw_path { &request.path } else { q.path };
            forwarded(path, &chain, &view, (&rewritten, &request.headers))
        }
        Ok(Outcome::Answer) => answered(&rewritten.answer),
        Err(Reject { status, detail, .. }) => {
            json!({"kind": "refuse", "status": status, "detail": detail})
        }
    };
    let words = placeholders(&told, q, &rewritten);
    if let Some(told) = told.as_object_mut() {
        told.insert("unless".to_owned(), json!(unless));
        told.insert("placeholders".to_owned(), words);
    }
    told
}

/// Returns the name of the upstream, as far as it is known before a request comes.
fn upstream(action: &Action) -> &str {
    match action {
        Action::Upstream(name) => name,
        Action::Split(_) => UPSTREAM,
        Action::Respond(_) | Action::Redirect(_) | Action::NotImported(_) => "",
    }
}

/// Returns the lines of all names that middlewares write into the request that is forwarded, as the
/// endpoint gets them, and the names of those that it never gets.
fn edited(
    chain: &Chain,
    view: &RequestView<'_>,
    rewritten: &Rewritten,
    came: &[(String, String)],
) -> (Vec<(String, String)>, Vec<String>) {
    let (program, mut lines) = (chain.request_headers(), rewritten.request_lines().to_vec());
    match rewritten.claims() {
        Some(claims) => program.append(&view.claiming(&claims), || 0, &mut lines),
        None => program.append(view, || 0, &mut lines),
    }
    let written = header_lines(&lines);
    let is_written = |name: &str| written.iter().any(|(one, _)| one == name);
    let removed = program.dropped().filter(|name| !is_written(name)).collect();
    // What is only added comes behind the client's own lines.
    let mut headers: Vec<(String, String)> = came.to_vec();
    headers.retain(|(name, _)| is_written(name) && !program.drops_spelling(name.as_bytes()));
    headers.extend(written);
    (headers, removed)
}

/// Returns the words in an outcome that stand for what only a request brings, but those that the
/// request itself has.
fn placeholders(outcome: &Value, q: &Query<'_>, rewritten: &Rewritten) -> Value {
    let came = format!("{}?{}", q.path, q.query.unwrap_or_default());
    let mut words = presumed_in(&outcome.to_string(), rewritten);
    words.retain(|(word, _)| !came.contains(&**word));
    json!(words)
}

fn forwarded(
    path: &str,
    chain: &Chain,
    view: &RequestView<'_>,
    (rewritten, came): (&Rewritten, &[(String, String)]),
) -> Value {
    let target = view.query.map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
    let (headers, removed) = edited(chain, view, rewritten, came);
    json!({
        "kind": "forward",
        "target": written(rewritten.target().unwrap_or(&target)),
        "host": rewritten.host(),
        "headers": headers,
        "removed": removed,
    })
}

fn answered(answer: &Answer) -> Value {
    json!({
        "kind": "answer",
        "status": answer.status,
        "headers": header_lines(&answer.headers),
        "body": String::from_utf8_lossy(&answer.body),
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
