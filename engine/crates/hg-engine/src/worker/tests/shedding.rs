//! Load shedding: what new requests get while there is too much to do.

use super::*;

/// More than that any process has. The lag of a busy machine does not count.
const MEMORY: &str = r#""memory_bytes":1,"critical_percent":0,"lag_ms":0"#;
/// A hundredth of that any process has, and no process has all of it.
const STRAINED: &str = r#""memory_bytes":1000000000,"strained_percent":1,"lag_ms":0"#;

fn shedding(node: &mut Node, keys: &str) {
    let json = format!(r#"{{"shedding":{{{keys}}}}}"#);
    node.apply(&[put(Kind::Settings, "node", json)]);
}

fn refused(node: &Node, reason: &str) -> u64 {
    let all = node.engine.metrics().rejects;
    all.iter().find(|r| r.reason == reason).map_or(0, |r| r.count)
}

fn is_shed(answer: &str) -> bool {
    let after = answer.lines().find_map(|l| l.strip_prefix("retry-after: ")?.parse::<u64>().ok());
    let shed = answer.starts_with("HTTP/1.1 503 ");
    assert_eq!(shed, after.is_some_and(|s| (1..=3).contains(&s)), "{answer}");
    shed
}

#[test]
fn while_the_process_has_too_much_memory_new_requests_get_503() {
    let mut node = Node::simple(&Upstream::answering(OK));
    shedding(&mut node, MEMORY);
    eventually("requests are refused", || is_shed(&node.get("/")));
    assert!(node.get("/").contains("the node has too little memory for more requests now"));
    assert!(refused(&node, "overload-memory") >= 2);
    let told: Vec<_> =
        node.engine.take_events().into_iter().filter(|e| e.kind == "node.overload").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    shedding(&mut node, r#""memory_bytes":1000000000000,"lag_ms":0"#);
    eventually("requests are served", || !is_shed(&node.get("/")));
    shedding(&mut node, MEMORY);
    eventually("requests are refused again", || is_shed(&node.get("/")));
    node.apply(&[put(Kind::Settings, "node", "{}")]);
    assert!(!is_shed(&node.get("/")), "no limit, no wait");
}

fn important(node: &mut Node, importance: &str) {
    let rest = format!(r#","importance":"{importance}""#);
    node.apply(&[put(Kind::Route, "r", route_json(&rest))]);
}

fn shed(node: &Node, level: &str) -> u64 {
    let all = node.engine.metrics().overload.shed;
    all.iter().find(|one| one.reason == level).map_or(0, |one| one.count)
}

fn is_strained(node: &Node) -> bool {
    node.engine.status().overload.worst() == ("strained", "memory")
}

#[test]
fn near_the_limit_requests_of_low_importance_alone_get_503() {
    let mut node = Node::simple(&Upstream::answering(OK));
    shedding(&mut node, STRAINED);
    eventually("the process is strained", || is_strained(&node));
    assert!(!is_shed(&node.get("/")));
    important(&mut node, "low");
    assert!(is_shed(&node.get("/")));
    assert_eq!((shed(&node, "strained"), shed(&node, "overloaded")), (1, 0));
    important(&mut node, "high");
    assert!(!is_shed(&node.get("/")));
}

#[test]
fn near_the_limit_of_memory_connections_end_after_their_answer() {
    let mut node = Node::simple(&Upstream::answering(OK));
    node.apply(&[put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#))]);
    shedding(&mut node, STRAINED);
    eventually("the process is strained", || is_strained(&node));
    let mut s = node.connect();
    s.write_all(GET).unwrap();
    let (head, body) = read_answer(&mut s);
    assert_eq!(body, b"ok");
    assert!(head.contains("\r\nconnection: close\r\n"), "{head}");
    let mut client = crate::common::http2::Client::connect(&node);
    assert_eq!(client.get("/").status, 200);
    client.until_closed();
    assert_eq!(client.away.map(|(_, code)| code), Some(hg_h2::Code::NO_ERROR));
}

#[test]
fn at_the_limit_requests_of_high_importance_alone_are_served() {
    let mut node = Node::simple(&Upstream::answering(OK));
    important(&mut node, "high");
    shedding(&mut node, MEMORY);
    let overloaded = ("overloaded", "memory");
    eventually("it is overloaded", || node.engine.status().overload.worst() == overloaded);
    assert!(!is_shed(&node.get("/")));
    important(&mut node, "normal");
    assert!(is_shed(&node.get("/")));
}

#[test]
fn far_above_the_limit_every_request_gets_503_and_new_connections_wait() {
    let mut node = Node::simple(&Upstream::answering(OK));
    important(&mut node, "high");
    let mut before = node.connect();
    eventually("it is accepted", || connections(&node) == 1);
    shedding(&mut node, r#""memory_bytes":1,"lag_ms":0"#);
    let critical = ("critical", "memory");
    eventually("it is critical", || node.engine.status().overload.worst() == critical);
    before.write_all(GET).unwrap();
    assert!(read_answer(&mut before).0.starts_with("HTTP/1.1 503 "));
    let mut late = node.connect();
    late.write_all(GET).unwrap();
    eventually("it waits", || node.engine.metrics().overload.pauses > 0);
    assert_eq!(shed(&node, "critical"), 1);
    node.apply(&[put(Kind::Settings, "node", "{}")]);
    assert_eq!(read_answer(&mut late).1, b"ok");
}

#[test]
fn each_level_is_told_and_so_is_its_end() {
    let mut node = Node::simple(&Upstream::answering(OK));
    shedding(&mut node, STRAINED);
    eventually("the process is strained", || is_strained(&node));
    node.get("/");
    shedding(&mut node, r#""memory_bytes":1000000000000,"lag_ms":0"#);
    let told = Mutex::new(Vec::new());
    eventually("the end is told", || {
        let events = node.engine.take_events().into_iter();
        let mut told = told.lock().unwrap();
        told.extend(events.filter(|e| e.kind == "node.overload").map(|e| e.message));
        told.len() == 2
    });
    assert_eq!(
        told.into_inner().unwrap(),
        [
            "strained: the node has too little memory for more requests now; requests of low \
             importance get 503",
            "calm: every request is served",
        ]
    );
}

#[test]
fn while_too_many_requests_wait_new_ones_get_503_and_those_are_served() {
    let (go, wait) = mpsc::channel::<()>();
    let wait = Mutex::new(wait);
    let up = Upstream::play(move |mut s| {
        while read_head(&mut s).is_some() {
            wait.lock().unwrap().recv_timeout(DEADLINE).unwrap();
            s.write_all(OK).unwrap();
        }
    });
    let mut node = Node::start(
        &upstream_json(&[up.address], r#","max_connections":1,"queue_timeout_ms":60000"#),
        "",
        1,
    );
    shedding(&mut node, r#""queued":2,"lag_ms":0"#);
    let mut clients: Vec<TcpStream> = (1..=3)
        .map(|n| {
            let mut s = node.connect();
            s.write_all(GET).unwrap();
            let waiting = |w: &mut Worker| w.upstreams.queued();
            eventually("it waits", || active(&node) == 1 && on_worker(&node, waiting) == n - 1);
            s
        })
        .collect();
    assert!(is_shed(&node.get("/")));
    assert!(refused(&node, "overload-queue") >= 1);
    for s in &mut clients {
        go.send(()).unwrap();
        assert_eq!(read_answer(s).1, b"ok");
    }
    go.send(()).unwrap();
    eventually("requests are served", || !is_shed(&node.get("/")));
}

#[test]
fn after_long_turns_new_requests_get_503_until_turns_are_short() {
    let mut node = Node::simple(&Upstream::answering(OK));
    shedding(&mut node, r#""lag_ms":10000,"critical_percent":0"#);
    assert!(!is_shed(&node.get("/")));
    let long_turns = |w: &mut Worker| {
        let marks = hg_resilience::Marks::default();
        let policy = hg_resilience::SheddingPolicy { queued: 0, lag_us: 10_000_000, marks };
        // Turns of a minute each.
        (0..9).for_each(|_| w.upstreams.shedder.turn(w.now_us, 60_000_000, 0, &policy));
    };
    // After a second without a turn they would be forgotten.
    eventually("requests are refused", || {
        on_worker(&node, long_turns);
        is_shed(&node.get("/"))
    });
    assert!(refused(&node, "overload-lag") >= 1);
    eventually("requests are served", || !is_shed(&node.get("/")));
}

#[test]
fn turns_within_their_limit_shed_nothing() {
    let mut node = Node::simple(&Upstream::answering(OK));
    shedding(&mut node, r#""lag_ms":10000"#);
    for ms in [1_000, 2_000] {
        on_worker(&node, move |w| w.note_turn(Some(w.now_us.saturating_sub(ms * 1_000)), 0));
        assert!(!is_shed(&node.get("/")));
    }
    assert_eq!(refused(&node, "overload-lag"), 0);
}
