//! Load shedding: what new requests get while there is too much to do.

use super::*;

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
    shedding(&mut node, r#""memory_bytes":1"#);
    eventually("requests are refused", || is_shed(&node.get("/")));
    assert!(node.get("/").contains("the node has too little memory for more requests now"));
    assert!(refused(&node, "overload-memory") >= 2);
    let told: Vec<_> =
        node.engine.take_events().into_iter().filter(|e| e.kind == "node.overload").collect();
    assert_eq!(told.len(), 1, "{told:?}");
    shedding(&mut node, r#""memory_bytes":1000000000000"#);
    eventually("requests are served", || !is_shed(&node.get("/")));
    shedding(&mut node, r#""memory_bytes":1"#);
    eventually("requests are refused again", || is_shed(&node.get("/")));
    node.apply(&[put(Kind::Settings, "node", "{}")]);
    assert!(!is_shed(&node.get("/")), "no limit, no wait");
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
    let mut node = Node::start(&upstream_json(&[up.address], r#","max_connections":1"#), "", 1);
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
    shedding(&mut node, r#""lag_ms":10000"#);
    assert!(!is_shed(&node.get("/")));
    let long_turns = |w: &mut Worker| {
        let policy = hg_resilience::SheddingPolicy { queued: 0, lag_us: 10_000_000 };
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
