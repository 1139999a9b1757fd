//! Routes with two mirrors, neither of which concerns the other.

use super::*;

/// A node whose route goes to `up`, and is mirrored to `shadow` and to `canary`; their terms come
/// after their upstream.
fn mirrored_twice(up: &Upstream, [shadow, canary]: [(&str, &str); 2]) -> Node {
    let mut node = Node::start(&upstream_json(&[up.address], ""), "", 1);
    let mirrors = format!(
        r#","mirrors":[{{"upstream":"shadow"{}}},{{"upstream":"canary"{}}}]"#,
        shadow.1, canary.1
    );
    let changes = [
        put(Kind::Upstream, "shadow", shadow.0),
        put(Kind::Upstream, "canary", canary.0),
        put(Kind::Route, "r", route_json(&mirrors)),
    ];
    node.apply(&changes);
    node
}

#[test]
fn two_mirrors_get_copies_by_terms_of_their_own() {
    let (up, got) = endpoint(OK, None);
    let (shadow, first) = endpoint(OK, None);
    let (canary, second) = endpoint("HTTP/1.1 500 Oops\r\nContent-Length: 0\r\n\r\n", None);
    let (all, half) = (r#","in_flight":1000"#, r#","share":5000,"body_bytes":10,"in_flight":1000"#);
    let node = mirrored_twice(&up, [(&of(&shadow), all), (&of(&canary), half)]);
    let mut s = node.connect();
    for _ in 0..20 {
        ask(&mut s, &post(10));
    }
    counted_to(&node, "shadow", &[("answered", 20)]);
    counted_to(&node, "canary", &[("error", 10)]);
    for _ in 0..20 {
        ask(&mut s, &post(11));
    }
    counted_to(&node, "shadow", &[("answered", 40)]);
    counted_to(&node, "canary", &[("error", 10), ("too_large", 10)]);
    assert_eq!((got.all().len(), first.all().len(), second.all().len()), (40, 40, 10));
    assert_eq!(second.bodies(), [10; 10]);
}

#[test]
fn a_mirror_that_hangs_holds_up_no_other() {
    let (up, _) = endpoint(OK, None);
    let (hangs, _) = endpoint(OK, Some(Door::default()));
    let (canary, copies) = endpoint(OK, None);
    let (few, most) = (r#","in_flight":1,"timeout_ms":60000"#, r#","in_flight":1000"#);
    let node = mirrored_twice(&up, [(&of(&hangs), few), (&of(&canary), most)]);
    let mut s = node.connect();
    for _ in 0..5 {
        ask(&mut s, &post(2_000));
    }
    counted_to(&node, "shadow", &[("dropped", 4)]);
    counted_to(&node, "canary", &[("answered", 5)]);
    assert_eq!(copies.bodies(), [2_000; 5]);
}

#[test]
fn a_body_that_outgrows_one_mirror_goes_on_to_the_other() {
    let (up, _) = endpoint(OK, None);
    let (shadow, first) = endpoint(OK, None);
    let (canary, second) = endpoint(OK, None);
    let (few, more) = (r#","body_bytes":4"#, r#","body_bytes":8"#);
    let node = mirrored_twice(&up, [(&of(&shadow), few), (&of(&canary), more)]);
    let head = "POST / HTTP/1.1\r\nHost: a.example\r\nTransfer-Encoding: chunked\r\n\r\n";
    ask(&mut node.connect(), format!("{head}4\r\nabcd\r\n4\r\nefgh\r\n0\r\n\r\n").as_bytes());
    counted_to(&node, "shadow", &[("too_large", 1)]);
    counted_to(&node, "canary", &[("answered", 1)]);
    assert!(first.all().is_empty());
    assert_eq!(second.all()[0].1, b"abcdefgh");
}
