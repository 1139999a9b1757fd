//! The values of templates in headers for the endpoint and for the client.

use crate::common::http2::Client;
use crate::common::tls::Authority;
use crate::common::{Node, Upstream, put, read_answer, read_head, route_json};
use hg_plan::Kind;
use std::io::Write;

const TEMPLATE: &str = "${client_ip} ${method} ${scheme} ${protocol} ${host} ${port} ${path} \
    ${query} ${target} ${listener} ${route} ${upstream} ${endpoint} ${header:x-sent} \
    ${request_id} ${tls_version} ${sni}";

/// Answers with the line that it was sent.
fn mirror() -> Upstream {
    Upstream::play(|mut s| {
        while let Some(head) = read_head(&mut s) {
            let line = head.lines().find_map(|line| line.strip_prefix("x-all: ")).unwrap_or("none");
            let answer = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{line}", line.len());
            if s.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    })
}

/// Starts a node that sets the line for endpoints and clients.
fn saying(up: &Upstream) -> Node {
    let mut node = Node::simple(up);
    let edit = |side: &str| format!(r#"{{"{side}":{{"set":{{"x-all":"{TEMPLATE}"}}}}}}"#);
    let rest =
        format!(r#","middlewares":[{},{}]"#, edit("request_headers"), edit("response_headers"));
    let trusting = r#","h2c":true,"client_ip":{"trusted":["127.0.0.0/8"]}"#;
    node.apply(&[
        put(Kind::Listener, "web", node.listener_json(trusting)),
        put(Kind::Route, "r", route_json(&rest)),
    ]);
    node
}

#[test]
fn a_template_says_the_same_to_the_endpoint_and_to_the_client() {
    let up = mirror();
    let node = saying(&up);
    let mut s = node.connect();
    let request = "PUT /api/./x?a=b HTTP/1.1\r\nHost: A.example:81\r\nX-Sent: y\r\n\
        X-Forwarded-For: 192.0.2.9\r\nX-Request-Id: id-1\r\nContent-Length: 0\r\n\r\n";
    s.write_all(request.as_bytes()).unwrap();
    let (head, body) = read_answer(&mut s);
    let said = "192.0.2.9 PUT http HTTP/1.1 a.example 81 /api/x a=b /api/x?a=b web r u  y id-1  ";
    assert_eq!(String::from_utf8(body).unwrap().trim_end(), said.trim_end());
    let line = head.lines().find_map(|line| line.strip_prefix("x-all: ")).unwrap();
    // By then there is an endpoint.
    let said = said.replace(" r u  y", &format!(" r u {} y", up.address));
    assert_eq!(line.trim_end(), said.trim_end());
}

#[test]
fn a_template_says_what_came_over_http2_and_over_tls() {
    let up = mirror();
    let mut node = saying(&up);
    let mut client = Client::connect(&node);
    let id = client.open("GET", "/api?c", &[("x-sent", "z"), ("x-request-id", "id-2")], true);
    let answer = client.answer(id);
    let said = "127.0.0.1 GET http HTTP/2.0 a.example 80 /api c /api?c web r u";
    let body = String::from_utf8(answer.body.clone()).unwrap();
    assert_eq!(body.trim_end(), format!("{said}  z id-2"));
    let line = answer.field("x-all").unwrap();
    assert_eq!(line.trim_end(), format!("{said} {} z id-2", up.address));
    drop(client);

    let authority = Authority::serve(&mut node);
    let mut s = authority.connect(&node);
    s.write_all(b"GET /api HTTP/1.1\r\nHost: a.example\r\nX-Sent: t\r\n\r\n").unwrap();
    let (_, body) = read_answer(&mut s);
    let body = String::from_utf8(body).unwrap();
    assert!(
        body.starts_with("127.0.0.1 GET https HTTP/1.1 a.example 443 /api  /api web r u  t "),
        "{body}"
    );
    assert!(body.ends_with(" TLSv1.3 a.example"), "{body}");
}

const KEYS: &str = r#"{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}"#;

/// A token of `bob`, from `https://login.example`, until the year 2099.
const TOKEN: &str = "eyJ0eXAiOiJKV1QiLCJhbGciOiJFZERTQSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUiLCJzdWIiOiJib2IiLCJleHAiOjQxMDI0NDQ4MDB9.Lk1Mb9HjRzumMxNhf_5-G0U2D8XuSa4LSPPx_UJVWTEA0UMJlwXpAfRWyyTXKhn4-5TFFYBI5pkNr0h36WPTBw";

#[test]
fn claims_of_a_token_are_said_to_the_endpoint_and_to_the_client() {
    let up = mirror();
    let mut node = Node::simple(&up);
    let edit =
        |side: &str| format!(r#"{{"{side}":{{"set":{{"x-all":"${{jwt:sub}} ${{jwt:iss}}"}}}}}}"#);
    let rest = format!(
        r#","middlewares":[{{"jwt":{{"keys":"{KEYS}","header":"authorization"}}}},{},{}]"#,
        edit("request_headers"),
        edit("response_headers")
    );
    node.apply(&[put(Kind::Route, "r", route_json(&rest))]);
    let mut s = node.connect();
    // The second time the token is remembered.
    for _ in 0..2 {
        write!(s, "GET / HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {TOKEN}\r\n\r\n").unwrap();
        let (head, body) = read_answer(&mut s);
        assert_eq!(String::from_utf8(body).unwrap(), "bob https://login.example");
        assert!(head.contains("\r\nx-all: bob https://login.example\r\n"), "{head}");
    }
    // Who has no token is refused, and that alone is counted.
    s.write_all(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n").unwrap();
    let (head, _) = read_answer(&mut s);
    assert!(head.starts_with("HTTP/1.1 401 ") && !head.contains("x-all: bob"), "{head}");
    let rejects = node.engine.metrics().rejects;
    let counted = rejects.iter().filter(|one| one.count > 0).map(|one| (one.reason, one.count));
    assert_eq!(counted.collect::<Vec<_>>(), [("jwt-missing", 1)]);
}
