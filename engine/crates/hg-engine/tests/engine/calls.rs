//! What the codes of gRPC lead to: retries, ejections, open breakers.

use crate::common::endpoint::{health, states};
use crate::common::http2::{Answer, Client};
use crate::common::http2_peer::{H2C, Peer};
use crate::common::{Node, Upstream, eventually, put, upstream_json};
use hg_plan::Kind;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::SeqCst};

const GRPC: (&str, &str) = ("content-type", "application/grpc");
const UNAVAILABLE: &str = "14";
const FINE: &str = "0";

/// How an answer says its code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// In a head without body.
    Head,
    /// In trailers, right behind the head.
    Trailers,
    /// In trailers after a message.
    AfterMessage,
}

struct Endpoint {
    requests: Arc<AtomicUsize>,
    address: SocketAddr,
    _upstream: Upstream,
}

impl Endpoint {
    /// Answers with these codes, one after the other; the last one stays. `more` goes with them.
    fn new(form: Form, codes: &[&'static str], more: &'static [(&str, &str)]) -> Self {
        let (codes, requests) = (codes.to_vec(), Arc::new(AtomicUsize::new(0)));
        let its = requests.clone();
        let upstream = Upstream::play(move |s| {
            let mut peer = Peer::over(s);
            while let Some(id) = peer.next() {
                peer.whole(id);
                let code = codes[its.fetch_add(1, SeqCst).min(codes.len() - 1)];
                let last = [&[("grpc-status", code)], more].concat();
                if form == Form::Head {
                    peer.head(id, 200, &[&[GRPC], &last[..]].concat(), true);
                    continue;
                }
                let lines = [(GRPC.0.as_bytes(), GRPC.1.as_bytes(), hg_h2::Sensitivity::Normal)];
                peer.session.send_response(id, 200, lines, false).unwrap();
                if form == Form::AfterMessage {
                    peer.data(id, b"\0\0\0\0\x02hi", false);
                }
                peer.trailers(id, &last);
            }
        });
        Self { requests, address: upstream.address, _upstream: upstream }
    }

    fn requests(&self) -> usize {
        self.requests.load(SeqCst)
    }
}

fn node(endpoints: &[&Endpoint], upstream: &str, route: &str) -> Node {
    let addresses: Vec<SocketAddr> = endpoints.iter().map(|e| e.address).collect();
    let mut node = Node::start(&upstream_json(&addresses, &format!("{H2C}{upstream}")), route, 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    node
}

fn call(client: &mut Client<std::net::TcpStream>) -> Answer {
    client.post("/", &[GRPC, ("te", "trailers")], b"\0\0\0\0\0")
}

/// Returns the code of a call's answer.
fn code(answer: &Answer) -> &str {
    let of_trailers =
        || answer.trailers.iter().find(|(n, _)| n == "grpc-status").map(|(_, v)| &**v);
    answer.field("grpc-status").or_else(of_trailers).unwrap()
}

const RETRY: &str = r#","retry":{"on":["grpc-unavailable"],"backoff":{"base_ms":1,"max_ms":1}}"#;

#[test]
fn a_code_that_the_route_names_is_tried_again_in_a_head_and_in_trailers() {
    for form in [Form::Head, Form::Trailers] {
        let endpoint = Endpoint::new(form, &[UNAVAILABLE, UNAVAILABLE, FINE, UNAVAILABLE], &[]);
        let node = node(&[&endpoint], "", RETRY);
        let mut client = Client::connect(&node);
        assert_eq!(code(&call(&mut client)), FINE, "{form:?}");
        assert_eq!(endpoint.requests(), 3, "{form:?}");
        let last = call(&mut client);
        assert_eq!((code(&last), last.status), (UNAVAILABLE, 200), "{form:?}");
        assert_eq!(endpoint.requests(), 6, "the last answer is passed on");
    }
}

#[test]
fn other_codes_messages_and_a_server_that_wants_no_retry_are_passed_on() {
    const NEVER: &[(&str, &str)] = &[("grpc-retry-pushback-ms", "-1")];
    for (form, first, more) in [
        (Form::Head, "13", &[][..]),
        (Form::Trailers, "13", &[]),
        (Form::AfterMessage, UNAVAILABLE, &[]),
        (Form::Head, UNAVAILABLE, NEVER),
        (Form::Trailers, UNAVAILABLE, NEVER),
    ] {
        let endpoint = Endpoint::new(form, &[first, FINE], more);
        let node = node(&[&endpoint], "", RETRY);
        let mut client = Client::connect(&node);
        assert_eq!(code(&call(&mut client)), first, "{form:?} {more:?}");
        assert_eq!(endpoint.requests(), 1, "{form:?} {more:?}");
    }
    let endpoint = Endpoint::new(Form::Head, &[UNAVAILABLE, FINE], &[]);
    let node = node(&[&endpoint], "", r#","retry":{"on":["5xx"],"methods":"all"}"#);
    assert_eq!(code(&call(&mut Client::connect(&node))), UNAVAILABLE);
    assert_eq!(endpoint.requests(), 1);
}

#[test]
fn codes_that_are_the_endpoints_doing_eject_it_and_open_its_breaker() {
    let outliers = r#","health":{"outliers":{"consecutive_5xx":3}}"#;
    let breaker = r#","health":{"breaker":{"failures":3,"open_ms":650000}}"#;
    for (rest, state) in [(outliers, "ejected"), (breaker, "breaker-open")] {
        for form in [Form::Head, Form::Trailers, Form::AfterMessage] {
            for code in ["13", UNAVAILABLE, "99"] {
                let good = Endpoint::new(form, &[FINE], &[]);
                let bad = Endpoint::new(form, &[code], &[]);
                let node = node(&[&good, &bad], rest, "");
                let mut client = Client::connect(&node);
                while bad.requests() < 3 {
                    call(&mut client);
                }
                eventually("it is out", || states(&node) == ["up", state]);
            }
        }
    }
}

#[test]
fn codes_that_a_call_brings_about_itself_are_no_failures() {
    let rest = r#","health":{"outliers":{"consecutive_5xx":1},"breaker":{"failures":1}}"#;
    let codes = ["1", "3", "5", "7", "8", "9", "12", "16"];
    let endpoints =
        [Endpoint::new(Form::Trailers, &codes, &[]), Endpoint::new(Form::Head, &codes, &[])];
    let node = node(&[&endpoints[0], &endpoints[1]], rest, "");
    let mut client = Client::connect(&node);
    while endpoints.iter().any(|e| e.requests() < codes.len()) {
        call(&mut client);
    }
    assert_eq!(states(&node), ["up", "up"], "{:?}", health(&node));
}

#[test]
fn the_message_of_a_trial_closes_a_breaker_whose_call_never_ends() {
    let (tell, told) = std::sync::mpsc::channel::<()>();
    let told = std::sync::Mutex::new(told);
    let upstream = Upstream::play(move |s| {
        let mut peer = Peer::over(s);
        while let Some(id) = peer.next() {
            if peer.requests[&id].path != "/stream" {
                peer.head(id, 200, &[GRPC, ("grpc-status", UNAVAILABLE)], true);
                continue;
            }
            peer.head(id, 200, &[GRPC], false);
            told.lock().unwrap().recv().unwrap();
            peer.data(id, b"\0\0\0\0\x02hi", false);
            while peer.requests[&id].reset.is_none() && peer.read() {}
        }
    });
    let rest = r#","health":{"breaker":{"failures":1,"open_ms":100,"successes":1}}"#;
    let json = upstream_json(&[upstream.address], &format!("{H2C}{rest}"));
    let mut node = Node::start(&json, "", 1);
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    let mut client = Client::connect(&node);
    assert_eq!(code(&call(&mut client)), UNAVAILABLE);
    eventually("it is half open", || states(&node) == ["breaker-half-open"]);
    let id = client.open("POST", "/stream", &[GRPC, ("te", "trailers")], true);
    client.flush();
    while client.answers.get(&id).is_none_or(|a| a.status != 200) {
        assert!(client.read());
    }
    assert_eq!(states(&node), ["breaker-half-open"], "a head says nothing");
    tell.send(()).unwrap();
    eventually("a message does", || states(&node) == ["up"]);
}
