//! The end of a stream whose request has not come whole.

#![allow(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use crate::common::http2::Client;
use crate::common::{Node, Upstream, put, route_json};
use hg_h2::Code;
use hg_plan::Kind;

#[test]
fn a_client_is_asked_to_stop_where_its_body_goes_on_behind_the_answer() {
    let mut node = Node::simple(&Upstream::answering(b""));
    let own = route_json("").replace(r#""upstream":"u""#, r#""respond":{"status":204}"#);
    node.apply(&[
        put(Kind::Route, "r", own),
        put(Kind::Listener, "web", node.listener_json(r#","h2c":true"#)),
    ]);
    let mut client = Client::connect(&node);
    for (end, reset) in [(false, Some(Code::NO_ERROR)), (true, None)] {
        let id = client.open("POST", "/", &[], end);
        assert_eq!(client.answer(id).status, 204);
        assert_eq!(client.get("/").status, 204);
        assert_eq!(client.answers[&id].reset, reset);
    }
}
