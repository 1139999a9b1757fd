//! The room that decoders share.

use super::*;

#[test]
fn decoders_take_bytes_until_there_are_no_more_and_give_them_back() {
    let all = Held::default();
    let share = || Share { all: all.clone(), own: 0 };
    let (mut one, mut two) = (share(), share());
    assert!(one.set(MOST - 10) && two.set(10));
    assert_eq!(all.get(), MOST);
    assert!(!two.set(11) && all.get() == MOST, "there is no room for one more");
    assert!(two.set(10), "as many as before");
    assert!(one.set(MOST - 11) && two.set(11));
    assert_eq!(all.get(), MOST);
    drop(one);
    assert_eq!(all.get(), 11);
}

#[test]
fn lines_about_a_coded_body_are_known_in_any_case() {
    for (name, expected) in [
        ("content-encoding", true),
        ("Content-Encoding", true),
        ("digest", true),
        ("content-type", false),
        ("content-encodings", false),
    ] {
        assert_eq!(is_of_coding(name.as_bytes()), expected, "{name}");
    }
}

#[test]
fn what_came_is_counted_before_it_is_decoded() {
    let mut relay = Relay { bytes: 7, ..Relay::default() };
    assert_eq!((relay.came(), relay.has_undecoded()), (7, false));
    let fed = Fed { consumed: 3, data_len: 3, done: true };
    let (mut own, mut buffer) = (Vec::new(), b"abc".to_vec());
    let (place, start, made) = relay
        .decode(&mut own, (&mut buffer, 0), &fed, 0)
        .unwrap_or_else(|reject| unreachable!("{}", reject.code));
    assert_eq!((&place[..], start), (&b"abc"[..], 0));
    assert_eq!((made.consumed, made.data_len, made.done), (3, 3, true));
}

#[test]
fn what_follows_the_head_of_a_websocket_is_no_body() {
    let upgrade = "Connection: upgrade\r\nUpgrade: websocket\r\n";
    for (lines, expected) in [
        (String::new(), false),
        ("Content-Length: 0\r\n".to_owned(), false),
        ("Content-Length: 3\r\n".to_owned(), true),
        ("Transfer-Encoding: chunked\r\n".to_owned(), true),
        (upgrade.to_owned(), false),
        (format!("{upgrade}Content-Length: 3\r\n"), false),
    ] {
        let text = format!("GET / HTTP/1.1\r\nHost: a\r\n{lines}\r\n");
        let mut slots = hg_proto::HeaderSlots::new();
        let limits =
            hg_proto::Limits { head_bytes: usize::MAX, header_count: hg_proto::MAX_HEADERS };
        let admission = hg_proto::Admission { claims: false, underscores: false };
        let parsed = hg_proto::parse_request(text.as_bytes(), &mut slots, &limits, admission);
        let Ok(hg_proto::Parse::Complete(head)) = parsed else { unreachable!("{text}") };
        assert_eq!(has_body(&head), expected, "{lines}");
    }
}
